"""Looks at something from time to time, and soon when there is a reason."""

import asyncio
from collections.abc import Awaitable, Callable

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.contract import FAILURES
from centrifast.engine.redis.kept import pause
from centrifast.limits import REDIS_PAUSE


class Watch:
    """Runs *look* every *interval* seconds, and after ``soon``; never twice within ``REDIS_PAUSE``.

    *look* may raise ``ConnectionError``, ``TimeoutError`` or ``RedisError``: then it is tried again next time.
    """

    def __init__(self, clock: Clock, interval: float, look: Callable[[], Awaitable[None]], name: str) -> None:
        self._clock = clock
        self._interval = interval
        self._look = look
        self._name = name
        self._must_look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first look is an interval away."""
        self._task = asyncio.create_task(self._run())

    def soon(self) -> None:
        """Look as soon as may be."""
        self._must_look.set()

    async def close(self) -> None:
        """End; no look is under way any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            timer = self._clock.call_later(self._interval, self.soon)
            try:
                await self._must_look.wait()
            finally:
                timer.cancel()
            self._must_look.clear()
            try:
                await self._look()
            except FAILURES as error:
                log.debug("Redis can not be asked where it is", shard=self._name, error=str(error))
            await pause(self._clock, REDIS_PAUSE)
