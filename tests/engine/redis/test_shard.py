"""Commands and scripts to a real server, and what becomes of them when it goes away."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from centrifast.clock import Clock, SystemClock
from centrifast.engine.redis.contract import RedisError, Reply, Script
from centrifast.engine.redis.settings import ShardSettings
from centrifast.engine.redis.shard import ServerShard
from tests.engine.redis.listening import Listener, settings_of
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer
from tests.server.http_peer import run, until

SOURCE = b"return redis.call('incrby', KEYS[1], ARGV[1])"
INCREASE = Script("increase", SOURCE, hashlib.sha1(SOURCE).hexdigest().encode())


@asynccontextmanager
async def started(settings: ShardSettings, clock: Clock | None = None) -> AsyncIterator[ServerShard]:
    shard = ServerShard(settings, clock or SystemClock(asyncio.get_running_loop()))
    await shard.start()
    try:
        yield shard
    finally:
        await shard.close()


async def outcome(ask: Callable[[], Awaitable[Reply]]) -> object:
    """The reply or the error."""
    try:
        return await ask()
    except (ConnectionError, TimeoutError, RedisError) as error:
        return error


def test_commands_are_answered(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with started(settings_of(redis_server)) as shard:
            assert (shard.name, shard.is_cluster, shard.is_usable) == (redis_server.address, False, True)
            replies = [shard.call(b"k", ["SET", b"k", 1]), shard.call(b"k", ("INCR", b"k"))]
            assert await asyncio.gather(*replies) == [b"OK", 2]
        assert not shard.is_usable

    run(test())


def test_a_server_is_taught_a_script_once(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with started(settings_of(redis_server)) as shard:
            assert [await shard.run(INCREASE, [b"k"], [2]) for _ in range(3)] == [2, 4, 6]
        counts = redis_server.command("INFO", "commandstats").decode()
        assert "cmdstat_script|load:calls=1," in counts
        assert "cmdstat_evalsha:calls=3," in counts
        assert "cmdstat_eval:" not in counts

    redis_server.command("CONFIG", "RESETSTAT")
    run(test())


def test_the_first_call_of_a_script_is_not_overtaken() -> None:
    async def test() -> None:
        async with started(settings_of(server)) as shard:
            for number in (1, 2):
                asked = shard.run(INCREASE, [b"k"], [number]), shard.call(b"k", ("GET", "k"))
                assert list(await asyncio.gather(*asked)) == [number, b"%d" % number]
                server.restart()  # empty, and it has to be taught again
                await until(lambda: not shard.is_usable)
                await until(lambda: shard.is_usable)

    with RedisServer() as server:
        run(test())


def test_a_server_that_must_not_be_taught_is_sent_the_whole() -> None:
    async def test() -> None:
        async with started(settings_of(server)) as shard:
            assert [await shard.run(INCREASE, [b"k"], [2]) for _ in range(2)] == [2, 4]

    with RedisServer() as server:
        server.command("ACL", "SETUSER", "default", "-script|load")
        run(test())


def test_forgotten_scripts_lose_and_repeat_nothing(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with started(settings_of(redis_server)) as shard:
            found: list[object] = []

            async def work() -> None:
                for _ in range(100):
                    found.append(await shard.run(INCREASE, [b"k"], [1]))

            workers = [asyncio.create_task(work()) for _ in range(20)]
            while not all(worker.done() for worker in workers):
                await shard.call(b"", ("SCRIPT", "FLUSH"))
            await asyncio.gather(*workers)
            assert sorted(found) == list(range(1, 2001))  # type: ignore[type-var]

    run(test())


def test_an_error_of_a_script_is_told_and_nothing_is_run_again(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with started(settings_of(redis_server)) as shard:
            await shard.call(b"k", ("SET", "k", "text"))
            with pytest.raises(RedisError, match="not an integer"):
                await shard.run(INCREASE, [b"k"], [1])
            with pytest.raises(RedisError, match="WRONGTYPE"):
                await shard.call(b"k", ("LPUSH", "k", 1))

    run(test())


def test_a_full_server_refuses_and_stays_connected() -> None:
    with RedisServer("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:

        async def test() -> None:
            async with started(settings_of(server)) as shard:
                for refused in (
                    shard.call(b"k", ("SET", "k", b"x" * 1000)),
                    shard.run(INCREASE, [b"k"], [1]),
                ):
                    with pytest.raises(RedisError) as raised:
                        await refused
                    assert raised.value.code == "OOM"
                server.command("CONFIG", "SET", "maxmemory", "0")
                assert await shard.call(b"k", ("SET", "k", b"x" * 1000)) == b"OK"

        run(test())


def test_a_start_without_a_server_fails() -> None:
    with RedisServer() as server:
        settings = settings_of(server)

    async def test() -> None:
        shard = ServerShard(settings, SystemClock(asyncio.get_running_loop()))
        with pytest.raises(ConnectionError, match=r"Redis at 127\.0\.0\.1:\d+ can not be reached"):
            await shard.start()
        with pytest.raises(ConnectionError, match="there is no connection"):
            await shard.call(b"k", ("GET", "k"))
        await shard.close()

    run(test())


def test_the_first_place_that_answers_is_taken(redis_server: RedisServer) -> None:
    with RedisServer() as dead:
        settings = settings_of(dead, redis_server)

    async def test() -> None:
        async with started(settings) as shard:
            assert await shard.call(b"k", ("SET", "k", "here")) == b"OK"

    run(test())
    assert redis_server.command("GET", "k") == b"here"


@pytest.mark.parametrize("end", ["crash", "client kill"])
def test_calls_fail_at_once_until_the_connection_is_made_again(end: str) -> None:
    with RedisServer() as server:

        async def test() -> None:
            async with started(settings_of(server)) as shard:
                waiting = asyncio.gather(
                    *(outcome(lambda: shard.call(b"k", ("BLPOP", "absent", 0))) for _ in range(3))
                )
                await asyncio.sleep(0)
                await until(lambda: server.command("INFO", "clients").decode().count("blocked_clients:1"))
                if end == "crash":
                    server.kill()
                else:
                    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                assert [type(error) for error in await waiting] == [ConnectionError] * 3
                assert not shard.is_usable
                with pytest.raises(ConnectionError):
                    await shard.call(b"k", ("GET", "k"))
                if end == "crash":
                    server.start()
                await until(lambda: shard.is_usable)
                assert await shard.run(INCREASE, [b"k"], [1]) == 1

        run(test())


def test_a_frozen_server_fails_calls_until_it_thaws() -> None:
    with RedisServer() as server:

        async def test() -> None:
            clock = FakeClock()
            async with started(settings_of(server), clock) as shard:
                server.freeze()
                waiting = shard.call(b"k", ("GET", "k"))
                clock.advance(4.25)
                with pytest.raises(TimeoutError, match="has not answered for 4 s"):
                    await waiting
                with pytest.raises(ConnectionError):
                    await shard.call(b"k", ("GET", "k"))
                server.thaw()
                await until(lambda: shard.is_usable)
                assert await shard.call(b"k", ("GET", "k")) is None

        run(test())


@pytest.mark.parametrize("by_script", [False, True])
def test_a_master_that_became_a_replica_is_left(redis_server: RedisServer, by_script: bool) -> None:
    with RedisServer() as server:

        async def write(shard: ServerShard) -> Reply:
            return await (
                shard.run(INCREASE, [b"k"], [1]) if by_script else shard.call(b"k", ("SET", "k", 1))
            )

        async def test() -> None:
            settings = settings_of(server)
            async with started(settings) as shard:
                first = await shard.call(b"", ("CLIENT", "ID"))
                server.command("REPLICAOF", "127.0.0.1", redis_server.port)
                refusals = []
                while await outcome(lambda: shard.call(b"", ("CLIENT", "ID"))) == first:
                    refusals.append(await outcome(lambda: write(shard)))
                assert {refusal.code for refusal in refusals if isinstance(refusal, RedisError)} == {
                    "READONLY"
                }
                server.command("REPLICAOF", "NO", "ONE")
                await until(lambda: shard.is_usable)

        run(test())


def test_nobody_gets_the_reply_of_another(redis_server: RedisServer) -> None:
    """Connections end, and callers give up, in the middle of everything."""
    chance = random.Random(1)

    async def test() -> None:
        answered = 0
        async with started(settings_of(redis_server)) as shard:

            async def call(text: bytes) -> None:
                nonlocal answered
                if await outcome(lambda: shard.call(b"", ("ECHO", text))) == text:
                    answered += 1

            async def check(text: bytes) -> None:
                found = await outcome(lambda: shard.call(b"", ("ECHO", text)))
                assert found == text or isinstance(found, ConnectionError)

            for number in range(200):
                calls = [asyncio.create_task(check(b"%d.%d" % (number, index))) for index in range(20)]
                await asyncio.sleep(0)
                for given_up in chance.sample(calls, 5):
                    given_up.cancel()
                if number % 20 == 0:
                    redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await asyncio.gather(*calls, return_exceptions=True)
                for done in calls:
                    assert done.cancelled() or done.exception() is None
                await until(lambda: shard.is_usable)
                await call(b"%d" % number)
        assert answered > 100

    run(test())


def test_closing_fails_who_waits(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with started(settings_of(redis_server)) as shard:
            waiting = shard.call(b"k", ("BLPOP", "absent", 0))
        with pytest.raises(ConnectionError, match="is closed"):
            await waiting
        with pytest.raises(ConnectionError, match="is closed"):
            await shard.call(b"k", ("GET", "k"))

    run(test())


def test_errors_of_connections_for_messages_are_counted(redis_server: RedisServer) -> None:
    counted: list[tuple[bytes, str]] = []

    async def test() -> None:
        clock = SystemClock(asyncio.get_running_loop())
        shard = ServerShard(settings_of(redis_server), clock, lambda *what: counted.append(what))
        await shard.start()
        listener = Listener()
        lane = shard.pubsub(listener, b"service")
        await lane.start()
        redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await listener.is_restored(1)
        await lane.close()
        await shard.close()

    run(test())
    assert counted == [(b"service", "connection")]
