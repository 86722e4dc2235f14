"""The tail endpoint over a socket: who may open it, what it writes, and how it ends."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from centrifast.api.handler import ApiHandler
from centrifast.api.live import TailEndpoint
from centrifast.config.schema_server import HttpApiConfig
from centrifast.limits import KIB, STREAM_QUEUE_SIZE, TAIL_ALIVE_INTERVAL, TAPS_AT_ONCE
from centrifast.server.routes import Routes
from tests.client.fakes import Server, SlowBroker, done, settle, subscribe, with_slow_broker
from tests.server.http_peer import Answer, Peer, Served, post, run, serving, until

KEY = "X-API-Key: key"


@asynccontextmanager
async def served_node(server: Server) -> AsyncIterator[Served]:
    routes = Routes()
    api = ApiHandler(HttpApiConfig(key="key"), server.node)
    api.add_to(routes)
    api.add_endpoint(routes, "tail", TailEndpoint(server.node).serve)
    async with serving(routes, server.clock) as served:
        yield served
    await until(lambda: not server.node.open_taps)
    server.lose_everybody()


class Lines:
    """The client's end of a tail."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.head = ""

    async def event(self) -> dict[str, Any]:
        """The next line without its time; an empty one at the end."""
        reader = self._peer.reader
        size = int(await reader.readuntil(b"\r\n"), 16)
        line = (await reader.readexactly(size + 2))[:-2]
        event: dict[str, Any] = json.loads(line) if line else {}
        event.pop("time", None)
        return event


async def tail(served: Served, **request: Any) -> Lines:
    """Open one; its first line has been read."""
    peer = await served.connect()
    peer.send(post("/api/tail", json.dumps(request).encode(), KEY))
    lines = Lines(peer)
    lines.head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
    assert (await lines.event())["event"] == "open"
    return lines


def ask(body: bytes, *headers: str, server: Server | None = None) -> Answer:
    """A request that is refused."""

    async def scenario() -> Answer:
        async with served_node(server or Server()) as served:
            peer = await served.connect()
            peer.send(post("/api/tail", body, *headers))
            return await peer.answer()

    return run(scenario())


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b'{"channel":"news"}', (), 401, ""),
        (b'{"channel":"news"}', ("X-API-Key: wrong",), 401, ""),
        (b"nonsense", (KEY,), 400, "Bad Request"),
        (b'{"channel":1}', (KEY,), 400, "Bad Request"),
        (b"{}", (KEY,), 200, '{"error":{"code":107,"message":"bad request"}}'),
        (b'{"user":null}', (KEY,), 200, '{"error":{"code":107,"message":"bad request"}}'),
        (b'{"channel":"a","user":"b"}', (KEY,), 200, '{"error":{"code":107,"message":"bad request"}}'),
        (b'{"channel":"nope:a"}', (KEY,), 200, '{"error":{"code":102,"message":"unknown channel"}}'),
        (
            b'{"channel":"nope:a"}',
            (KEY, "X-Centrifugo-Error-Mode: transport"),
            404,
            '{"code":102,"message":"unknown channel"}',
        ),
    ],
)
def test_what_is_refused(body: bytes, headers: tuple[str, ...], status: int, text: str) -> None:
    answer = ask(body, *headers)
    assert (answer.status, answer.body.decode()) == (status, text)


def test_a_channel_is_followed_until_the_peer_leaves(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines = await tail(served, channel="news")
            assert "Content-Type: application/x-ndjson\r\n" in lines.head
            assert "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n" in lines.head
            server.publish("news", b'{"a": 1}')
            server.publish("other", b"2")
            server.publish("news", b"3")
            first = {"event": "publication", "channel": "news", "size": 8, "data": {"a": 1}}
            assert await lines.event() == first
            assert (await lines.event())["data"] == 3
        assert server.is_empty

    with caplog.at_level(logging.INFO):
        run(scenario())
    logged = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]
    assert [name for name, _ in logged] == ["tail opened", "tail closed"]
    for _, fields in logged:
        assert fields["watched"] == "channel news"
        assert fields["address"].startswith("127.0.0.1:")


def test_a_user_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines, anonymous = await tail(served, user="42"), await tail(served, USER="")
            client = server.connect(sub="42")
            client.ask(subscribe(2, "news"))
            server.publish("news", b"1")
            done(server.node.unsubscribe("42", "news"))
            client.vanish()
            server._clients.clear()
            events = [await lines.event() for _ in range(8)]
            assert [event["event"] for event in events] == [
                *("connect", "command", "reply", "command", "reply"),
                *("publication", "push", "disconnect"),
            ]
            assert events[1]["request"]["token"] == "***"
            server.connect()
            assert (await anonymous.event())["event"] == "connect"

    with caplog.at_level(logging.INFO):
        run(scenario())
    watched = [record.__dict__["fields"].get("watched") for record in caplog.records]
    assert watched[:2] == ["user 42", "user (anonymous)"]


def test_members_are_seen_and_payloads_are_left_out_on_request() -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines = await tail(served, channel="news", no_payload=True)
            server.publish("news", b"1")
            assert await lines.event() == {"event": "publication", "channel": "news", "size": 1}
            client = server.connect(sub="42")
            done(server.broker.publish_join("news", client.session.info()))
            assert (await lines.event())["event"] == "join"

    run(scenario())


def test_a_slow_reader_is_told_how_much_it_has_missed() -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines = await tail(served, channel="news")
            payload = b'"%b"' % (b"x" * 4000)
            published = 0
            while not any(watcher._lost for watcher in server.node.open_taps):  # type: ignore[attr-defined]
                server.publish("news", payload)
                published += 1
                assert published < 100_000
                await asyncio.sleep(0)
            server.publish("news", b"1")
            published += 1
            shown = 0
            while (event := await lines.event())["event"] == "publication":
                shown += 1
            assert event == {"event": "lost", "lost": published - shown}
            assert shown * KIB * 4 > STREAM_QUEUE_SIZE
            server.publish("news", b"2")
            assert (await lines.event())["data"] == 2

    run(scenario())


def test_a_quiet_tail_shows_that_it_is_alive() -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines = await tail(served, channel="news")
            for _ in range(2):
                server.clock.advance(TAIL_ALIVE_INTERVAL)
                assert await lines.event() == {"event": "alive"}
        server.clock.advance(TAIL_ALIVE_INTERVAL)

    run(scenario())


def test_one_too_many_is_refused_with_the_limit() -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            for _ in range(TAPS_AT_ONCE):
                await tail(served, channel="news")
            peer = await served.connect()
            peer.send(post("/api/tail", b'{"channel":"news"}', KEY))
            answer = await peer.answer()
            assert (answer.status, answer.body) == (503, b"too many tails are open, at most 32 at once")
            await served.peers[0].close()
            await until(lambda: len(server.node.open_taps) < TAPS_AT_ONCE)
            await tail(served, channel="news")

    run(scenario())


def test_the_last_line_says_that_the_server_stops() -> None:
    async def scenario() -> None:
        server = Server()
        async with served_node(server) as served:
            lines = await tail(served, channel="news")
            served.door.drain()
            assert await lines.event() == {"event": "end", "reason": "the server stops"}
            assert await lines.event() == {}
            assert not server.node.open_taps

    run(scenario())


def test_the_last_line_says_that_the_engine_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        async with served_node(server) as served:
            peer = await served.connect()
            peer.send(post("/api/tail", b'{"channel":"news"}', KEY))
            await until(lambda: broker.waiting)
            broker.waiting[0].gate.set_exception(ConnectionError("away"))
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await Lines(peer).event() == {"event": "end", "reason": "the engine is away"}
            await settle()
            await broker.let_go("unsubscribe news")

    with_slow_broker(test)
