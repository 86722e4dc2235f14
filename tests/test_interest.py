"""The engine is asked for what somebody here wants, and told when nobody does."""

import pytest

from centrifast import errors
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
