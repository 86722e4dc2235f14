"""The limits of client protocol 11 that concern a WebSocket, each with another value than its default: times."""

import asyncio
from dataclasses import replace

import pytest

from centrifast import errors
from centrifast.limits import WEBSOCKET_CLOSE_TIMEOUT
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    RefreshRequest,
    RefreshResult,
    Reply,
    SubRefreshRequest,
    SubRefreshResult,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    NOW,
    OPEN,
    Server,
    config,
    done,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribed,
)
from tests.client.streams import POSITIONED
from tests.conformance.situations import written
from tests.in_process_server import InProcessServer
from tests.raw_websocket import BINARY, TEXT

BOTH = pytest.mark.parametrize("encoding", Encoding)
OPCODES = {Encoding.JSON: TEXT, Encoding.PROTOBUF: BINARY}
YEAR = 365 * 24 * 3600


# ------------------------------------------------------------------ deadlines


@BOTH
def test_ping_interval_and_pong_timeout(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"ping_interval": 11.0, "pong_timeout": 4.0}))
    client = server.open(encoding)
    (reply,) = client.ask(Command(id=1, connect=ConnectRequest()))
    assert reply.connect is not None
    assert (reply.connect.ping, reply.connect.pong) == (11, True)
    server.advance(7.5)  # between half and the whole of it
    assert client.received() == []
    server.advance(3)
    assert client.ask(Command()) == [Reply()]
    server.advance(8)
    assert client.received() == []
    server.advance(1.5)
    assert client.received() == [Reply()]
    server.advance(2.5)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.NO_PONG


@pytest.mark.parametrize("delay", [2.0, 30.0])
@BOTH
def test_stale_close_delay(serve: Serve, delay: float, encoding: Encoding) -> None:
    client = (server := serve(config({"stale_close_delay": delay}))).open(encoding)
    server.advance(delay - 1)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.STALE


@pytest.mark.parametrize("delay", [0.0, 7.0])
@BOTH
def test_expired_close_delay(serve: Serve, delay: float, encoding: Encoding) -> None:
    server = serve(config({"expired_close_delay": delay}))
    client = server.connect(encoding, sub="42", exp=NOW + 10)
    server.advance(10 + delay - 1)
    assert client.closed_with is None
    server.advance(2)
    assert client.closed_with == errors.CONNECTION_EXPIRED


@pytest.mark.parametrize("delay", [0.0, 7.0])
@BOTH
def test_expired_sub_close_delay(serve: Serve, delay: float, encoding: Encoding) -> None:
    server = serve(config({"expired_sub_close_delay": delay, "presence_update_interval": 1.0}))
    own, given = (server.connect(encoding, sub=user) for user in ("42", "7"))
    own.ask(subscribe(2, "news", token=token(sub="42", channel="news", exp=NOW + 10)))
    done(server.node.subscribe("7", "news", expire_at=NOW + 10))
    assert len(given.received()) == 1
    server.advance(10 + delay - 1)
    assert (own.received(), given.closed_with) == ([], None)
    server.advance(3)
    assert own.received() == [unsubscribed("news", errors.UNSUBSCRIBE_EXPIRED)]
    assert given.closed_with == errors.SUBSCRIPTION_EXPIRED


def test_presence_update_interval(serve: Serve) -> None:
    """An entry lives a minute; who is refreshed in time stays."""
    options = replace(OPEN, presence=True)
    for interval, stays in ((50.0, True), (200.0, False)):
        server = serve(config({"presence_update_interval": interval}, options))
        client = server.connect()
        client.ask(subscribe(2, "news"))
        server.advance(140)
        assert (client.id in done(server.node.presence("news"))) is stays


@pytest.mark.parametrize("delay", [5.0, 90.0])
@BOTH
def test_channel_position_check_delay(delay: float, encoding: Encoding) -> None:
    async def story() -> None:
        server = Server(config({"channel_position_check_delay": delay}, POSITIONED))
        client = server.connect(encoding)
        client.ask(subscribe(2, "news"))
        given = server.connect(encoding, sub="42", channels=["news"])
        done(server.broker.unsubscribe("news"))
        server.publish("news", b"1")  # nobody here hears of it
        await pass_time(server, delay - 1)
        assert (client.received(), given.closed_with) == ([], None)
        await pass_time(server, 5)
        assert client.received() == [unsubscribed("news", errors.UNSUBSCRIBE_INSUFFICIENT_STATE)]
        assert given.closed_with == errors.INSUFFICIENT_STATE
        server.lose_everybody()
        await server.node.close()

    asyncio.run(story())


async def pass_time(server: Server, seconds: float) -> None:
    """Second by second, with everything that happens in each."""
    for _ in range(int(seconds)):
        server.advance(1)
        await settle()


@BOTH
def test_write_timeout(encoding: Encoding) -> None:
    flags: dict[str, str | bool | int] = {"websocket.write_timeout": "3s", "client.queue_max_size": 1 << 26}
    path = f"/connection/websocket?format={encoding.value}"
    connect = Command(id=1, connect=ConnectRequest())
    with (
        InProcessServer(flags, send_buffer=4096) as server,
        server.client(receive_buffer=4096, path=path) as client,
    ):
        client.send_frame(OPCODES[encoding], written(encoding, connect, subscribe(2, "news")))
        server.wait_until(lambda: "news" in server.node.hub.channels)
        server.publish("news", b'"%b"' % (b"x" * (1 << 24)))
        server.advance(2)
        assert server.node.hub.clients
        server.advance(1.2)
        server.wait_until(lambda: not server.node.hub.clients)


@BOTH
def test_closing_handshake_5_s(encoding: Encoding) -> None:
    path = f"/connection/websocket?format={encoding.value}"
    with InProcessServer() as server, server.client(path=path) as client:
        client.send_frame(OPCODES[encoding], b"")
        assert client.receive_close().close_code == 3501
        server.advance(WEBSOCKET_CLOSE_TIMEOUT - 0.5)
        assert server.open_connections == 1
        server.advance(0.7)
        server.wait_until(lambda: server.open_connections == 0)
        assert client.receive() is None


# ------------------------------------------------------------------ expirations


@pytest.mark.parametrize(
    ("ahead", "ttl"), [(YEAR - 1, YEAR - 1), (YEAR, YEAR), (YEAR + 1, YEAR), (10 * YEAR, YEAR)]
)
@BOTH
def test_ttl_is_capped_at_365_days(serve: Serve, ahead: int, ttl: int, encoding: Encoding) -> None:
    server = serve(config({"expired_close_delay": 5.0, "expired_sub_close_delay": 5.0}))
    client = server.open(encoding)
    text = token(sub="42", exp=NOW + ahead)
    (reply,) = client.ask(Command(id=1, connect=ConnectRequest(token=text)))
    assert reply.connect is not None
    assert (reply.connect.expires, reply.connect.ttl) == (True, ttl)
    of_channel = token(sub="42", channel="news", exp=NOW + ahead)
    assert client.ask(subscribe(2, "news", token=of_channel)) == [subscribed(2, expires=True, ttl=ttl)]
    assert client.ask(
        Command(id=3, sub_refresh=SubRefreshRequest("news", of_channel)),
        Command(id=4, refresh=RefreshRequest(text)),
    ) == [
        Reply(id=3, sub_refresh=SubRefreshResult(expires=True, ttl=ttl)),
        Reply(id=4, refresh=RefreshResult(client=client.id, expires=True, ttl=ttl)),
    ]
    done(server.node.refresh("42", expire_at=NOW + ahead))
    (reply,) = client.received()
    assert reply.push is not None
    assert reply.push.refresh is not None
    assert reply.push.refresh.ttl == ttl


def test_ttl_is_at_least_1(serve: Serve) -> None:
    server = serve()
    server.clock.advance(0.5)
    client = server.open()
    (reply,) = client.ask(Command(id=1, connect=ConnectRequest(token=token(sub="42", exp=NOW + 1))))
    assert reply.connect is not None
    assert (reply.connect.expires, reply.connect.ttl) == (True, 1)
