"""The limits of client protocol 11 that concern a WebSocket, each with another value than its default: sizes."""

from dataclasses import replace

import pytest
from msgspec import Raw

from centrifast import errors
from centrifast.config.schema import Config
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    HistoryRequest,
)
from tests.client.conftest import Serve
from tests.client.fakes import (
    OPEN,
    Server,
    SlowBroker,
    config,
    done,
    error,
    messages_of,
    publish,
    subscribe,
    subscribed,
    token,
    with_slow_broker,
)
from tests.client.streams import RECOVERABLE, STREAM
from tests.conformance.situations import top_of, written
from tests.in_process_server import InProcessServer
from tests.raw_websocket import BINARY, CLOSE, TEXT, Frame
from tests.transports.test_websocket import Bench, refused, with_bench

BOTH = pytest.mark.parametrize("encoding", Encoding)
OPCODES = {Encoding.JSON: TEXT, Encoding.PROTOBUF: BINARY}
YEAR = 365 * 24 * 3600


def with_channels(**changes: object) -> Config:
    """A configuration in which everybody may do everything, with another ``channel`` section."""
    made = config()
    return replace(made, channel=replace(made.channel, **changes))  # type: ignore[arg-type]


# ------------------------------------------------------------------ counts and sizes


@pytest.mark.parametrize("limit", [0, 1, 3])
@BOTH
def test_channel_limit(serve: Serve, limit: int, encoding: Encoding) -> None:
    server = serve(config({"channel_limit": limit}))
    client = server.connect(encoding, sub="42")
    for number in range(limit):
        assert client.ask(subscribe(2, f"a{number}")) == [subscribed(2)]
    assert client.ask(subscribe(3, "b")) == [error(3, errors.LIMIT_EXCEEDED)]
    done(server.node.subscribe("42", "b"))  # server-side the connection ends
    assert client.closed_with == errors.CHANNEL_LIMIT
    client = server.open(encoding)
    text = token(sub="42", channels=[f"a{number}" for number in range(limit + 1)])
    assert client.ask(Command(id=1, connect=ConnectRequest(token=text))) == []
    assert client.closed_with == errors.CHANNEL_LIMIT


@pytest.mark.parametrize(
    ("limit", "fits", "too_long"),
    [(10, "x" * 10, "x" * 11), (10, "é" * 5, "é" * 5 + "x"), (255, "x" * 255, "x" * 256), (3, "€", "€x")],
)
@BOTH
def test_max_length_in_bytes(serve: Serve, limit: int, fits: str, too_long: str, encoding: Encoding) -> None:
    anything = replace(OPEN, channel_regex=".")
    client = serve(with_channels(max_length=limit, without_namespace=anything)).connect(encoding)
    assert client.ask(subscribe(2, fits)) == [subscribed(2)]
    assert client.ask(subscribe(3, too_long)) == [error(3, errors.BAD_REQUEST)]
    (reply, *_) = client.ask(publish(4, too_long, b"1"))
    assert reply.error is None


@BOTH
def test_queue_max_size(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"queue_max_size": 10_000}))
    client, other = (server.subscriber("news", encoding) for _ in range(2))
    client.transport.sink.block()
    for _ in range(8):
        server.publish("news", b'"%b"' % (b"x" * 1000))
        server.turns.run()
    assert client.closed_with is None
    for _ in range(2):
        server.publish("news", b'"%b"' % (b"x" * 1000))
        server.turns.run()
    assert client.closed_with == errors.SLOW
    assert not client.transport.flushed
    assert len(other.received()) == 10


@pytest.mark.parametrize(("concurrency", "at_once"), [(0, 1), (1, 1), (3, 3)])
@BOTH
def test_concurrency(concurrency: int, at_once: int, encoding: Encoding) -> None:
    async def story(server: Server, broker: SlowBroker) -> None:
        client = server.connect(encoding)
        client.send(*(publish(number, "news", b"1") for number in range(2, 7)))
        assert broker.asked == ["publish news"] * at_once

    with_slow_broker(story, client={"concurrency": concurrency})


@pytest.mark.parametrize(("cap", "limit", "count"), [(2, 5, 2), (2, -1, 2), (0, -1, 5), (0, 4, 4), (2, 1, 1)])
@BOTH
def test_history_max_publication_limit(
    serve: Serve, cap: int, limit: int, count: int, encoding: Encoding
) -> None:
    server = serve(config({"history_max_publication_limit": cap, "insecure": True}, STREAM))
    for _ in range(5):
        server.publish("news", b"1")
    (reply,) = server.connect(encoding).ask(Command(id=9, history=HistoryRequest("news", limit)))
    assert reply.history is not None
    assert len(reply.history.publications) == count
    assert reply.history.offset == 5


@pytest.mark.parametrize(("cap", "offset", "is_recovered"), [(2, 3, True), (2, 2, False), (0, 0, True)])
@BOTH
def test_recovery_max_publication_limit(
    serve: Serve, cap: int, offset: int, is_recovered: bool, encoding: Encoding
) -> None:
    server = serve(config({"recovery_max_publication_limit": cap}, RECOVERABLE))
    for _ in range(5):
        server.publish("news", b"1")
    (reply,) = server.connect(encoding).ask(subscribe(2, "news", recover=True, offset=offset))
    assert reply.subscribe is not None
    assert reply.subscribe.recovered is is_recovered
    assert len(reply.subscribe.publications or ()) == (5 - offset if is_recovered else 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("namespace", "default", "lifetime"), [(0.0, 100.0, 100), (200.0, 100.0, 200)])
def test_history_meta_ttl(serve: Serve, namespace: float, default: float, lifetime: int) -> None:
    options = replace(STREAM, history_meta_ttl=namespace)
    server = serve(with_channels(history_meta_ttl=default, without_namespace=options))
    server.publish("news", b"1")
    first = top_of(server)
    server.clock.advance(lifetime - 1)
    assert top_of(server) == first  # which is a use
    server.clock.advance(lifetime + 1)
    again = top_of(server)
    assert again.offset == 0
    assert again.epoch != first.epoch


@BOTH
def test_user_connection_limit(serve: Serve, encoding: Encoding) -> None:
    server = serve(config({"user_connection_limit": 2}))
    first, _ = (server.connect(encoding, sub="42") for _ in range(2))
    connect = Command(id=1, connect=ConnectRequest(token=token(sub="42")))
    third = server.open(encoding)
    assert third.ask(connect) == []
    assert third.closed_with == errors.CONNECTION_LIMIT
    server.connect(encoding, sub="7")
    for _ in range(3):
        server.connect(encoding)
    first.vanish()
    server.connect(encoding, sub="42")


def test_connection_limit_503() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            assert (await bench.call()).refusal is None
            bench.server.connect()
        assert refused(await bench.call()) == (503, b"")

    with_bench(story, {"connection_limit": 2})


def test_connection_rate_limit_503() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(3):
            assert (await bench.call()).refusal is None
        assert refused(await bench.call()) == (503, b"")
        bench.server.clock.advance(1.01)
        for _ in range(3):
            assert (await bench.call()).refusal is None
        assert refused(await bench.call()) == (503, b"")

    with_bench(story, {"connection_rate_limit": 3})


@pytest.mark.parametrize("limit", [200, 100_000])
@BOTH
def test_message_size_limit(limit: int, encoding: Encoding) -> None:
    with (
        InProcessServer({"websocket.message_size_limit": limit}) as server,
        server.client(path=f"/connection/websocket?format={encoding.value}") as client,
    ):
        client.send_frame(OPCODES[encoding], written(encoding, Command(id=1, connect=ConnectRequest())))
        assert client.receive() is not None
        size = limit - len(written(encoding, publish(2, "news", b'""'))) - 8
        client.send_frame(OPCODES[encoding], written(encoding, publish(2, "news", b'"%b"' % (b"x" * size))))
        received = client.receive()
        assert received is not None
        assert [reply.id for reply in messages_of(received.payload, encoding)] == [2]
        client.send_frame(TEXT, b"x" * (limit + 1))
        assert client.receive() == Frame(CLOSE, (1009).to_bytes(2, "big"))


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("count", [1, 16, 17, 100])
@BOTH
def test_at_most_16_messages_in_a_frame(server: Server, count: int, encoding: Encoding) -> None:
    client = server.subscriber("news", encoding)
    for number in range(count):
        server.publish("news", b"%d" % number)
    frames = [messages_of(frame, encoding) for frame in client.frames()]
    assert max(map(len, frames)) <= 16
    assert [reply.push.pub.data for frame in frames for reply in frame if reply.push and reply.push.pub] == [
        Raw(b"%d" % number) for number in range(count)
    ]
    client.transport.sink.block()
    for number in range(count):
        server.publish("news", b"%d" % number)
    server.turns.run()
    client.transport.sink.unblock()
    frames = [messages_of(frame, encoding) for frame in client.frames()]
    assert sum(map(len, frames)) == count
    assert max(map(len, frames)) <= 16
