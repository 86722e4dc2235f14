"""When something is looked at."""

import asyncio

from centrifast.engine.redis.contract import RedisError
from centrifast.engine.redis.watch import Watch
from centrifast.limits import REDIS_PAUSE
from tests.fakes import FakeClock
from tests.server.http_peer import run


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(10):
        await asyncio.sleep(0)


async def advance(clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    await settle()


def test_it_looks_at_intervals_and_soon_but_not_all_the_time() -> None:
    async def test() -> None:
        clock = FakeClock()
        looks: list[float] = []

        async def look() -> None:
            looks.append(clock.monotonic() - began)

        began = clock.monotonic()
        watch = Watch(clock, 5.0, look, "here")
        watch.start()
        await settle()
        await advance(clock, 5.0)
        assert looks == [5.0]
        watch.soon()
        watch.soon()
        await settle()
        assert looks == [5.0]
        await advance(clock, REDIS_PAUSE)
        assert looks == [5.0, 5.0 + REDIS_PAUSE]
        await advance(clock, REDIS_PAUSE)
        watch.soon()
        await settle()
        assert looks[2:] == [5.0 + 2 * REDIS_PAUSE]
        await watch.close()
        await settle()
        assert clock.timers == 0

    run(test())


def test_a_look_that_fails_is_followed_by_another() -> None:
    async def test() -> None:
        clock = FakeClock()
        failures: list[Exception] = [ConnectionError("away"), TimeoutError("late"), RedisError("ERR no")]

        async def look() -> None:
            raise failures.pop()

        watch = Watch(clock, 1.0, look, "here")
        watch.start()
        for left in (2, 1, 0):
            await settle()
            await advance(clock, 1.0)
            assert len(failures) == left
            await advance(clock, REDIS_PAUSE)
        await watch.close()
        await watch.close()

    run(test())


def test_one_that_was_never_started_can_be_closed() -> None:
    async def look() -> None:
        pass

    run(Watch(FakeClock(), 1.0, look, "here").close())
