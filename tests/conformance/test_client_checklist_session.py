"""Section 15 of the client protocol, item by item: session and load."""

import pytest

from centrifast import errors
from centrifast.errors import DisconnectCode
from centrifast.limits import FAILED_CONNECT_LINGER
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    RefreshRequest,
    RefreshResult,
    Reply,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    Server,
    config,
    error,
    messages_of,
    publish,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    unsubscribed,
)

BOTH = pytest.mark.parametrize("encoding", Encoding)
CONNECT = Command(id=1, connect=ConnectRequest())
GRACE = {"expired_close_delay": 5.0, "expired_sub_close_delay": 5.0, "presence_update_interval": 2.0}


# ------------------------------------------------------------------ session


@BOTH
def test_connect_subscribe_unsubscribe_in_one_frame(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    replies = client.ask(CONNECT, subscribe(2, "news"), unsubscribe(3, "news"))
    assert [(reply.id, reply.error) for reply in replies] == [(1, None), (2, None), (3, None)]
    assert not server.hub.channels


@BOTH
def test_connect_error_stops_reading(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    expired = Command(id=1, connect=ConnectRequest(token=token(sub="42", exp=NOW)))
    assert client.ask(expired, CONNECT, subscribe(2, "news")) == [error(1, errors.TOKEN_EXPIRED)]
    assert client.ask(CONNECT) == []
    client.write(b"nonsense")
    server.advance(FAILED_CONNECT_LINGER - 1)
    assert not client.transport.aborted
    server.advance(2)
    assert client.transport.aborted
    assert client.closed_with is None  # no close frame


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", errors.BAD_REQUEST_DISCONNECT),
        ("x", errors.INVALID_TOKEN),
        (token(sub="42", exp=NOW + 9)[:-2], errors.INVALID_TOKEN),
    ],
)
@BOTH
def test_no_token_3501_and_bad_token_3500(
    serve: Serve, text: str, expected: DisconnectCode, encoding: Encoding
) -> None:
    client = serve(config({"allow_anonymous_connect_without_token": False})).open(encoding)
    assert client.ask(Command(id=1, connect=ConnectRequest(token=text))) == []
    assert client.closed_with == expected


@BOTH
def test_expired_token_109(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    command = Command(id=1, connect=ConnectRequest(token=token(sub="42", exp=NOW)))
    assert client.ask(command) == [error(1, errors.TOKEN_EXPIRED)]


@BOTH
def test_bad_subscription_token_103_and_mismatched_3500(server: Server, encoding: Encoding) -> None:
    client = server.connect(encoding, sub="42")
    assert client.ask(subscribe(2, "news", token="x")) == [error(2, errors.PERMISSION_DENIED)]
    assert client.ask(subscribe(3, "news")) == [subscribed(3)]
    assert client.ask(subscribe(4, "$a", token=token(sub="42", channel="$b"))) == []
    assert client.closed_with == errors.INVALID_TOKEN


@BOTH
def test_stale_3502(server: Server, encoding: Encoding) -> None:
    client = server.open(encoding)
    server.advance(9)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.STALE


@BOTH
def test_unsolicited_pong_3501(serve: Serve, encoding: Encoding) -> None:
    client = serve(config({"ping_interval": 25.0})).connect(encoding)
    client.write(client.session.sink.variant.pong)
    assert client.closed_with == errors.BAD_REQUEST_DISCONNECT


@BOTH
def test_missing_pong_3012(serve: Serve, encoding: Encoding) -> None:
    client = (server := serve(config({"ping_interval": 25.0, "pong_timeout": 8.0}))).connect(encoding)
    server.advance(26)
    assert client.ask(subscribe(2, "news")) == [Reply(), subscribed(2)]  # which is no pong
    server.advance(9)
    assert client.closed_with == errors.NO_PONG


@BOTH
def test_pings_on_busy_connections(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"ping_interval": 5.0, "pong_timeout": 2.0}))
    client = server.subscriber("news", encoding)
    pings = 0
    for _ in range(30):
        server.publish("news", b"1")
        server.advance(1)
        if Reply() in client.received():
            pings += 1
            client.send(Command())
    assert pings >= 5
    assert client.closed_with is None


@BOTH
def test_refresh_extends_and_3005_otherwise(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(GRACE))
    refreshing, silent = (server.connect(encoding, sub="42", exp=NOW + 10) for _ in range(2))
    (reply,) = refreshing.ask(Command(id=2, refresh=RefreshRequest(token=token(sub="42", exp=NOW + 3600))))
    assert reply.refresh == RefreshResult(client=refreshing.id, expires=True, ttl=3600)
    server.advance(14)
    assert silent.closed_with is None
    server.advance(2)
    assert silent.closed_with == errors.CONNECTION_EXPIRED
    assert refreshing.closed_with is None


@BOTH
def test_2501_for_subscriptions(serve: Serve, encoding: Encoding) -> None:
    server = serve(config(GRACE))
    client = server.connect(encoding, sub="42")
    text = token(sub="42", channel="news", exp=NOW + 10)
    assert client.ask(subscribe(2, "news", token=text)) == [subscribed(2, expires=True, ttl=10)]
    server.advance(14)
    assert client.received() == []
    server.advance(4)
    assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    assert client.closed_with is None


# ------------------------------------------------------------------ load


@BOTH
def test_3008_at_1_mib_without_flush(server: Server, encoding: Encoding) -> None:
    client = server.subscriber("news", encoding)
    client.transport.sink.block()
    payload = b'"%b"' % (b"x" * 1023)
    for _ in range(900):
        server.publish("news", payload)
    server.turns.run()
    assert client.closed_with is None
    for _ in range(120):
        server.publish("news", payload)
    server.turns.run()
    assert client.closed_with == errors.SLOW
    assert not client.transport.flushed
    client.transport.sink.unblock()
    assert client.received() == []


@BOTH
def test_at_most_16_messages_per_frame(server: Server, encoding: Encoding) -> None:
    client = server.subscriber("news", encoding)
    client.send(*(publish(number, "news", b"1") for number in range(3, 43)))
    frames = [messages_of(frame, encoding) for frame in client.frames()]
    assert sum(map(len, frames)) == 80
    assert max(map(len, frames)) == 16


@BOTH
def test_shutdown_3001_to_all(serve: Serve, encoding: Encoding) -> None:
    server = serve()
    connected, silent = server.subscriber("news", encoding), server.open(encoding)
    server.publish("news", b"1")
    for session in [*server.hub.clients.values(), *server.hub.connecting]:
        session.disconnect(errors.SHUTDOWN)
    assert [client.closed_with for client in (connected, silent)] == [errors.SHUTDOWN] * 2
    assert len(connected.received()) == 1  # what came before is flushed
