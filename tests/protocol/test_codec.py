"""Both codecs keep one contract: any message survives either, any bytes are a message or malformed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol.codec import Codec, MalformedError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import NO_DATA, Command, Encoding, Pub, Push, Reply
from tests.protocol.client_side import json_line, protobuf_frame, read_protobuf
from tests.protocol.strategies import commands, payloads, pushes, replies

JSON: Codec = JsonCodec()
PROTOBUF: Codec = ProtobufCodec()


@given(commands)
def test_a_command_is_the_same_in_both_encodings(command: Command) -> None:
    assert list(JSON.decode(json_line(command))) == [command]
    assert list(PROTOBUF.decode(protobuf_frame(command))) == [command]


@given(st.lists(commands, min_size=1, max_size=4))
def test_several_commands_in_a_frame_keep_their_order(batch: list[Command]) -> None:
    assert list(JSON.decode(b"\n".join(map(json_line, batch)))) == batch
    assert list(PROTOBUF.decode(b"".join(map(protobuf_frame, batch)))) == batch


@given(replies)
def test_a_reply_is_the_same_in_both_encodings(reply: Reply) -> None:
    assert msgspec.json.decode(JSON.encode(reply), type=Reply) == reply
    assert read_protobuf(Reply, PROTOBUF.encode(reply)) == reply


@given(pushes)
def test_a_bare_push_is_the_same_in_both_encodings(push: Push) -> None:
    assert msgspec.json.decode(JSON.encode_push(push), type=Push) == push
    assert read_protobuf(Push, PROTOBUF.encode_push(push)) == push


@pytest.mark.parametrize("codec", [JSON, PROTOBUF], ids=["json", "protobuf"])
@given(channel=st.text(), data=payloads, offset=st.integers(0, 2**64 - 1))
def test_the_short_way_for_publications_gives_the_same_bytes(
    codec: Codec, channel: str, data: msgspec.Raw, offset: int
) -> None:
    pub = Pub(data=data, offset=offset)
    expected = codec.encode(Reply(push=Push(channel=channel, pub=pub)))
    assert codec.encode_publication(channel, pub) == expected


@given(st.binary(max_size=64))
def test_any_bytes_are_commands_or_malformed(frame: bytes) -> None:
    for codec in (JSON, PROTOBUF):
        try:
            assert list(codec.decode(frame))
        except MalformedError:
            pass


@given(commands, st.data())
def test_a_cut_command_is_malformed(command: Command, data: st.DataObject) -> None:
    for codec, whole in ((JSON, json_line(command)), (PROTOBUF, protobuf_frame(command))):
        cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with pytest.raises(MalformedError):
            list(codec.decode(cut))


@pytest.mark.parametrize(("codec", "pong"), [(JSON, b"{}"), (PROTOBUF, b"\x00")], ids=["json", "protobuf"])
def test_a_ping_is_an_empty_reply_and_a_pong_an_empty_command(codec: Codec, pong: bytes) -> None:
    assert codec.encode(Reply()) == pong
    assert codec.encode_push(Push()) == pong
    assert list(codec.decode(pong)) == [Command()]


@pytest.mark.parametrize(
    ("codec", "frame"),
    [(JSON, b'{"id":1,"presence":{}}\nnonsense'), (PROTOBUF, bytes.fromhex("04 08 01 42 00 7f"))],
    ids=["json", "protobuf"],
)
def test_a_command_is_handed_out_before_the_next_one_is_looked_at(codec: Codec, frame: bytes) -> None:
    decoded = codec.decode(frame)
    assert next(decoded).id == 1
    with pytest.raises(MalformedError):
        next(decoded)


def test_each_codec_names_its_encoding() -> None:
    assert (JSON.encoding, PROTOBUF.encoding) == (Encoding.JSON, Encoding.PROTOBUF)


@given(commands)
def test_an_absent_payload_is_the_one_empty_payload(command: Command) -> None:
    for decoded in (*JSON.decode(json_line(command)), *PROTOBUF.decode(protobuf_frame(command))):
        if decoded.publish is not None and not bytes(decoded.publish.data):
            assert decoded.publish.data is NO_DATA
