"""Which request of a command counts, and that its result goes into the field of the same name (client protocol 2.2)."""

from typing import Any

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.config.schema import RpcConfig, RpcPingConfig
from centrifast.errors import DisconnectCode
from centrifast.protocol.wire import (
    REQUEST_FIELDS,
    Command,
    ConnectRequest,
    Encoding,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    Reply,
    RPCRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from tests.client.conftest import Serve
from tests.client.fakes import Far, Server, config, publish, subscribe, token, unsubscribe

BOTH = pytest.mark.parametrize("encoding", Encoding)
REQUESTS: dict[str, Any] = {
    "connect": ConnectRequest(),
    "subscribe": SubscribeRequest(channel="news"),
    "unsubscribe": UnsubscribeRequest(channel="news"),
    "publish": PublishRequest(channel="news", data=Raw(b"1")),
    "presence": PresenceRequest(channel="news"),
    "presence_stats": PresenceStatsRequest(channel="news"),
    "history": HistoryRequest(channel="news"),
    "rpc": RPCRequest(method="ping"),
    "send": SendRequest(),
    "refresh": RefreshRequest(token=token(sub="42")),
    "sub_refresh": SubRefreshRequest(channel="held", token=token(channel="held", sub="42")),
}
UNAVAILABLE = ("presence", "presence_stats", "history")


def user_42(serve: Serve, encoding: Encoding) -> Far:
    server = serve(config(rpc=RpcConfig(ping=RpcPingConfig(enabled=True, method="ping"))))
    return server.subscriber("held", encoding, sub="42")


def answered(reply: Reply) -> list[str]:
    """Names of the fields that are set besides the id."""
    return [name for name in Reply.__struct_fields__[1:] if getattr(reply, name) is not None]


@pytest.mark.parametrize("field", [name for name in REQUEST_FIELDS if name not in ("connect", "send")])
@BOTH
def test_the_result_has_the_name_of_the_request(serve: Serve, field: str, encoding: Encoding) -> None:
    client = user_42(serve, encoding)
    replies = client.ask(Command(id=9, **{field: REQUESTS[field]}))
    (reply,) = [reply for reply in replies if reply.id == 9]
    assert answered(reply) == (["error"] if field in UNAVAILABLE else [field])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("subscribe", "unsubscribe"),
        ("unsubscribe", "publish"),
        ("publish", "presence"),
        ("rpc", "send"),
        ("refresh", "sub_refresh"),
    ],
)
@BOTH
def test_of_several_requests_the_first_in_order_counts(
    serve: Serve, first: str, second: str, encoding: Encoding
) -> None:
    client = user_42(serve, encoding)
    (reply,) = client.ask(Command(id=9, **{second: REQUESTS[second], first: REQUESTS[first]}))
    assert answered(reply) == [first]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("connect", "subscribe"), errors.BAD_REQUEST_DISCONNECT),
        (("send", "refresh"), errors.NOT_AVAILABLE_DISCONNECT),
        ((), errors.BAD_REQUEST_DISCONNECT),
    ],
)
@BOTH
def test_requests_without_a_reply_come_in_the_same_order(
    serve: Serve, fields: tuple[str, ...], expected: DisconnectCode, encoding: Encoding
) -> None:
    client = user_42(serve, encoding)
    assert client.ask(Command(id=9, **{field: REQUESTS[field] for field in fields})) == []
    assert client.closed_with == expected


@pytest.mark.parametrize(
    ("encoding", "frame"),
    [
        (
            Encoding.JSON,
            b'{"id":2,"subscribe":{}}\n{"id":3,"publish":{}}\n{"id":4,"unsubscribe":{}}',
        ),
        (Encoding.PROTOBUF, bytes.fromhex("0408023200 0408034200 0408043a00")),
    ],
)
def test_empty_results_are_present_on_the_wire(server: Server, encoding: Encoding, frame: bytes) -> None:
    client = server.connect(encoding)
    client.send(subscribe(2, "news"), publish(3, "other", b"1"), unsubscribe(4, "news"))
    assert client.frames() == [frame]


def test_replies_to_one_frame_share_frames_of_sixteen_messages(server: Server) -> None:
    client = server.connect()
    client.send(*(subscribe(number, f"channel-{number}") for number in range(2, 42)))
    assert [frame.count(b"\n") + 1 for frame in client.frames()] == [16, 16, 8]
