"""Who reads a list, and what is taken off it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from centrifast.clock import SystemClock
from centrifast.consumers import list_lease
from centrifast.consumers.list_lease import NOTHING, Executed, ListLease, Outcome, beside
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.topology import slot_of
from tests.consumers.running import push, shard_of, until
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer
from tests.server.http_peer import run

KEY = b"jobs.api"

Scenario = Callable[[Shard], Awaitable[None]]


def on(server: RedisServer, scenario: Scenario) -> None:
    async def connected() -> None:
        async with shard_of(server) as shard:
            await scenario(shard)

    run(connected())


def lease(shard: Shard, reader: str = "one") -> ListLease:
    return ListLease(shard, KEY, reader, SystemClock(asyncio.get_running_loop()))


def elements(server: RedisServer) -> list[bytes]:
    found: list[bytes] = server.command("LRANGE", KEY, 0, -1)
    return found


def test_what_is_executed_is_taken_off_while_looking_further(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "b", "c", "d")
        one = lease(shard)
        first = await one.step(NOTHING, 2)
        assert (first.outcome, first.elements) == (Outcome.ANEW, [b"a", b"b"])
        assert elements(redis_server) == [b"a", b"b", b"c", b"d"]
        second = await one.step(Executed(2, b"a"), 2)
        assert (second.outcome, second.elements) == (Outcome.DONE, [b"c", b"d"])
        third = await one.step(Executed(1, b"c"), 2)
        assert (third.outcome, third.elements) == (Outcome.DONE, [b"d"])
        assert await one.release(Executed(1, b"d")) is Outcome.DONE
        assert redis_server.command("KEYS", "*") == []

    on(redis_server, scenario)


def test_one_reads_at_a_time(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "b")
        one, other = lease(shard), lease(shard, "two")
        await one.step(NOTHING, 1)
        assert (await other.step(NOTHING, 1)).outcome is Outcome.OTHERS
        assert (one.is_held, other.is_held) == (True, False)
        assert await other.release(Executed(1, b"a")) is Outcome.OTHERS
        assert await one.release(Executed(1, b"a")) is Outcome.DONE
        assert not one.is_held
        step = await other.step(NOTHING, 1)
        assert (step.outcome, step.elements, other.is_held) == (Outcome.ANEW, [b"b"], True)

    on(redis_server, scenario)


def test_a_step_whose_answer_was_lost_is_made_once(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "a", "a", "a")
        one = lease(shard)
        await one.step(NOTHING, 1)
        again = lease(shard)  # what the reader knows when it has not heard of its second step
        again._steps = one._steps
        await one.step(Executed(1, b"a"), 1)
        step = await again.step(Executed(1, b"a"), 9)
        assert (step.outcome, step.elements) == (Outcome.DONE, [b"a"] * 3)

    on(redis_server, scenario)


def test_after_the_lease_is_lost_nothing_is_taken_off(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "b")
        one = lease(shard)
        await one.step(NOTHING, 1)
        redis_server.command("DEL", beside(KEY, b".reader"))
        step = await one.step(Executed(1, b"a"), 1)
        assert (step.outcome, step.elements) == (Outcome.ANEW, [b"a"])
        assert await one.release(NOTHING) is Outcome.DONE
        assert await one.release(Executed(1, b"a")) is Outcome.ANEW
        assert elements(redis_server) == [b"a", b"b"]

    on(redis_server, scenario)


@pytest.mark.parametrize("left", [[], ["b"], ["x", "a"]])
def test_a_list_that_has_changed_is_left_alone(redis_server: RedisServer, left: list[str]) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "b")
        one = lease(shard)
        await one.step(NOTHING, 1)
        redis_server.command("DEL", KEY)
        push(redis_server, "jobs.api", *left)
        step = await one.step(Executed(1, b"a"), 9)
        assert (step.outcome, step.elements) == (Outcome.CHANGED, [word.encode() for word in left])

    on(redis_server, scenario)


def test_what_is_left_of_an_element_replaces_it(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a", "b and more", "c")
        one = lease(shard)
        await one.step(NOTHING, 9)
        assert await one.release(Executed(1, b"a", b"more")) is Outcome.DONE
        assert elements(redis_server) == [b"more", b"c"]
        await one.step(NOTHING, 9)
        assert await one.release(Executed(0, b"more", b"re")) is Outcome.DONE
        assert elements(redis_server) == [b"re", b"c"]

    on(redis_server, scenario)


def test_a_lease_expires_unless_it_is_prolonged(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        one = lease(shard)
        await one.step(NOTHING, 1)
        key = beside(KEY, b".reader")
        assert 0 < redis_server.command("PTTL", key) <= 10_000
        redis_server.command("PEXPIRE", key, 5000)
        await one.prolong()
        assert 5000 < redis_server.command("PTTL", key) <= 10_000
        assert one.is_held
        redis_server.command("SET", key, "two:1")
        await one.prolong()
        assert not one.is_held
        assert redis_server.command("PTTL", key) == -1

    on(redis_server, scenario)


def test_nobody_trusts_a_lease_that_is_old(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        clock = FakeClock()
        one = ListLease(shard, KEY, "one", clock)
        assert not one.is_held
        await one.step(NOTHING, 1)
        clock.advance(9.9)
        assert one.is_held
        clock.advance(0.2)
        assert not one.is_held

    on(redis_server, scenario)


def test_a_step_looks_at_no_more_bytes_than_it_may(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_lease, "LIST_BATCH_SIZE", 10)
    monkeypatch.setattr(list_lease, "CONSUMER_MESSAGE_SIZE", 20)

    async def scenario(shard: Shard) -> None:
        push(redis_server, "jobs.api", "a" * 5, "b" * 5, "c", "d" * 30, "e")
        one = lease(shard)
        assert (await one.step(NOTHING, 9)).elements == [b"aaaaa", b"bbbbb"]
        assert (await one.step(Executed(2, b"aaaaa"), 9)).elements == [b"c"]
        assert (await one.step(Executed(1, b"c"), 9)).elements == [b"d" * 21]
        assert (await one.step(Executed(1, b"d" * 21), 9)).elements == [b"e"]

    on(redis_server, scenario)


def test_a_list_and_its_lease_are_in_one_slot() -> None:
    for key in (b"centrifugo.api", b"{a}.api.3", b"x{a}y{b}"):
        assert slot_of(beside(key, b".reader")) == slot_of(key)
    assert beside(b"centrifugo.api", b".reader") == b"{centrifugo.api}.reader"
    assert beside(b"{a}.api", b".reader") == b"{a}.api.reader"


def test_a_shard_that_is_away_is_told(redis_server: RedisServer) -> None:
    async def scenario(shard: Shard) -> None:
        one = lease(shard)
        await shard.close()
        await until(lambda: not shard.is_usable)
        for asked in (one.step(NOTHING, 1), one.prolong(), one.release(NOTHING)):
            with pytest.raises(ConnectionError):
                await asked

    on(redis_server, scenario)
