"""Commands to a stream and its group."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from centrifast.consumers import stream_group
from centrifast.consumers.stream_group import BEGINNING, Entry, StreamGroup
from centrifast.engine.redis.contract import RedisError
from centrifast.metrics.metrics import QueueState
from tests.consumers.running import add, shard_of, until
from tests.redis_servers import RedisServer
from tests.server.http_peer import run

Scenario = Callable[[StreamGroup, StreamGroup], Awaitable[None]]


def on(server: RedisServer, scenario: Scenario) -> None:
    """Run a scenario with two consumers of one group."""

    async def connected() -> None:
        async with shard_of(server) as shard, shard_of(server, 5.0) as waiting:
            one, two = (StreamGroup(shard, waiting, "jobs", "group", name) for name in ("one", "two"))
            await scenario(one, two)

    run(connected())


def consumers(server: RedisServer) -> list[bytes]:
    return [facts[1] for facts in server.command("XINFO", "CONSUMERS", "jobs", "group")]


def test_a_new_group_is_given_what_comes_later(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        add(redis_server, "jobs", "early")
        for _ in range(2):  # by whoever comes first, and by everybody else
            await one.create()
        first, second = add(redis_server, "jobs", "a", method="m"), add(redis_server, "jobs", "b")
        assert await one.read(1, 1.0) == [Entry(first, {"payload": b"a", "method": b"m"})]
        assert await two.read(9, 1.0) == [Entry(second, {"payload": b"b"})]
        assert await two.read(9, 0.0) == []

    on(redis_server, scenario)


def test_a_read_waits_for_the_first_entry(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        reading = asyncio.create_task(one.read(1, 5.0))
        await until(lambda: redis_server.command("INFO", "clients").count(b"blocked_clients:1"))
        entry = add(redis_server, "jobs", "a")
        assert [found.id for found in await reading] == [entry]

    on(redis_server, scenario)


def test_what_is_not_acknowledged_can_be_claimed(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        ids = [add(redis_server, "jobs", str(number)) for number in range(3)]
        await one.read(9, 1.0)
        await one.acknowledge(ids[:1])
        assert [entry.id for entry in await one.own()] == ids[1:]
        assert await two.claim(60.0, BEGINNING, 9) == (BEGINNING, [])
        cursor, entries = await two.claim(0.0, BEGINNING, 1)
        assert (cursor, entries) == (ids[2], [Entry(ids[1], {"payload": b"1"})])
        assert await two.deliveries(entries[0]) == 3
        await two.forget_delivery(entries[0], 3)
        assert await two.deliveries(entries[0]) == 2
        cursor, entries = await two.claim(0.0, cursor, 9)
        assert (cursor, [entry.id for entry in entries]) == (BEGINNING, ids[2:])
        await two.acknowledge(ids)
        assert await two.deliveries(entries[0]) == 0
        assert await one.own() == await two.own() == []

    on(redis_server, scenario)


def test_an_entry_that_was_deleted_has_no_fields(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        entry = add(redis_server, "jobs", "a")
        await one.read(1, 1.0)
        redis_server.command("XDEL", "jobs", entry)
        assert await one.own() == [Entry(entry, None)]

    on(redis_server, scenario)


def test_names_that_are_no_text_are_told_apart(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        redis_server.command("XADD", "jobs", "*", b"\xff", b"a", b"\xfe", b"b")
        (entry,) = await one.read(1, 1.0)
        assert entry.fields == {"\\xff": b"a", "\\xfe": b"b"}

    on(redis_server, scenario)


# --------------------------------------------------------- a group that is lost


def test_a_group_that_is_lost_goes_on_after_the_last_entry_seen(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        add(redis_server, "jobs", "seen")
        await one.read(1, 1.0)
        entry = add(redis_server, "jobs", "missed")
        redis_server.command("XGROUP", "DESTROY", "jobs", "group")
        with pytest.raises(RedisError, match="NOGROUP"):
            await one.read(1, 1.0)
        await one.create()
        assert [found.id for found in await one.read(9, 1.0)] == [entry]

    on(redis_server, scenario)


@pytest.mark.parametrize("new_ids", [("9999999999999-1",), ("1-1", "1-2")])
def test_a_stream_that_is_made_again_is_read_from_its_beginning(
    redis_server: RedisServer, new_ids: tuple[str, ...]
) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        add(redis_server, "jobs", "seen")
        await one.read(1, 1.0)
        redis_server.command("DEL", "jobs")
        expected = [redis_server.command("XADD", "jobs", new_id, "payload", "a") for new_id in new_ids]
        await one.create()
        assert [found.id for found in await one.read(9, 1.0)] == expected

    on(redis_server, scenario)


def test_a_stream_that_is_gone_is_made(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        add(redis_server, "jobs", "seen")
        await one.read(1, 1.0)
        redis_server.command("DEL", "jobs")
        await one.create()
        entry = redis_server.command("XADD", "jobs", "1-1", "payload", "a")
        assert [found.id for found in await one.read(9, 1.0)] == [entry]

    on(redis_server, scenario)


def test_a_key_that_is_no_stream_is_told(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        add(redis_server, "jobs", "seen")
        await one.read(1, 1.0)
        redis_server.command("SET", "jobs", "text")
        for group in (one, two):
            with pytest.raises(RedisError, match="WRONGTYPE"):
                await group.create()

    on(redis_server, scenario)


# ---------------------------------------------------------------------- leaving


def test_who_leaves_is_removed_unless_it_owes_something(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        entry = add(redis_server, "jobs", "a")
        await one.read(1, 1.0)
        redis_server.command("XGROUP", "CREATECONSUMER", "jobs", "group", "two")
        await one.leave()
        await two.leave()
        assert consumers(redis_server) == [b"one"]
        assert redis_server.command("XPENDING", "jobs", "group")[0] == 1
        await one.acknowledge([entry])
        await one.leave()
        assert consumers(redis_server) == []

    on(redis_server, scenario)


def test_who_has_gone_is_removed_after_a_while(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        add(redis_server, "jobs", "a")
        await one.read(1, 1.0)
        redis_server.command("XGROUP", "CREATECONSUMER", "jobs", "group", "two")
        await two.sweep()
        assert sorted(consumers(redis_server)) == [b"one", b"two"]
        monkeypatch.setattr(stream_group, "STREAM_CONSUMER_LIFETIME", -1.0)
        await one.sweep()
        assert consumers(redis_server) == [b"one"]

    on(redis_server, scenario)


# --------------------------------------------------------------------- its state


def test_what_waits_in_a_stream(redis_server: RedisServer) -> None:
    async def scenario(one: StreamGroup, two: StreamGroup) -> None:
        await one.create()
        assert await one.state(0.0) == QueueState(lag=0, pending=0, pending_age=0.0)
        for number in range(3):
            redis_server.command("XADD", "jobs", f"5000-{number}", "payload", "a")
        await one.read(2, 1.0)
        assert await one.state(7.5) == QueueState(lag=1, pending=2, pending_age=2.5)
        assert await one.state(1.0) == QueueState(lag=1, pending=2, pending_age=0.0)
        redis_server.command("XGROUP", "DESTROY", "jobs", "group")
        assert await one.state(7.5) == QueueState()
        redis_server.command("DEL", "jobs")
        with pytest.raises(RedisError):
            await one.state(7.5)

    on(redis_server, scenario)


def test_the_server_itself_speaks_of_a_missing_group() -> None:
    """The code that the reader looks for is the one that Redis has."""
    with RedisServer() as server, pytest.raises(redis.ResponseError, match="NOGROUP"):
        server.command("XREADGROUP", "GROUP", "group", "one", "STREAMS", "jobs", ">")
