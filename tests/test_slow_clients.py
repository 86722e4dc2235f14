"""Who reads slowly, found without keeping the loop."""

import asyncio

import pytest

from centrifast import slow_clients
from centrifast.metrics.snapshot import SlowClient
from centrifast.slow_clients import slowest
from tests.client import conftest
from tests.client.fakes import Far, Server, done

serve = conftest.serve
server = conftest.server

PAYLOAD = b'"%b"' % (b"x" * 5000)


def queue(client: Far, messages: int) -> None:
    """Let messages wait for a client whose socket takes nothing."""
    client.transport.sink.block()
    for _ in range(messages):
        client.transport.sink.send(PAYLOAD)


def test_the_slowest_come_first_and_the_quick_not_at_all(server: Server) -> None:
    clients = [server.connect(sub=str(number)) for number in range(5)]
    for number, client in enumerate(clients[1:], 1):
        queue(client, number)
    expected = [
        SlowClient(client.id, client.session.user, client.transport.sink.queued) for client in clients[:0:-1]
    ]
    assert expected[0].bytes > 20_000
    assert done(slowest(server.hub.clients, 10)) == expected
    assert done(slowest(server.hub.clients, 2)) == expected[:2]
    assert done(slowest(server.hub.clients, 0)) == []


def test_the_loop_has_its_turn_and_clients_may_go_meanwhile(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "SLOW_LOOKS_AT_ONCE", 1)
    clients = [server.connect(), server.connect()]
    for client in clients:
        queue(client, 1)

    async def test() -> list[SlowClient]:
        looking = asyncio.create_task(slowest(server.hub.clients, 10))
        await asyncio.sleep(0)
        clients[1].vanish()
        server._clients.remove(clients[1])
        return await looking

    assert [client.client for client in asyncio.run(test())] == [clients[0].id]


def test_the_node_names_them_beside_its_numbers(server: Server) -> None:
    client = server.connect(sub="42")
    queue(client, 1)
    (stats,) = done(server.node.stats(1))
    assert (stats.name, stats.num_clients, stats.slow[0].client) == ("test", 1, client.id)
