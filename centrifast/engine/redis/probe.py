"""Can a PUB/SUB connection that hears nothing hear at all? (engines specification 3.7.2)

A connection can live while messages are published elsewhere: after a failover, say. Where nothing has come for an
interval, a probe is published to the connection's service channel, by the shard's command connection. When Redis took
it and another interval is silent, the connection is made again. If that does not help either, the intervals between
such restarts double, so that a broken setup does not subscribe to millions of channels all the time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from centrifast.clock import Clock, TimerHandle
from centrifast.engine.redis.contract import FAILURES, Reply

PROBE = b"__probe__"
"""No frame of a publication starts like this (engines specification 3.3)."""

PROBE_INTERVAL = 30.0
"""Seconds of silence after which a connection is looked at (engines specification 3.7.2)."""

LAST_BACKOFF = 10
"""Intervals between two restarts at most."""


class Probed(Protocol):
    """The connection."""

    @property
    def is_usable(self) -> bool:
        """Whether messages are expected."""

    @property
    def messages(self) -> int:
        """Messages heard so far, probes too."""

    def restart(self, reason: str) -> None:
        """Make it again."""


class _State(Enum):
    HEARING = 1
    ASKED = 2  # the probe is on its way to Redis
    ACCEPTED = 3  # Redis has it


class Probe:
    """Watches one connection; *publish* sends a probe, *count* is told the label of an error."""

    def __init__(
        self,
        lane: Probed,
        publish: Callable[[], Awaitable[Reply]],
        clock: Clock,
        count: Callable[[str], None],
        interval: float = PROBE_INTERVAL,
    ) -> None:
        self._lane = lane
        self._publish = publish
        self._clock = clock
        self._count = count
        self._interval = interval
        self._backoff = 1
        self._heard = 0
        self._state = _State.HEARING
        self._timer: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look each interval from here on."""
        self._timer = self._clock.call_later(self._interval, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        wait = self._interval
        heard = self._lane.messages
        self._heard = min(self._heard, heard)  # it is less on a connection that has been made since
        if heard > self._heard:
            self._backoff = 1
            self._state = _State.HEARING
        elif not self._lane.is_usable:
            self._state = _State.HEARING
        elif self._state is _State.HEARING:
            self._state = _State.ASKED
            self._task = asyncio.ensure_future(self._ask())
        elif self._state is _State.ACCEPTED:
            self._count("probe_timeout")
            self._lane.restart("a probe has not come back")
            self._state = _State.HEARING
            wait *= self._backoff
            self._backoff = min(2 * self._backoff, LAST_BACKOFF)
        self._heard = heard
        self._timer = self._clock.call_later(wait, self._look)

    async def _ask(self) -> None:
        try:
            await self._publish()
        except FAILURES:
            self._count("probe_publish")  # Redis is away anyway
            self._state = _State.HEARING
        else:
            if self._state is _State.ASKED:
                self._state = _State.ACCEPTED
