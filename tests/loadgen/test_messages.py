import json

import pytest
from centrifast_loadgen.messages import (
    Message,
    Position,
    Push,
    Unsubscribed,
    WireError,
    decode_json,
    decode_protobuf,
)

from centrifast.protocol import client_pb2 as pb

SUBSCRIBED = {
    "recoverable": True,
    "positioned": True,
    "epoch": "QpLd",
    "offset": 41,
    "recovered": True,
    "was_recovering": True,
    "publications": [{"data": {"t": 1}, "offset": 42}, {"data": {"t": 2}, "offset": 43}],
}
RECOVERED = Position("QpLd", 41, recoverable=True, recovered=True, offsets=(42, 43))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"id": 1, "connect": {"client": "c-1"}}, Message(1, client=b"c-1")),
        ({"id": 2, "subscribe": {}}, Message(2)),
        ({"id": 2, "subscribe": {"recovered": True}}, Message(2)),
        ({"id": 2, "subscribe": SUBSCRIBED}, Message(2, position=RECOVERED)),
        ({"id": 2, "subscribe": {"positioned": True}}, Message(2, position=Position())),
        (
            {"id": 2, "error": {"code": 103, "message": "permission denied"}},
            Message(2, "103 permission denied"),
        ),
        ({"push": {"channel": "a", "pub": {"data": 1, "offset": 7}}}, Message(push=Push("a", 7))),
        ({"push": {"channel": "a", "pub": {"data": 1}}}, Message(push=Push("a"))),
        (
            {"push": {"channel": "a", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}},
            Message(push=Push("a", unsubscribed=Unsubscribed(2500, "insufficient state"))),
        ),
    ],
)
def test_json_messages(message: object, expected: Message) -> None:
    assert decode_json(json.dumps(message).encode()) == expected


@pytest.mark.parametrize(
    "message",
    [b"", b"x", b"[]", b"1", b'{"id":"x"}', b'{"subscribe":1}', b'{"error":5}', b'{"push":{"pub":3}}'],
)
def test_what_is_no_json_message_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        decode_json(message)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (pb.Reply(id=1, connect=pb.ConnectResult(client="c-1")), Message(1, client=b"c-1")),
        (pb.Reply(id=2, subscribe=pb.SubscribeResult()), Message(2)),
        (
            pb.Reply(
                id=300,
                subscribe=pb.SubscribeResult(
                    recoverable=True,
                    positioned=True,
                    epoch="QpLd",
                    offset=41,
                    recovered=True,
                    publications=[pb.Publication(data=b"x", offset=42), pb.Publication(data=b"y", offset=43)],
                ),
            ),
            Message(300, position=RECOVERED),
        ),
        (pb.Reply(id=2, error=pb.Error(code=103, message="denied")), Message(2, "103 denied")),
        (
            pb.Reply(push=pb.Push(channel="a", pub=pb.Publication(data=b"1", offset=7))),
            Message(push=Push("a", 7)),
        ),
        (
            pb.Reply(push=pb.Push(channel="a", unsubscribe=pb.Unsubscribe(code=2000, reason="gone"))),
            Message(push=Push("a", unsubscribed=Unsubscribed(2000, "gone"))),
        ),
    ],
)
def test_protobuf_messages(reply: pb.Reply, expected: Message) -> None:
    assert decode_protobuf(reply.SerializeToString()) == expected


def test_unknown_fields_of_any_wire_type_are_passed_over() -> None:
    assert decode_protobuf(bytes.fromhex("08 03 35 00000000 39 0000000000000000")) == Message(3)


@pytest.mark.parametrize("message", ["08", "08 80", "12 05 00", "0b", "ff" * 10])
def test_a_broken_protobuf_message_is_refused(message: str) -> None:
    with pytest.raises(WireError):
        decode_protobuf(bytes.fromhex(message))
