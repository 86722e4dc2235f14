"""Everybody is disconnected, at once or spread over a time."""

import asyncio

from centrifast.errors import SHUTDOWN
from centrifast.farewell import disconnect_all, disconnect_newcomers
from tests.client import conftest
from tests.client.conftest import Serve
from tests.client.fakes import Far

serve = conftest.serve


def gone(clients: list[Far]) -> int:
    return sum(client.closed_with == SHUTDOWN for client in clients)


def test_all_are_disconnected_at_once(serve: Serve) -> None:
    server = serve()
    clients = [*(server.connect() for _ in range(250)), server.open()]
    asyncio.run(disconnect_all(server.node.hub, server.clock))
    assert gone(clients) == len(clients)


def test_a_spread_is_even_and_the_rest_is_served(serve: Serve) -> None:
    server = serve()
    clients = [server.subscriber("news") for _ in range(10)]

    async def main() -> None:
        leaving = asyncio.ensure_future(disconnect_all(server.node.hub, server.clock, spread=5.0))
        for tenth in range(10):
            await asyncio.sleep(0)
            assert gone(clients) == tenth + 1
            server.publish("news", b"%d" % tenth)
            server.clock.advance(0.5)
            for _ in range(3):  # for whoever has been woken
                await asyncio.sleep(0)
        await leaving

    asyncio.run(main())
    received = [[reply for reply in client.received() if reply.push] for client in clients]
    assert [len(publications) for publications in received] == list(range(10))


def test_who_was_on_the_way_is_disconnected_too(serve: Serve) -> None:
    server = serve()
    late = server.open()
    disconnect_newcomers(server.node.hub)
    assert late.closed_with == SHUTDOWN


def test_a_stop_that_is_given_up_leaves_no_timer(serve: Serve) -> None:
    server = serve()
    server.connect(), server.connect()

    async def main() -> None:
        before = server.clock.timers
        leaving = asyncio.ensure_future(disconnect_all(server.node.hub, server.clock, spread=5.0))
        await asyncio.sleep(0)
        assert server.clock.timers == before + 1
        leaving.cancel()
        await asyncio.wait([leaving])
        assert server.clock.timers == before

    asyncio.run(main())
