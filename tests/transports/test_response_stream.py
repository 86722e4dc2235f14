"""Responses that are written while something happens: chunks, their end, and peers that do not read."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from centrifast.limits import KIB, STREAM_QUEUE_SIZE
from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes
from centrifast.transports.front_door import FrontDoorSettings
from centrifast.transports.response_stream import ResponseStream, StreamingResponse
from tests.fakes import FakeClock
from tests.server.http_peer import Peer, echo, get, run, serving, until

HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n"
)
HTTP_1_0 = get("/stream").replace(b"HTTP/1.1", b"HTTP/1.0")
OTHER = get("/echo")


@dataclass
class Writer:
    """``StreamOwner`` that remembers what it was told."""

    stream: ResponseStream | None = None
    told: list[str] = field(default_factory=list)
    farewell: bytes = b""
    gate: asyncio.Event | None = None
    limit: int = STREAM_QUEUE_SIZE
    begin: Callable[[ResponseStream], object] = lambda stream: None

    async def handle(self, request: Request) -> Response:
        if self.gate is not None:
            await self.gate.wait()
        return StreamingResponse(
            content_type="text/plain", headers=(("X-A", "b"),), open=self.open, queue_limit=self.limit
        )

    def open(self, stream: ResponseStream) -> None:
        self.stream = stream
        stream.owner = self
        self.begin(stream)

    def on_stream_writable(self) -> None:
        self.told.append("writable")

    def on_stream_stop(self) -> None:
        self.told.append("stop")
        if self.stream is not None:
            self.stream.end(self.farewell)

    def on_stream_lost(self) -> None:
        self.told.append("lost")


def routes_to(writer: Writer) -> Routes:
    routes = Routes()
    routes.add("/stream", "stream", writer.handle)
    routes.add("/echo", "echo", echo)
    return routes


async def opened(writer: Writer) -> ResponseStream:
    await until(lambda: writer.stream)
    assert writer.stream is not None
    return writer.stream


async def head_of(peer: Peer) -> str:
    return (await peer.reader.readuntil(b"\r\n\r\n")).decode()


async def fill(stream: ResponseStream) -> int:
    """Write as much as it takes; how many KiB that were."""
    written = 0
    while stream.write(b"x" * KIB):
        written += 1
        await asyncio.sleep(0)
    return written


async def chunk_of(peer: Peer) -> bytes:
    size = int(await peer.reader.readuntil(b"\r\n"), 16)
    return (await peer.reader.readexactly(size + 2))[:-2]


def test_parts_arrive_as_chunks_when_they_are_written_and_the_connection_goes_on() -> None:
    async def scenario() -> None:
        writer = Writer()
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream") + OTHER)
            assert await head_of(peer) == HEAD
            stream = await opened(writer)
            assert stream.remote_address.startswith("127.0.0.1:")
            for part in (b"one\n", b"", b"x" * 300):
                assert stream.write(part)
            assert [await chunk_of(peer), await chunk_of(peer)] == [b"one\n", b"x" * 300]
            stream.end(b"bye")
            assert [await chunk_of(peer), await chunk_of(peer)] == [b"bye", b""]
            assert (await peer.answer()).body == b"GET /echo "  # it waited for the end
            assert not stream.write(b"late")
            stream.end(b"late")
            peer.send(OTHER)
            assert (await peer.answer()).status == 200
        assert writer.told == []

    run(scenario())


def test_http_1_0_gets_the_plain_body_and_the_end_of_the_connection() -> None:
    async def scenario() -> None:
        writer = Writer(begin=lambda stream: stream.write(b"one"))
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(HTTP_1_0)
            head = await head_of(peer)
            assert "Transfer-Encoding" not in head
            assert "Connection: close" in head
            (await opened(writer)).end(b"two")
            assert await peer.rest() == b"onetwo"

    run(scenario())


@pytest.mark.parametrize("waits", [False, True])
def test_a_stream_that_ends_at_once_is_a_response_like_others(waits: bool) -> None:
    async def scenario() -> None:
        writer = Writer(begin=lambda stream: stream.end(b"all"), gate=asyncio.Event() if waits else None)
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream") * 2 + OTHER)
            if writer.gate is not None:
                writer.gate.set()
            for _ in range(2):
                assert await head_of(peer) == HEAD
                assert [await chunk_of(peer), await chunk_of(peer)] == [b"all", b""]
            assert (await peer.answer()).body == b"GET /echo "

    run(scenario())


def test_head_gets_the_head() -> None:
    async def scenario() -> None:
        writer = Writer()
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream").replace(b"GET", b"HEAD") + OTHER)
            assert await head_of(peer) == HEAD
            assert (await peer.answer()).body == b"GET /echo "
        assert writer.stream is None

    run(scenario())


def test_a_peer_that_does_not_read_is_waited_for_by_nobody() -> None:
    async def scenario() -> None:
        writer = Writer(limit=64 * KIB)
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            stream = await opened(writer)
            written = await fill(stream)
            assert not stream.write(b"x" * KIB)
            await head_of(peer)
            for _ in range(written):
                assert await chunk_of(peer) == b"x" * KIB
            await until(lambda: writer.told)
            assert stream.write(b"again")
            assert await chunk_of(peer) == b"again"
        assert writer.told[0] == "writable"

    run(scenario())


def test_what_is_queued_leaves_before_the_end() -> None:
    async def scenario() -> None:
        writer = Writer(limit=64 * KIB)
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream", "Connection: close"))
            stream = await opened(writer)
            written = await fill(stream)
            stream.end(b"last")
            body = await peer.rest()
            assert body.count(b"x" * KIB) == written
            assert body.endswith(b"4\r\nlast\r\n0\r\n\r\n")

    run(scenario())


def test_a_peer_that_does_not_read_for_too_long_is_dropped() -> None:
    async def scenario() -> None:
        clock, writer = FakeClock(), Writer()
        settings = FrontDoorSettings(write_timeout=5)
        async with serving(routes_to(writer), clock, settings) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            stream = await opened(writer)
            clock.advance(60)  # a stream may be quiet for as long as it likes
            await fill(stream)
            clock.advance(10)
            await until(lambda: writer.told)
        assert writer.told == ["lost"]
        assert not stream.write(b"x")

    run(scenario())


@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_hangs_up_is_noticed(reset: bool) -> None:
    async def scenario() -> None:
        writer = Writer()
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            await opened(writer)
            if reset:
                peer.reset()
            else:
                peer.writer.write_eof()
            await until(lambda: writer.told)
        assert writer.told == ["lost"]

    run(scenario())


def test_a_peer_that_has_hung_up_before_the_stream_began_gets_none() -> None:
    async def scenario() -> None:
        writer = Writer(gate=asyncio.Event())
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            peer.writer.write_eof()
            await until(lambda: any(connection._eof for connection in served.door.connections))
            assert writer.gate is not None
            writer.gate.set()
            assert (await peer.rest()).decode() == HEAD
        assert writer.stream is None

    run(scenario())


def test_when_the_server_stops_each_stream_says_goodbye() -> None:
    async def scenario() -> None:
        writer, silent = Writer(farewell=b"bye"), Writer()
        silent.open = lambda stream: setattr(silent, "stream", stream)  # type: ignore[method-assign]
        routes = routes_to(writer)
        routes.add("/silent", "silent", silent.handle)
        async with serving(routes) as served:
            peer, other = await served.connect(), await served.connect()
            peer.send(get("/stream"))
            other.send(get("/silent"))
            await opened(writer)
            await opened(silent)
            served.door.drain()
            assert (await peer.rest()).decode() == HEAD + "3\r\nbye\r\n0\r\n\r\n"
            assert (await other.rest()).decode() == HEAD + "0\r\n\r\n"
        assert writer.told == ["stop"]

    run(scenario())


def test_a_stream_that_begins_while_the_server_stops_ends_at_once() -> None:
    async def scenario() -> None:
        writer = Writer(gate=asyncio.Event(), farewell=b"bye")
        async with serving(routes_to(writer)) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            await until(lambda: served.door.handlers)
            served.door.drain()
            assert writer.gate is not None
            writer.gate.set()
            assert (await peer.rest()).endswith(b"3\r\nbye\r\n0\r\n\r\n")

    run(scenario())


def test_a_bug_costs_its_connection_and_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def fail(stream: ResponseStream) -> None:
        raise RuntimeError("broken")

    async def scenario() -> None:
        async with serving(routes_to(Writer(begin=fail))) as served:
            peer = await served.connect()
            peer.send(get("/stream"))
            await until(lambda: not served.door.connections)
            other = await served.connect()
            other.send(OTHER)
            assert (await other.answer()).status == 200

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["http handler failed"]
