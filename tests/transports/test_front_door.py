import asyncio
import json
import resource

import pytest

from centrifast.metrics.metrics import Metrics
from centrifast.protocol.http1 import Request, Response
from centrifast.server.acceptor import UNAVAILABLE
from centrifast.server.routes import Routes
from centrifast.transports.front_door import REFUSAL_LOG_PERIOD, FrontDoorSettings, soft_descriptor_limit
from centrifast.transports.http_connection import SWEEP_PERIOD
from centrifast.transports.refusal import LINGER_TIMEOUT
from tests.fakes import FakeClock
from tests.server.http_peer import echo, get, run, serving, until

FULL = FrontDoorSettings(descriptor_limit=0)
"""No descriptor is left for anybody."""


def echo_routes() -> Routes:
    routes = Routes()
    routes.add("/echo", "echo", echo)
    return routes


def test_connections_beyond_the_descriptors_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(echo_routes(), clock, FULL) as served:
            for _ in range(3):
                peer = await served.connect()
                assert await peer.rest() == UNAVAILABLE
                await peer.close()
            assert len(caplog.records) == 1
            clock.advance(REFUSAL_LOG_PERIOD)
            assert await (await served.connect()).rest() == UNAVAILABLE
            assert len(caplog.records) == 2
            assert not served.door.connections
            clock.advance(LINGER_TIMEOUT + SWEEP_PERIOD)
            await until(lambda: served.door.refused == 0)
            clock.advance(SWEEP_PERIOD)
            assert clock.timers == 0

    run(scenario())
    assert caplog.records[0].getMessage() == "connections refused: out of descriptors"


@pytest.mark.parametrize(("limit", "ceiling"), [(20_000, 19_936), (512, 448), (256, 224), (64, 56), (0, 0)])
def test_some_descriptors_are_kept_and_few_of_few(limit: int, ceiling: int) -> None:
    assert FrontDoorSettings(descriptor_limit=limit).descriptor_ceiling == ceiling


def test_the_limit_is_the_one_of_the_process() -> None:
    assert FrontDoorSettings().descriptor_limit == soft_descriptor_limit()
    assert soft_descriptor_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_one_timer_serves_all_connections_and_stops_with_the_last() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(echo_routes(), clock) as served:
            assert clock.timers == 0
            peers = [await served.connect() for _ in range(5)]
            for peer in peers:
                peer.send(get())
                await peer.answer()
            assert clock.timers == 1
            for peer in peers:
                await peer.close()
            await until(lambda: not served.door.connections)
            clock.advance(SWEEP_PERIOD)
            assert clock.timers == 0
            peer = await served.connect()
            peer.send(get())
            assert (await peer.answer()).status == 200
            assert clock.timers == 1

    run(scenario())


def test_draining_closes_the_idle_and_lets_the_busy_finish() -> None:
    async def scenario() -> None:
        opened = asyncio.Event()
        waiting = False

        async def wait(request: Request) -> Response:
            nonlocal waiting
            waiting = True
            await opened.wait()
            return Response()

        routes = echo_routes()
        routes.add("/wait", "wait", wait)
        async with serving(routes) as served:
            idle, busy, partial = [await served.connect() for _ in range(3)]
            idle.send(get())
            await idle.answer()
            busy.send(get("/wait"))
            partial.send(get() + get()[:-1])
            await partial.answer()
            await until(lambda: waiting)
            served.door.drain()
            assert await idle.rest() == b""
            assert await (await served.connect()).rest() == UNAVAILABLE
            opened.set()
            partial.send(get()[-1:])
            for peer in (busy, partial):
                answer = await peer.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert await peer.rest() == b""

    run(scenario())


def test_closing_stops_handlers() -> None:
    async def scenario() -> None:
        stopped = False

        async def wait(request: Request) -> Response:
            nonlocal stopped
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped = True
                raise
            return Response()

        routes = Routes()
        routes.add("/wait", "wait", wait)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get("/wait"))
            await until(lambda: served.door.handlers)
            await served.door.close()
            assert stopped
            assert await peer.rest() == b""

    run(scenario())


def test_a_body_larger_than_small_is_read_only_where_a_path_takes_it() -> None:
    async def scenario() -> None:
        routes = echo_routes()
        routes.add("/large", "large", echo, ("POST",), lambda request: 200_000)
        body = json.dumps("x" * 100_000).encode()
        async with serving(routes) as served:
            for path, method, status in [
                ("/large", "POST", 200),
                ("/large", "PUT", 405),
                ("/echo", "POST", 413),
                ("/none", "POST", 413),
            ]:
                peer = await served.connect()
                head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                peer.send(head.encode() + body)
                assert (await peer.answer()).status == status

    run(scenario())


def test_answers_are_counted_by_path_of_an_endpoint_method_and_status() -> None:
    async def scenario() -> None:
        routes = echo_routes()
        routes.add_tree("/pages", "pages", echo, ("GET",))
        async with serving(routes) as served:
            served.door.requests = requests = Metrics().http_requests
            peer = await served.connect()
            for line in (
                "GET /echo",
                "GET /pages/a",
                "GET /pages/b",
                "POST /pages",
                "GET /made/up",
                "BREW /echo",
            ):
                peer.send(f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
                await peer.answer()
            peer.send(b"nonsense\r\n\r\n")
            assert (await peer.answer()).status == 400
            assert list(requests) == [
                (("/echo", "GET", 200), 1),
                (("/echo", "unknown", 200), 1),
                (("/pages", "GET", 200), 2),
                (("/pages", "POST", 405), 1),
                (("unknown", "GET", 404), 1),
                (("unknown", "unknown", 400), 1),
            ]

    run(scenario())
