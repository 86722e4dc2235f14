import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from centrifast.protocol import client_pb2
from centrifast.protocol.codec import MalformedError
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    ConnectResult,
    FilterNode,
    HistoryResult,
    Info,
    Pub,
    PublishRequest,
    PublishResult,
    Push,
    Reply,
    RPCResult,
    SubscribeRequest,
    SubscribeResult,
)
from tests.protocol.client_side import decoded, protobuf_frame, read_protobuf, varint

CODEC = ProtobufCodec()


def decode(frame: bytes) -> list[Command]:
    return decoded(CODEC, frame)


# ---------------------------------------------------------------- decoding


def test_the_frames_of_the_specification_are_understood() -> None:
    frame = bytes.fromhex("04 08012200  0c 08022a080a046e6577737001  00")
    assert decode(frame) == [
        Command(id=1, connect=ConnectRequest()),
        Command(id=2, subscribe=SubscribeRequest(channel="news", flag=1)),
        Command(),
    ]


def test_an_empty_request_is_present() -> None:
    (command,) = decode(bytes.fromhex("04 08012200"))
    assert command.connect == ConnectRequest()


def test_unknown_and_later_fields_are_ignored() -> None:
    message = client_pb2.Command(id=1, sub_refresh={"channel": "a", "untrack": ["k"]})
    data = message.SerializeToString() + bytes.fromhex("c23e 01 00")  # field 1000
    (command,) = decode(varint(len(data)) + data)
    assert command.sub_refresh is not None
    assert command.sub_refresh.channel == "a"


def test_a_command_without_a_served_request_keeps_its_id() -> None:
    message = client_pb2.Command(id=7, ping=client_pb2.PingRequest()).SerializeToString()
    assert decode(varint(len(message)) + message) == [Command(id=7)]


def test_payloads_are_any_bytes() -> None:
    command = Command(id=1, publish=PublishRequest(channel="a", data=Raw(b"\x00\xff\n")))
    assert decode(protobuf_frame(command)) == [command]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01",  # longer than the frame
        b"\x05\x08\x01\x22\x00",
        b"\x80",  # a length that does not end
        b"\x80" * 9,
        b"\x80" * 10,
        b"\x80" * 10 + b"\x00",  # eleven bytes
        b"\xff" * 9 + b"\x01",  # 2^64 - 1
        b"\xff" * 9 + b"\x7f",  # more than 64 bits
        b"\x01\x08",  # a field without a value
        b"\x02\x0a\x05",
        b"\x02\x00\x00",  # field number 0
        b"\x01\x0f",  # wire type 7
        b"\x05\x2a\x03\x0a\x01\xff",  # a text that is not UTF-8
        b"\x00\x01",
    ],
    ids=bytes.hex,
)
def test_malformed_frames(frame: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(frame)


def test_a_length_may_have_superfluous_zero_groups() -> None:
    assert decode(b"\x80\x80\x00") == [Command()]
    assert decode(b"\x80" * 9 + b"\x00") == [Command()]


def test_a_filter_nested_too_deep_is_malformed() -> None:
    node = b""
    for _ in range(5_000):
        node = b"\x32" + varint(len(node)) + node
    subscribe = b"\x6a" + varint(len(node)) + node
    message = b"\x2a" + varint(len(subscribe)) + subscribe
    with pytest.raises(MalformedError):
        decode(varint(len(message)) + message)


def test_a_filter_keeps_its_tree() -> None:
    tree = FilterNode(op="or", nodes=[FilterNode(key="k", cmp="in", vals=["1", "2"]), FilterNode(op="not")])
    command = Command(id=1, subscribe=SubscribeRequest(channel="a", tf=tree))
    assert decode(protobuf_frame(command)) == [command]


@given(st.lists(st.integers(0, 2**64)), st.integers(0, 20))
def test_lengths_and_zeros_in_any_order_are_commands_or_malformed(lengths: list[int], zeros: int) -> None:
    frame = b"".join(map(varint, lengths)) + bytes(zeros)
    try:
        assert decode(frame)
    except MalformedError:
        pass


# ---------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (Reply(), "00"),
        (Reply(id=2, subscribe=SubscribeResult()), "04 08023200"),
        (Reply(id=3, publish=PublishResult()), "04 08034200"),
        (
            Reply(push=Push(channel="news", pub=Pub(data=Raw(b'{"a":1}'), offset=7))),
            "15 2213 1204 6e657773 220b 2207 7b2261223a317d 3007",
        ),
    ],
)
def test_the_replies_of_the_specification(reply: Reply, frame: str) -> None:
    assert CODEC.encode(reply) == bytes.fromhex(frame)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 100_000])
def test_the_length_in_front_is_the_messages(size: int) -> None:
    reply = Reply(id=1, rpc=RPCResult(data=Raw(b"x" * size)))
    assert read_protobuf(Reply, CODEC.encode(reply)) == reply


def test_empty_messages_inside_are_on_the_wire() -> None:
    reply = Reply(
        id=1,
        connect=ConnectResult(subs={"a": SubscribeResult()}),
        history=HistoryResult([Pub(), Pub(info=Info("", ""))], "", 0),
    )
    assert read_protobuf(Reply, CODEC.encode(reply)) == reply
    assert CODEC.encode_publication("", Pub()) == bytes.fromhex("04 22022200")


def test_the_connect_push_has_numbers_of_its_own() -> None:
    push = client_pb2.Push.FromString(
        CODEC.encode_push(Push(connect=ConnectResult(data=Raw(b"1"), ttl=5)))[1:]
    )
    assert (push.connect.data, push.connect.ttl) == (b"1", 5)


def test_payloads_keep_their_newlines() -> None:
    data = Raw(b'{\n"a":1}\n')
    assert read_protobuf(Reply, CODEC.encode_publication("a", Pub(data=data))).push.pub.data == data
