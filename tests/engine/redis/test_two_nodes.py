"""Two whole nodes: what the API of one does to clients of the other (engines specification, appendix B 16)."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from centrifast import errors
from centrifast.auth.claims import SubscriptionOverride
from centrifast.engine.redis.controller import RedisController
from centrifast.errors import ClientError
from centrifast.metrics import registry
from centrifast.model import StreamPosition
from centrifast.protocol.wire import Push, Refresh, Reply
from tests.client.fakes import NOW, Far, Server, config, settle, unsubscribed
from tests.client.streams import RECOVERABLE
from tests.engine.redis.bus import Bus, BusShard
from tests.engine.redis.nodes import PREFIX
from tests.fakes import FakeClock


class Nodes:
    """The API is called at *near*; clients are at both."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.near, self.far = self._server(), self._server(ids_from=100)

    def _server(self, ids_from: int = 0) -> Server:
        clock = FakeClock(NOW)
        for _ in range(ids_from):
            clock.new_id()
        controller = RedisController([BusShard(self.bus)], PREFIX, clock)
        options = replace(RECOVERABLE, presence=True)
        return Server(config(options=options), controller=controller, clock=clock)

    def connect(self, user: str) -> tuple[Far, Far]:
        """A client of *user* at each node; anonymous if it is empty."""
        claims: dict[str, Any] = {"sub": user} if user else {}
        return self.near.connect(**claims), self.far.connect(**claims)

    async def close(self) -> None:
        for server in (self.near, self.far):
            await server.node.close()
            server.close()


def run(test: Callable[[Nodes], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        nodes = Nodes()
        await settle()
        await test(nodes)
        await nodes.close()

    asyncio.run(main())


@pytest.mark.parametrize("user", ["42", ""])
def test_a_disconnect_ends_the_users_connections_and_nobody_elses(user: str) -> None:
    async def test(nodes: Nodes) -> None:
        meant, others = nodes.connect(user), (*nodes.connect("43"), *nodes.connect("" if user else "42"))
        await nodes.near.node.disconnect(user, disconnect=errors.FORCE_DISCONNECT)
        await settle()
        assert [client.closed_with for client in meant] == [errors.FORCE_DISCONNECT] * 2
        assert [client.closed_with for client in others] == [None] * 4

    run(test)


def test_a_disconnect_spares_those_it_names() -> None:
    async def test(nodes: Nodes) -> None:
        near, far = nodes.connect("42")
        spared = nodes.far.connect(sub="42")
        await nodes.near.node.disconnect(
            "42", whitelist=[near.id, spared.id], disconnect=errors.FORCE_RECONNECT
        )
        await settle()
        assert [client.closed_with for client in (near, far, spared)] == [None, errors.FORCE_RECONNECT, None]

    run(test)


def test_an_unsubscribe_tells_code_and_reason() -> None:
    async def test(nodes: Nodes) -> None:
        far = nodes.far.connect(sub="42", channels=["news"])
        await nodes.near.node.unsubscribe("42", "news", client=far.id)
        await settle()
        assert far.received() == [unsubscribed("news", errors.SERVER_UNSUBSCRIBE)]

    run(test)


def test_a_refresh_gives_another_expiration() -> None:
    async def test(nodes: Nodes) -> None:
        _, far = nodes.connect("42")
        await nodes.near.node.refresh("42", expire_at=NOW + 60)
        await settle()
        assert far.received() == [Reply(push=Push(refresh=Refresh(True, 60)))]
        await nodes.near.node.refresh("42", expired=True)
        await settle()
        assert far.closed_with == errors.CONNECTION_EXPIRED

    run(test)


def test_a_subscription_is_made_with_its_options_and_what_was_missed() -> None:
    async def test(nodes: Nodes) -> None:
        _, far = nodes.connect("42")
        await nodes.far.node.publish("news", b"1")
        epoch = (await nodes.far.node._read_top("news")).epoch
        await nodes.near.node.subscribe(
            "42",
            "news",
            info=b"3",
            data=b"4",
            override=SubscriptionOverride(presence=False),
            recover_since=StreamPosition(0, epoch),
        )
        await settle()
        told, missed = (reply.push for reply in far.received())
        assert told is not None
        assert told.subscribe is not None
        assert (told.subscribe.recoverable, bytes(told.subscribe.data)) == (True, b"4")
        assert missed is not None
        assert missed.pub is not None
        assert (missed.pub.offset, bytes(missed.pub.data)) == (1, b"1")
        assert far.session.info("news").chan_info == b"3"
        assert await nodes.far.node.presence("news") == {}

    run(test)


def test_channels_and_nodes_of_both_are_shown() -> None:
    async def test(nodes: Nodes) -> None:
        nodes.near.connect(channels=["news"])
        nodes.far.connect(channels=["news", "other"])
        assert await nodes.near.node.channels("n*") == {"news": 2}
        infos = await nodes.near.node.info()
        assert [info.uid for info in infos] == [nodes.near.node.uid, nodes.far.node.uid]
        assert [found.uid for found in await nodes.far.node.stats(1)] == [
            nodes.far.node.uid,
            nodes.near.node.uid,
        ]
        counted = dict(await nodes.near.node.control.metrics_of_all())
        assert [row.value for row in counted[registry.NODES]] == [2]

    run(test)


def test_while_redis_is_away_the_effect_is_local_and_the_answer_an_error() -> None:
    async def test(nodes: Nodes) -> None:
        near, far = nodes.connect("42")
        nodes.bus.is_away = True
        with pytest.raises(ClientError) as raised:
            await nodes.near.node.disconnect("42", disconnect=errors.FORCE_DISCONNECT)
        assert raised.value.error is errors.INTERNAL
        with pytest.raises(ClientError):
            await nodes.near.node.channels("")
        assert len(await nodes.near.node.info()) == 2
        assert (near.closed_with, far.closed_with) == (errors.FORCE_DISCONNECT, None)

    run(test)
