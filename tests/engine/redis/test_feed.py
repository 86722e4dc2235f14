"""What is subscribed to stays so whatever happens to the connection, and what comes is delivered or counted."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from centrifast.engine.redis.codec import encode_join, encode_leave, encode_publication
from centrifast.engine.redis.feed import Feed
from centrifast.model import ClientInfo
from tests.contract.test_broker import Recorder
from tests.engine.redis.fakes import FakePubSub, FakeShard

NEWS, SPORT = b"app.client.news", b"app.client.sport"
FRAME = encode_publication(b"1", None, None, 0)


class World:
    """A feed, its connection, and who is told."""

    def __init__(self) -> None:
        self.events = Recorder()
        shard = FakeShard()
        self.feed = Feed(shard, b"app.shard.0", None, self.events)
        [(_, _, self.pubsub)] = shard.pubsubs

    async def subscribe(self) -> None:
        await self.feed.subscribe(NEWS, "news")
        await self.feed.subscribe(SPORT, "sport")

    def lose(self) -> FakePubSub:
        """The connection ends, and is being made again: what was subscribed to is gone."""
        self.pubsub.is_usable = False
        self.pubsub.subscribed = set(self.feed.wanted())
        return self.pubsub

    def restore(self) -> None:
        """It is there again."""
        self.pubsub.is_usable = True
        self.feed.on_restored()


def in_world(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await test(World())

    asyncio.run(run())


def test_everything_subscribed_is_wanted() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        assert set(world.feed.wanted()) == {NEWS, SPORT} == world.pubsub.subscribed
        await world.feed.unsubscribe(NEWS)
        assert set(world.feed.wanted()) == {SPORT} == world.pubsub.subscribed

    in_world(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError("slow")])
def test_what_could_not_be_subscribed_is_not_wanted(failure: Exception) -> None:
    async def test(world: World) -> None:
        world.pubsub.failure = failure
        with pytest.raises(type(failure)):
            await world.feed.subscribe(NEWS, "news")
        assert set(world.feed.wanted()) == set()

    in_world(test)


def test_what_was_subscribed_before_stays_wanted_when_it_fails_again() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        world.lose()
        with pytest.raises(ConnectionError):
            await world.feed.subscribe(NEWS, "news")
        assert set(world.feed.wanted()) == {NEWS, SPORT}

    in_world(test)


def test_what_is_asked_for_is_subscribed_even_if_the_connection_is_made_anew_meanwhile() -> None:
    async def test(world: World) -> None:
        world.pubsub.gate = asyncio.Event()
        asked = asyncio.ensure_future(world.feed.subscribe(NEWS, "news"))
        await asyncio.sleep(0)
        assert set(world.feed.wanted()) == {NEWS}
        world.feed.on_message(NEWS, FRAME)
        assert world.events.data() == [b"1"]
        world.pubsub.gate.set()
        await asked

    in_world(test)


def test_unsubscribing_while_the_connection_is_away_is_made_up_for() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        pubsub = world.lose()
        await world.feed.unsubscribe(NEWS)
        assert pubsub.subscribed == {NEWS, SPORT}
        world.restore()
        assert pubsub.subscribed == {SPORT}
        assert set(world.feed.wanted()) == {SPORT}

    in_world(test)


def test_what_is_wanted_again_before_the_connection_is_back_is_not_unsubscribed() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        pubsub = world.lose()
        await world.feed.unsubscribe(NEWS)
        pubsub.is_usable = True  # everything is subscribed to, and nobody has been told yet
        await world.feed.subscribe(NEWS, "news")
        world.restore()
        assert pubsub.subscribed == {NEWS, SPORT}

    in_world(test)


def test_who_was_interrupted_is_told() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        world.lose()
        assert world.events.interrupted == []
        world.restore()
        assert world.events.interrupted == ["news", "sport"]

    in_world(test)


def test_messages_come_in_their_order() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        ann = ClientInfo("ann", "a1")
        world.feed.on_message(NEWS, encode_join(ann))
        world.feed.on_message(NEWS, FRAME)
        world.feed.on_message(SPORT, encode_leave(ann))
        assert world.events.order == ["join", "publication", "leave"]
        assert world.events.comings == [("join", "news", ann), ("leave", "sport", ann)]

    in_world(test)


def test_message_of_a_channel_that_was_left_is_not_delivered() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        world.lose()
        await world.feed.unsubscribe(NEWS)
        world.feed.on_message(NEWS, FRAME)
        world.feed.on_message(b"app.shard.0", FRAME)
        assert world.events.order == []

    in_world(test)


def test_message_that_cannot_be_read_is_counted_and_costs_no_other() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        for garbage in (b"__x__", b"\xff", b"__p1:1:e"):
            world.feed.on_message(NEWS, garbage)
        world.feed.on_message(NEWS, FRAME)
        assert world.events.data() == [b"1"]
        assert list(world.events.metrics.pub_sub_dropped) == [(("client",), 3)]
        assert list(world.events.metrics.pub_sub_errors) == [(("handle_client_message",), 3)]

    in_world(test)


def at(offset: int, epoch: str = "a") -> bytes:
    """A publication's frame, with its position."""
    return b"__p1:%d:%s__%s" % (offset, epoch.encode(), FRAME)


def test_a_stream_that_gives_an_offset_again_has_gone_back() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        for frame in (at(7), at(8), FRAME, at(10), at(9), at(10), at(1, "b")):
            world.feed.on_message(NEWS, frame)
        assert world.events.order == [*["publication"] * 4, "rewound", *["publication"] * 3]
        world.events.order.clear()
        world.lose()
        world.restore()
        world.feed.on_message(NEWS, at(1, "b"))
        assert world.events.order == ["rewound", "publication"]

    in_world(test)


def test_channels_are_compared_with_themselves_while_they_are_subscribed() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        world.feed.on_message(NEWS, at(7))
        world.feed.on_message(SPORT, at(3))
        await world.feed.unsubscribe(NEWS)
        await world.subscribe()  # what has come by before may have been shown by history meanwhile
        world.feed.on_message(NEWS, at(7))
        assert world.events.order == ["publication"] * 3

    in_world(test)


def test_nothing_comes_after_close() -> None:
    async def test(world: World) -> None:
        await world.subscribe()
        await world.feed.close()
        world.feed.on_message(NEWS, FRAME)
        world.feed.on_restored()
        assert world.pubsub.is_closed
        assert world.events.order == world.events.interrupted == []

    in_world(test)
