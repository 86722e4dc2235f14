import asyncio

import pytest

from centrifast.protocol.http1 import Request, Response
from centrifast.server.routes import Routes, UpgradeRefusal
from centrifast.transports.front_door import FrontDoorSettings
from centrifast.transports.http_connection import (
    READ_AHEAD_LIMIT,
    REQUESTS_PER_TURN,
    SWEEP_PERIOD,
)
from centrifast.transports.refusal import LINGER_TIMEOUT
from tests.fakes import FakeClock
from tests.server.http_peer import Answer, Peer, echo, get, post, run, serving, until, upgrade

SLACK = 2.0
"""Seconds a timeout may be late."""

MIB = 1024 * 1024


class Gate:
    """A handler that waits until it is opened, and remembers the order of what it was given."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.seen: list[str] = []

    async def handle(self, request: Request) -> Response:
        self.seen.append(request.query)
        await self.opened.wait()
        return Response(200, request.query.encode())


class Taken(asyncio.Protocol):
    """Where an upgraded connection goes: what is sent to it comes back."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def routes_with_echo() -> Routes:
    routes = Routes()
    routes.add("/echo", "echo", echo)
    return routes


async def ask(peer: Peer, data: bytes) -> Answer:
    peer.send(data)
    return await peer.answer()


# ------------------------------------------------------------- plain requests


def test_keep_alive_serves_one_request_after_another() -> None:
    async def scenario() -> None:
        async with serving(routes_with_echo()) as served:
            peer = await served.connect()
            for number in range(3):
                answer = await ask(peer, post("/echo", b"%d" % number))
                assert (answer.status, answer.body) == (200, b"POST /echo %d" % number)
                assert answer.headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
                assert "connection" not in answer.headers

    run(scenario())


@pytest.mark.parametrize(
    "request_bytes", [get("/echo", "Connection: close"), get().replace(b"HTTP/1.1", b"HTTP/1.0")]
)
def test_a_peer_that_wants_no_more_is_closed(request_bytes: bytes) -> None:
    async def scenario() -> None:
        async with serving(routes_with_echo()) as served:
            peer = await served.connect()
            answer = await ask(peer, request_bytes + get())
            assert answer.headers["connection"] == "close"
            assert await peer.rest() == b""

    run(scenario())


def test_unknown_paths_and_methods() -> None:
    async def scenario() -> None:
        routes = Routes()
        routes.add("/post", "post", echo, ("POST",))
        async with serving(routes) as served:
            peer = await served.connect()
            answer = await ask(peer, get("/post/"))
            assert (answer.status, answer.body) == (404, b"404 page not found")
            answer = await ask(peer, get("/post"))
            assert (answer.status, answer.body, answer.headers["allow"]) == (405, b"", "POST")
            assert (await ask(peer, post("/post?a", b"x"))).body == b"POST /post x"

    run(scenario())


def test_head_gets_the_headers_only() -> None:
    async def scenario() -> None:
        async with serving(routes_with_echo()) as served:
            peer = await served.connect()
            peer.send(get().replace(b"GET", b"HEAD") + get())
            assert (await peer.answer(with_body=False)).headers["content-length"] == "11"
            assert (await peer.answer()).body == b"GET /echo "

    run(scenario())


def test_a_body_may_come_after_100_continue() -> None:
    async def scenario() -> None:
        async with serving(routes_with_echo()) as served:
            peer = await served.connect()
            peer.send(post("/echo", b"body", "Expect: 100-continue").removesuffix(b"body"))
            assert await peer.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await ask(peer, b"body")).body == b"POST /echo body"

    run(scenario())


def test_a_handler_that_fails_costs_its_request_only(caplog: pytest.LogCaptureFixture) -> None:
    async def fail_at_once(request: Request) -> Response:
        raise RuntimeError(request.path)

    async def fail_later(request: Request) -> Response:
        await asyncio.sleep(0)
        raise RuntimeError(request.path)

    async def scenario() -> None:
        routes = routes_with_echo()
        routes.add("/now", "fail", fail_at_once)
        routes.add("/later", "fail", fail_later)
        async with serving(routes) as served:
            peer = await served.connect()
            for path in ("/now", "/later"):
                answer = await ask(peer, get(path))
                assert (answer.status, answer.body) == (500, b"Internal Server Error")
            assert (await ask(peer, get())).status == 200

    run(scenario())
    assert [record.exc_info and str(record.exc_info[1]) for record in caplog.records] == ["/now", "/later"]


# ----------------------------------------------------------------- pipelining


def test_pipelined_requests_are_answered_in_order_though_one_waits() -> None:
    async def scenario() -> None:
        gate = Gate()
        routes = routes_with_echo()
        routes.add("/wait", "wait", gate.handle)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/echo") + get("/wait?1") + get("/wait?2") + get("/echo"))
            assert (await peer.answer()).body == b"GET /echo "
            assert gate.seen == ["1"]  # one after another: publications of one connection keep their order
            gate.opened.set()
            assert [(await peer.answer()).body for _ in range(3)] == [b"1", b"2", b"GET /echo "]
            assert gate.seen == ["1", "2"]

    run(scenario())


def test_a_long_pipeline_leaves_others_their_turn() -> None:
    async def scenario() -> None:
        order: list[str] = []

        async def note(request: Request) -> Response:
            order.append(request.query)
            return Response()

        routes = Routes()
        routes.add("/note", "note", note)
        async with serving(routes) as served:
            many, single = await served.connect(), await served.connect()
            many.send(get("/note?many") * (3 * REQUESTS_PER_TURN))
            single.send(get("/note?single"))
            await single.answer()
            for _ in range(3 * REQUESTS_PER_TURN):
                await many.answer()
            assert order.index("single") < 3 * REQUESTS_PER_TURN

    run(scenario())


def test_reading_stops_while_too_much_waits() -> None:
    async def scenario() -> None:
        gate = Gate()
        routes = routes_with_echo()
        routes.add("/wait", "wait", gate.handle)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/wait?1"))
            await until(lambda: gate.seen)
            (connection,) = served.door.connections
            count = 64 * MIB // len(get())
            peer.send(get() * count)
            await until(lambda: connection.is_reading_paused)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert connection.read_ahead <= READ_AHEAD_LIMIT + 512 * 1024  # and one read of the loop
            gate.opened.set()
            assert (await peer.answer()).body == b"1"
            peer.writer.transport.abort()

    run(scenario())


def test_a_peer_that_does_not_read_answers_is_not_read_from_and_dropped() -> None:
    async def scenario() -> None:
        served_count = 0

        async def large(request: Request) -> Response:
            nonlocal served_count
            served_count += 1
            return Response(200, bytes(MIB))

        routes = Routes()
        routes.add("/large", "large", large)
        clock = FakeClock()
        async with serving(routes, clock) as served:
            peer = await served.connect()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.send(get("/large") * 1000)
            await until(lambda: served_count > 2)
            (connection,) = served.door.connections
            await until(lambda: connection.is_writing_paused)
            assert served_count < 100
            clock.advance(FrontDoorSettings().write_timeout + SLACK)
            await until(lambda: not served.door.connections)
            peer.writer.transport.abort()

    run(scenario())


def test_a_slow_peer_gets_everything() -> None:
    async def scenario() -> None:
        async def large(request: Request) -> Response:
            return Response(200, request.query.encode() * MIB)

        routes = Routes()
        routes.add("/large", "large", large)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(b"".join(get(f"/large?{number}") for number in range(8)))
            (connection,) = served.door.connections
            await until(lambda: connection.is_writing_paused)
            for number in range(8):
                assert (await peer.answer()).body == b"%d" % number * MIB

    run(scenario())


def test_a_half_closed_peer_gets_its_answers() -> None:
    async def scenario() -> None:
        gate = Gate()
        routes = routes_with_echo()
        routes.add("/wait", "wait", gate.handle)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/wait?1") + get("/echo"))
            peer.writer.write_eof()
            await until(lambda: gate.seen)
            for _ in range(10):
                await asyncio.sleep(0)
            gate.opened.set()
            assert (await peer.answer()).body == b"1"
            assert (await peer.answer()).body == b"GET /echo "
            assert await peer.rest() == b""

    run(scenario())


def test_a_lost_peer_does_not_stop_its_handler() -> None:
    async def scenario() -> None:
        gate = Gate()
        routes = routes_with_echo()
        routes.add("/wait", "wait", gate.handle)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/wait?1"))
            await until(lambda: gate.seen)
            peer.reset()
            await until(lambda: not served.door.connections)
            assert len(served.door.handlers) == 1
            gate.opened.set()
            await until(lambda: not served.door.handlers)

    run(scenario())


# ------------------------------------------------------------------- refusals


def test_a_violation_is_answered_behind_what_came_before_and_closes() -> None:
    async def scenario() -> None:
        async with serving(routes_with_echo()) as served:
            peer = await served.connect()
            peer.send(get() + b"GET / HTTP/1.1\r\n\r\n" + get())
            assert (await peer.answer()).status == 200
            answer = await peer.answer()
            assert (answer.status, answer.body) == (400, b"missing Host")
            assert answer.headers["connection"] == "close"
            assert await peer.rest() == b""

    run(scenario())


def test_a_refusal_reaches_a_peer_that_is_still_sending() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(routes_with_echo(), clock) as served:
            peer = await served.connect()
            peer.send(post("/echo", bytes(8 * MIB)))
            assert (await peer.answer()).status == 413
            assert await peer.rest() == b""
            await peer.writer.drain()
            clock.advance(LINGER_TIMEOUT + SLACK)
            await until(lambda: not served.door.connections)

    run(scenario())


# ------------------------------------------------------------------- timeouts


@pytest.mark.parametrize(
    ("partial", "timeout", "expected"),
    [
        (
            b"GET /echo HTTP/1.1\r\nHost",
            FrontDoorSettings().head_timeout,
            b"HTTP/1.1 408 Request Timeout\r\n",
        ),
        (
            post("/echo", b"body")[:-1],
            FrontDoorSettings().request_timeout,
            b"HTTP/1.1 408 Request Timeout\r\n",
        ),
        (b"", FrontDoorSettings().idle_timeout, b""),
    ],
    ids=["head", "body", "idle"],
)
def test_a_slow_peer_times_out(partial: bytes, timeout: float, expected: bytes) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(routes_with_echo(), clock) as served:
            peer = await served.connect()
            assert (await ask(peer, get() + partial)).status == 200
            clock.advance(timeout)
            assert len(served.door.connections) == 1
            answer = await ask(await served.connect(), get())  # others are not affected
            assert answer.status == 200
            clock.advance(SLACK)
            assert (await peer.rest()).startswith(expected)

    run(scenario())


def test_a_peer_that_says_nothing_times_out_like_a_slow_head() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(routes_with_echo(), clock) as served:
            peer = await served.connect()
            await until(lambda: served.door.connections)
            clock.advance(FrontDoorSettings().head_timeout + SLACK)
            assert await peer.rest() == b""

    run(scenario())


def test_a_dribbling_head_does_not_extend_its_time() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(routes_with_echo(), clock) as served:
            peer = await served.connect()
            assert (await ask(peer, get() + b"GET /echo HTTP/1.1\r\nA: ")).status == 200
            (connection,) = served.door.connections
            for _ in range(int(FrontDoorSettings().head_timeout + SWEEP_PERIOD)):
                before = connection.read_ahead
                peer.send(b"x")
                await until(lambda before=before: connection.read_ahead != before)  # type: ignore[misc]
                clock.advance(1)
            assert (await peer.answer()).status == 408

    run(scenario())


def test_a_handler_may_take_its_time() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        gate = Gate()
        routes = routes_with_echo()
        routes.add("/wait", "wait", gate.handle)
        async with serving(routes, clock) as served:
            peer = await served.connect()
            peer.send(get("/wait?1"))
            await until(lambda: gate.seen)
            clock.advance(1000)
            gate.opened.set()
            assert (await peer.answer()).body == b"1"
            clock.advance(FrontDoorSettings().idle_timeout)
            assert (await ask(peer, get())).status == 200

    run(scenario())


# ------------------------------------------------------------------- upgrades


def test_an_upgrade_gives_the_connection_away() -> None:
    async def scenario() -> None:
        given: list[tuple[str | None, bytes]] = []

        def take(transport: asyncio.Transport, request: Request, rest: bytes) -> UpgradeRefusal | None:
            given.append((request.headers.get("origin"), rest))
            transport.set_protocol(Taken(transport))
            transport.write(b"taken")
            return None

        clock = FakeClock()
        routes = routes_with_echo()
        routes.add_upgrade("/ws", "websocket", take)
        async with serving(routes, clock) as served:
            peer = await served.connect()
            assert (await ask(peer, get())).status == 200  # a request before does no harm
            peer.send(upgrade(Origin="http://a") + b"\x81\x00")
            assert await peer.reader.readexactly(5) == b"taken"
            assert given == [("http://a", b"\x81\x00")]
            assert not served.door.connections
            clock.advance(1000)
            peer.send(b"frames")
            assert await peer.reader.readexactly(6) == b"frames"
            peer.writer.transport.abort()

    run(scenario())


def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    async def scenario() -> None:
        refusals = [
            UpgradeRefusal(403, b"Forbidden"),
            UpgradeRefusal(503, headers=(("Retry-After", "1"),)),
        ]
        routes = routes_with_echo()
        routes.add_upgrade("/ws", "websocket", lambda transport, request, rest: refusals.pop(0))
        async with serving(routes) as served:
            peer = await served.connect()
            answer = await ask(peer, upgrade())
            assert (answer.status, answer.body) == (403, b"Forbidden")
            answer = await ask(peer, upgrade() + get())
            assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"", "1")
            assert (await peer.answer()).body == b"GET /echo "

    run(scenario())


def test_what_is_no_handshake_never_reaches_the_handler() -> None:
    async def scenario() -> None:
        def never(transport: asyncio.Transport, request: Request, rest: bytes) -> UpgradeRefusal | None:
            raise AssertionError(request)

        routes = routes_with_echo()
        routes.add_upgrade("/ws", "websocket", never)
        async with serving(routes) as served:
            peer = await served.connect()
            answer = await ask(peer, get("/ws"))
            assert (answer.status, answer.body) == (400, b"Bad Request")
            answer = await ask(peer, upgrade(Sec_WebSocket_Version="8"))
            assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")
            assert (await ask(peer, upgrade("/echo"))).body == b"GET /echo "  # no business of this path

    run(scenario())


def test_an_upgrade_behind_unanswered_requests_is_refused() -> None:
    async def scenario() -> None:
        def never(transport: asyncio.Transport, request: Request, rest: bytes) -> UpgradeRefusal | None:
            raise AssertionError(request)

        routes = routes_with_echo()
        routes.add_upgrade("/ws", "websocket", never)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get() + upgrade())
            assert (await peer.answer()).status == 200
            assert (await peer.answer()).status == 400
            assert await peer.rest() == b""

    run(scenario())
