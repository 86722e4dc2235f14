"""Both codecs keep one contract: any message survives either, any bytes are a message or malformed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol import client_pb2
from centrifast.protocol.codec import Codec, MalformedError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import (
    NO_DATA,
    Command,
    ConnectResult,
    EncodedPublications,
    Encoding,
    Info,
    PresenceResult,
    Pub,
    Push,
    Reply,
    SubscribeResult,
)
from tests.protocol.client_side import decoded, json_line, protobuf_frame, read_protobuf
from tests.protocol.strategies import commands, payloads, pushes, replies, structs

JSON: Codec = JsonCodec()
PROTOBUF: Codec = ProtobufCodec()


@given(commands)
def test_a_command_is_the_same_in_both_encodings(command: Command) -> None:
    assert list(JSON.decode(json_line(command))) == [(command, len(json_line(command)))]
    assert list(PROTOBUF.decode(protobuf_frame(command))) == [(command, len(protobuf_frame(command)))]


@given(st.lists(commands, min_size=1, max_size=4))
def test_several_commands_in_a_frame_keep_their_order(batch: list[Command]) -> None:
    assert decoded(JSON, b"\n".join(map(json_line, batch))) == batch
    assert decoded(PROTOBUF, b"".join(map(protobuf_frame, batch))) == batch


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
    assert list(codec.decode(pong)) == [(Command(), len(pong))]


@pytest.mark.parametrize(
    ("codec", "frame"),
    [(JSON, b'{"id":1,"presence":{}}\nnonsense'), (PROTOBUF, bytes.fromhex("04 08 01 42 00 7f"))],
    ids=["json", "protobuf"],
)
def test_a_command_is_handed_out_before_the_next_one_is_looked_at(codec: Codec, frame: bytes) -> None:
    handed_out = codec.decode(frame)
    assert next(handed_out)[0].id == 1
    with pytest.raises(MalformedError):
        next(handed_out)


def test_each_codec_names_its_encoding() -> None:
    assert (JSON.encoding, PROTOBUF.encoding) == (Encoding.JSON, Encoding.PROTOBUF)


@given(commands)
def test_an_absent_payload_is_the_one_empty_payload(command: Command) -> None:
    for found in (*decoded(JSON, json_line(command)), *decoded(PROTOBUF, protobuf_frame(command))):
        if found.publish is not None and not bytes(found.publish.data):
            assert found.publish.data is NO_DATA


# ---------------------------------------------------------------- encoded publications

publication_lists = st.lists(structs(Pub, client_pb2.Publication.DESCRIPTOR), max_size=3)
results = structs(SubscribeResult, client_pb2.SubscribeResult.DESCRIPTOR)


def with_encoded(codec: Codec, result: SubscribeResult) -> SubscribeResult:
    """The same, its publications encoded beforehand."""
    if result.publications is None or isinstance(result.publications, EncodedPublications):
        return result
    return msgspec.structs.replace(result, publications=codec.encode_publications(result.publications))


@given(results, publication_lists)
def test_encoded_publications_are_those_of_the_list(result: SubscribeResult, pubs: list[Pub]) -> None:
    result = msgspec.structs.replace(result, publications=pubs)
    listed = Reply(id=1, subscribe=result)
    for codec in (JSON, PROTOBUF):
        encoded = codec.encode(Reply(id=1, subscribe=with_encoded(codec, result)))
        assert len(encoded) == len(codec.encode(listed))
        if codec is JSON:
            assert encoded == codec.encode(listed)
        else:  # which leaves the order of fields open
            assert read_protobuf(Reply, encoded) == read_protobuf(Reply, codec.encode(listed))


@given(st.dictionaries(st.text(max_size=8), results, max_size=3), st.sets(st.integers(0, 2)))
def test_encoded_publications_may_stand_in_any_result_of_a_connect(
    subs: dict[str, SubscribeResult], chosen: set[int]
) -> None:
    listed = ConnectResult(client="c", subs=subs or None, node="n")
    for codec in (JSON, PROTOBUF):
        changed = {
            channel: with_encoded(codec, result) if number in chosen else result
            for number, (channel, result) in enumerate(subs.items())
        }
        connect = msgspec.structs.replace(listed, subs=changed or None)
        reply, push = codec.encode(Reply(id=1, connect=connect)), codec.encode_push(Push(connect=connect))
        if codec is JSON:
            assert reply == codec.encode(Reply(id=1, connect=listed))
            assert push == codec.encode_push(Push(connect=listed))
        else:
            assert read_protobuf(Reply, reply) == Reply(id=1, connect=listed)
            assert read_protobuf(Push, push) == Push(connect=listed)


presences = st.lists(
    st.dictionaries(
        st.text(max_size=8), structs(Info, client_pb2.ClientInfo.DESCRIPTOR), min_size=1, max_size=3
    ),
    min_size=1,
    max_size=3,
)


@given(presences)
def test_a_presence_made_of_parts_is_that_of_the_whole(parts: list[dict[str, Info]]) -> None:
    known: set[str] = set()
    distinct = []
    for part in parts:
        left = {client: info for client, info in part.items() if client not in known}
        known |= set(left)
        if left:
            distinct.append(left)
    whole = PresenceResult({client: info for part in distinct for client, info in part.items()})
    for codec in (JSON, PROTOBUF):
        presence = codec.encode_presence([codec.encode_infos(part) for part in distinct])
        made = codec.encode(Reply(id=1, presence=PresenceResult(presence)))
        if codec is JSON:
            assert made == codec.encode(Reply(id=1, presence=whole))
        else:  # which leaves the order of a map's entries open
            assert read_protobuf(Reply, made) == Reply(id=1, presence=whole)


def test_encoded_publications_do_not_make_a_field_occur_twice() -> None:
    """Merging two occurrences of a message is what Protobuf demands of readers, but not all of them do it."""
    pubs = PROTOBUF.encode_publications([Pub(data=msgspec.Raw(b"1")), Pub(data=msgspec.Raw(b"2"))])
    result = SubscribeResult(epoch="e", publications=pubs, offset=2)
    reply = PROTOBUF.encode(Reply(id=1, connect=ConnectResult(client="c", subs={"a": result})))
    assert [number for number, _ in fields(reply[1:])] == [1, 5]
    connect = dict(fields(reply[1:]))[5]
    assert [number for number, _ in fields(connect)] == [1, 6]
    entry = dict(fields(connect))[6]
    assert [number for number, _ in fields(entry)] == [1, 2]
    assert sorted(number for number, _ in fields(dict(fields(entry))[2])) == [6, 7, 7, 9]


def fields(message: bytes) -> list[tuple[int, bytes]]:
    """Number and content of each field, if all numbers and lengths are below 128."""
    found, position = [], 0
    while position < len(message):
        tag, size = message[position : position + 2]
        end = position + 2 + (size if tag & 7 == 2 else 0)
        found.append((tag >> 3, message[position + 2 : end]))
        position = end
    return found


# ---------------------------------------------------------------- payloads in delta form


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a":\n1}', rb'"{\"a\":\n1}"'),
        (b"", b'""'),
        (b"1L\ns@0,1:4T@t,k_Uwf;", rb'"1L\ns@0,1:4T@t,k_Uwf;"'),
        ("é😀\u2028".encode(), '"é😀\u2028"'.encode()),
        (b"a\xffb\xc3", '"a\ufffdb\ufffd"'.encode()),
        (b"\xed\xa0\x80", '"\ufffd\ufffd\ufffd"'.encode()),
        (b"\x00\x1f\x7f\\", b'"\\u0000\\u001f\x7f\\\\"'),
    ],
)
def test_a_payload_in_delta_form_is_a_string_in_json_and_itself_in_protobuf(data: bytes, text: bytes) -> None:
    assert bytes(JSON.text_payload(data)) == text
    assert bytes(PROTOBUF.text_payload(data)) == data


@given(st.binary())
def test_any_payload_in_delta_form_can_be_sent(data: bytes) -> None:
    line = JSON.encode_publication("a", Pub(data=JSON.text_payload(data), delta=True))
    assert b"\n" not in line
    pub = msgspec.json.decode(line, type=dict[str, dict[str, Any]])["push"]["pub"]
    assert pub == {"data": data.decode(errors="replace"), "delta": True}
    frame = PROTOBUF.encode_publication("a", Pub(data=PROTOBUF.text_payload(data), delta=True))
    received = read_protobuf(Reply, frame).push.pub
    assert (bytes(received.data), received.delta) == (data, True)
