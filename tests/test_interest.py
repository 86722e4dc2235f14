"""The engine is asked for what somebody here wants, and told when nobody does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from centrifast import errors, interest
from centrifast.engine.memory import MemoryBroker
from centrifast.errors import BAD_REQUEST, ClientError
from centrifast.interest import Interest
from tests.client.fakes import (
    Far,
    Server,
    SlowBroker,
    publication,
    settle,
    subscribe,
    subscribed,
    token,
    unsubscribe,
    with_slow_broker,
)
from tests.fakes import FakeClock


def test_the_engine_is_asked_for_the_first_and_told_of_the_last_subscriber() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "news"))
        await broker.let_go("subscribe news")
        assert second.ask(subscribe(2, "news")) == [subscribed(2)]
        first.ask(unsubscribe(3, "news"))
        assert broker.asked == []
        second.ask(unsubscribe(3, "news"))
        await broker.let_go("unsubscribe news")
        assert broker.done == ["subscribe news", "unsubscribe news"]

    with_slow_broker(test)


async def _subscribe(client: Far, broker: SlowBroker) -> None:
    client.send(subscribe(2, "news"))
    await broker.let_go("subscribe news")
    assert client.received() == [subscribed(2)]


def test_who_comes_while_the_last_one_is_leaving_waits_for_both_requests() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await _subscribe(first, broker)
        first.vanish()
        second.send(subscribe(2, "news"))
        assert broker.asked == ["unsubscribe news"]
        await broker.let_go("unsubscribe news")
        assert broker.asked == ["subscribe news"]
        assert second.received() == []
        await broker.let_go("subscribe news")
        broker.deliver("news", b"1")
        assert second.received() == [subscribed(2), publication("news", b"1")]

    with_slow_broker(test)


def test_who_comes_and_goes_while_the_last_one_is_leaving_costs_no_request() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        await _subscribe(first, broker)
        first.vanish()
        second.send(subscribe(2, "news"))
        second.vanish()
        await broker.let_go("unsubscribe news")
        assert broker.done == ["subscribe news", "unsubscribe news"]

    with_slow_broker(test)


def test_requests_about_different_channels_do_not_wait_for_each_other() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second = server.connect(), server.connect()
        first.send(subscribe(2, "a"))
        second.send(subscribe(2, "b"))
        assert broker.asked == ["subscribe a", "subscribe b"]
        await broker.let_go("subscribe b")
        assert second.received() == [subscribed(2)]

    with_slow_broker(test)


def test_a_channel_that_a_connect_holds_is_kept_until_it_is_answered() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        held, other = server.open(), server.connect()
        held.write(b'{"id":1,"connect":{"token":"%s"}}' % token(channels=["news", "b"]).encode())
        await broker.let_go("subscribe news")
        other.send(subscribe(2, "news"))
        while "subscribe news" in broker.asked:  # asked a second time, which is harmless
            await broker.let_go("subscribe news")
        other.vanish()
        await settle()
        assert broker.asked == ["subscribe b"]
        await broker.let_go("subscribe b")
        broker.deliver("news", b"1")
        assert held.received()[1:] == [publication("news", b"1")]

    with_slow_broker(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError()])
def test_an_unsubscribe_that_fails_is_logged_and_the_channel_can_be_had_again(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        client = server.connect()
        await _subscribe(client, broker)
        client.ask(unsubscribe(3, "news"))
        await broker.let_go("unsubscribe news", failure)
        assert "unsubscribe failed" in caplog.text
        broker.subscribed.clear()
        client.send(subscribe(4, "news"))
        await broker.let_go("subscribe news")
        assert client.received() == [subscribed(4)]

    with_slow_broker(test)


def test_after_a_subscribe_that_failed_the_channel_can_be_had() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        first, second, third = (server.connect() for _ in range(3))
        first.send(subscribe(2, "news"))
        second.send(subscribe(2, "news"))
        await broker.let_go("subscribe news", ConnectionError("away"))
        assert (first.closed_with, second.closed_with) == (errors.INTERNAL_SERVER_ERROR,) * 2
        third.send(subscribe(2, "news"))
        await broker.let_go("unsubscribe news")
        await broker.let_go("subscribe news")
        assert third.received() == [subscribed(2)]

    with_slow_broker(test)


def test_a_second_request_that_fails_with_nobody_left_is_taken_back() -> None:
    async def test(server: Server, broker: SlowBroker) -> None:
        held, other = server.open(), server.connect(sub="42")
        held.write(b'{"id":1,"connect":{"token":"%s"}}' % token(channels=["news", "b"]).encode())
        await broker.let_go("subscribe news")
        other.send(subscribe(2, "news"))
        held.vanish()
        await server.node.unsubscribe("42", "news")
        await broker.let_go("subscribe news", ConnectionError("away"))
        await broker.let_go("unsubscribe news")
        assert "news" not in broker.subscribed

    with_slow_broker(test)


# ------------------------------------------------------------------ lingering


class NotingBroker(MemoryBroker):
    """Notes what it is asked for; the next calls fail with *failures*."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.asked: list[str] = []
        self.failures: list[Exception] = []

    async def subscribe(self, channel: str) -> None:
        await self._note(f"subscribe {channel}")

    async def unsubscribe(self, channel: str) -> None:
        await self._note(f"unsubscribe {channel}")

    async def _note(self, call: str) -> None:
        self.asked.append(call)
        if self.failures:
            raise self.failures.pop(0)


class World:
    """Interest in channels that linger for a second."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = NotingBroker()
        self.subscribed: set[str] = set()
        self.interest = Interest(self.broker, self.subscribed, self.clock, delay=1.0)

    async def come(self, channel: str = "news") -> None:
        """Somebody subscribes."""
        await self.interest.hold(channel)
        self.subscribed.add(channel)
        self.interest.let_go(channel)

    def go(self, channel: str = "news") -> None:
        """The last one leaves."""
        self.subscribed.discard(channel)
        self.interest.review(channel)


def lingering(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        world = World()
        await test(world)
        await world.interest.close()
        assert world.clock.timers == 0

    asyncio.run(run())


def test_who_comes_back_while_the_channel_lingers_costs_no_request() -> None:
    async def test(world: World) -> None:
        for _ in range(5):
            await world.come()
            world.go()
            world.clock.advance(0.9)
        await world.come()
        world.clock.advance(10)
        assert world.broker.asked == ["subscribe news"]

    lingering(test)


def test_channel_that_has_lingered_long_enough_is_unsubscribed() -> None:
    async def test(world: World) -> None:
        for channel in ("a", "b"):
            await world.come(channel)
            world.go(channel)
            world.clock.advance(0.5)
        assert world.broker.asked == ["subscribe a", "subscribe b", "unsubscribe a"]
        world.clock.advance(0.5)
        assert world.broker.asked[3:] == ["unsubscribe b"]
        await world.come("a")
        assert world.broker.asked[4:] == ["subscribe a"]

    lingering(test)


def test_who_is_told_twice_that_nobody_wants_it_lets_it_linger_once() -> None:
    async def test(world: World) -> None:
        await world.come()
        world.go()
        world.clock.advance(0.75)
        world.go()
        world.clock.advance(0.25)
        assert world.broker.asked == ["subscribe news", "unsubscribe news"]

    lingering(test)


def test_many_are_unsubscribed_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World) -> None:
        monkeypatch.setattr(interest, "UNSUBSCRIBES_AT_ONCE", 2)
        for number in range(5):
            await world.come(str(number))
            world.go(str(number))
        world.broker.asked.clear()
        world.clock.advance(1)
        assert world.broker.asked == [f"unsubscribe {number}" for number in range(5)]

    lingering(test)


@pytest.mark.parametrize("failure", [ConnectionError("away"), TimeoutError("slow"), ClientError(BAD_REQUEST)])
def test_channel_that_could_not_be_subscribed_does_not_linger(failure: Exception) -> None:
    async def test(world: World) -> None:
        world.broker.failures = [failure]
        with pytest.raises(type(failure)):
            await world.interest.hold("news")
        world.interest.let_go("news")
        assert world.broker.asked == ["subscribe news", "unsubscribe news"]
        await world.come()
        assert world.broker.asked[2:] == ["subscribe news"]
        world.go()
        assert world.broker.asked[3:] == []

    lingering(test)
