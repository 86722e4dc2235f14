"""Keeps positioned subscribers honest: whoever missed something is told (client protocol 6.5).

A publication that does not follow the last one shows a loss at once (``delivery``). A channel in which nothing comes
any more shows nothing, so its position is compared with the engine's now and then: once per channel, not once per
subscriber. A publication since the last look is as good as a comparison.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from enum import Enum

from centrifast import log
from centrifast._channel import Channel
from centrifast._core import Sink
from centrifast.clock import Clock, TimerHandle
from centrifast.delivery import lost
from centrifast.errors import (
    INAPPROPRIATE_PROTOCOL,
    INSUFFICIENT_STATE,
    UNSUBSCRIBE_INSUFFICIENT_STATE,
    ClientError,
)
from centrifast.limits import (
    LOST_BATCH,
    POSITION_CHECK_PAUSE,
    POSITION_CHECKS_AT_ONCE,
    POSITION_LOOKS_AT_ONCE,
)
from centrifast.model import StreamPosition

TICK = 1.0
"""Seconds between two looks at which channels are due."""

ReadTop = Callable[[str], Awaitable[StreamPosition]]


class Finding(Enum):
    """What a comparison with the engine has shown."""

    NOTHING = 1
    BEHIND = 2  # or something is on its way
    GONE_BACK = 3  # the engine has lost what has been delivered already
    UNKNOWN = 4  # the engine is away


def lose_all(channel: Channel) -> None:
    """Every positioned subscriber has missed something."""
    for array in tuple(channel.arrays):
        if array.group.positioned and not array.group.is_lost:
            channel.regroup(array, lost(array.group))


class Losses:
    """Tells the lost, some at a time: they may be 100,000."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queue: deque[tuple[Channel, Iterator[Sink]]] = deque()
        self._timer: TimerHandle | None = None
        self._is_telling = False  # and what that leads to may be another loss

    def add(self, channel: Channel, *, at_once: bool = False) -> None:
        """Tell those of *channel* who are in a lost group; the first of them *at_once* if nobody is before them."""
        for array in channel.arrays:
            if array.group.is_lost:
                self._queue.append((channel, iter(array.sinks())))
        if self._timer is not None or self._is_telling:
            return
        if at_once:
            self._tell_some()
        else:
            self._timer = self._clock.call_later(0, self._tell_some)

    def close(self) -> None:
        """Tell nobody any more."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_some(self) -> None:
        self._timer = None
        self._is_telling = True
        try:
            self._tell_at_most(LOST_BATCH)
        finally:
            self._is_telling = False
            if self._queue:
                self._timer = self._clock.call_later(0, self._tell_some)

    def _tell_at_most(self, left: int) -> None:
        while self._queue and left:
            channel, sinks = self._queue[0]
            for sink in sinks:
                self._tell(channel, sink)
                left -= 1
                if not left:
                    break
            else:
                self._queue.popleft()

    def _tell(self, channel: Channel, sink: Sink) -> None:
        group = channel.group_of(sink)
        if group is None or not group.is_lost:
            return  # it has left, or come back, since it was lost
        session = sink.owner.handler
        if group.is_refused:
            session.disconnect(INAPPROPRIATE_PROTOCOL)
        elif session.subscriptions[channel.name].server_side:
            session.disconnect(INSUFFICIENT_STATE)
        else:
            session.unsubscribe(channel.name, UNSUBSCRIBE_INSUFFICIENT_STATE)


class PositionWatch:
    """Compares quiet channels with the engine.

    *read_top* raises ConnectionError, TimeoutError, or ClientError where there is no stream: looked at later.
    """

    def __init__(
        self,
        clock: Clock,
        channels: Mapping[str, Channel],
        losses: Losses,
        read_top: ReadTop,
        check_delay: float,
    ) -> None:
        self._clock = clock
        self._channels = channels
        self._losses = losses
        self._read_top = read_top
        self._check_delay = check_delay
        self._watched: set[str] = set()
        self._due: deque[tuple[float, str, int]] = deque()  # when, channel, its offset when it was put here
        self._urgent: set[str] = set()
        self._again: set[str] = (
            set()
        )  # those of which nothing could be found out; urgent when the others had their turn
        self._timer: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look every ``TICK`` seconds; a delay of 0 or less switches the checks off."""
        if self._check_delay > 0:
            self._timer = self._clock.call_later(TICK, self._tick)

    async def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def watch(self, channel: Channel) -> None:
        """Check *channel* as long as it has subscribers in step."""
        if self._check_delay > 0 and channel.name not in self._watched:
            self._watched.add(channel.name)
            self._put_back(channel)

    def check_soon(self, channels: Iterable[str]) -> None:
        """Compare those of *channels* that are watched at the next tick, or as soon as the engine answers.

        Each may have lost publications.
        """
        if self._check_delay > 0:
            self._urgent.update(channels)

    def _put_back(self, channel: Channel) -> None:
        self._due.append((self._clock.monotonic() + self._check_delay, channel.name, channel.offset))

    def _tick(self) -> None:
        self._timer = self._clock.call_later(TICK, self._tick)
        if self._task is not None:
            return
        now = self._clock.monotonic()
        quiet = self._take_quiet(now)
        if quiet or self._urgent or self._is_due(now):
            self._task = asyncio.get_running_loop().create_task(self._check_all(quiet, now))
            self._task.add_done_callback(self._checked)

    def _checked(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("position check failed", error=repr(error))

    def _is_due(self, now: float) -> bool:
        return bool(self._due) and self._due[0][0] <= now

    def _take_quiet(self, now: float) -> list[Channel]:
        """Some of the channels that are due and in which nothing has come since they were put in line."""
        quiet: list[Channel] = []
        looks = POSITION_LOOKS_AT_ONCE
        while looks and len(quiet) < POSITION_CHECKS_AT_ONCE and self._is_due(now):
            looks -= 1
            _, name, offset = self._due.popleft()
            channel = self._positioned(name)
            if channel is None:
                self._watched.discard(name)
            elif channel.offset != offset:
                self._put_back(channel)
            else:
                quiet.append(channel)
        return quiet

    def _take_urgent(self) -> list[Channel]:
        """Some of those that are to be checked soon; they stay in line for the next check as well."""
        urgent: list[Channel] = []
        looks = POSITION_LOOKS_AT_ONCE
        while looks and len(urgent) < POSITION_CHECKS_AT_ONCE and self._urgent:
            looks -= 1
            channel = self._positioned(self._urgent.pop())
            if channel is not None:
                urgent.append(channel)
        return urgent

    def _positioned(self, name: str) -> Channel | None:
        """A channel, if it has subscribers in step."""
        channel = self._channels.get(name)
        if channel is None or not any(array.group.positioned for array in channel.arrays):
            return None
        return channel

    async def _check_all(self, quiet: list[Channel], now: float) -> None:
        """Check *quiet* and whatever else was due at *now*, some in each turn of the loop."""
        suspects: list[Channel] = []
        suspects += await self._check_urgent()
        while quiet or self._is_due(now):
            try:
                suspects += await self._behind(quiet, [])  # what is unknown is looked at when it is due again
            finally:
                for channel in quiet:  # even after a failure, which must not end all looks at them
                    self._put_back(channel)
            await asyncio.sleep(0)
            quiet = self._take_quiet(now)
        if not suspects:
            return
        # Perhaps a publication was on its way.
        suspects = await self._still_quiet(list(dict.fromkeys(suspects)))
        unknown: list[str] = []
        for start in range(0, len(suspects), POSITION_CHECKS_AT_ONCE):
            for channel in await self._behind(suspects[start : start + POSITION_CHECKS_AT_ONCE], unknown):
                self._lose(channel)
            await asyncio.sleep(0)
        self._urgent.update(unknown)

    async def _check_urgent(self) -> list[Channel]:
        """Check the urgent ones, but not all of them while the engine is away."""
        suspects: list[Channel] = []
        unknown: list[str] = []
        while self._urgent and len(unknown) < POSITION_LOOKS_AT_ONCE:
            suspects += await self._behind(self._take_urgent(), unknown)
            await asyncio.sleep(0)
        self._again.update(unknown)
        if not self._urgent:
            self._urgent, self._again = self._again, set()
        return suspects

    async def _behind(self, channels: list[Channel], unknown: list[str]) -> list[Channel]:
        """Those that seem to lack something; who has more than the engine is told. The *unknown* are added there."""
        behind: list[Channel] = []
        findings = await asyncio.gather(*map(self._compare, channels))
        for channel, finding in zip(channels, findings, strict=True):
            if finding is Finding.BEHIND:
                behind.append(channel)
            elif finding is Finding.GONE_BACK:
                self._lose(channel)
            elif finding is Finding.UNKNOWN:
                unknown.append(channel.name)
        return behind

    def _lose(self, channel: Channel) -> None:
        lose_all(channel)
        self._losses.add(channel)

    async def _compare(self, channel: Channel) -> Finding:
        offset, epoch = channel.offset, channel.epoch
        try:
            top = await self._read_top(channel.name)
        except (ConnectionError, TimeoutError):
            return Finding.UNKNOWN
        except ClientError:
            return Finding.NOTHING  # there is no stream
        if top.epoch == epoch and top.offset < offset:
            return Finding.GONE_BACK
        is_level = (offset, epoch) == (top.offset, top.epoch)
        return Finding.NOTHING if is_level or channel.offset != offset else Finding.BEHIND

    async def _still_quiet(self, channels: list[Channel]) -> list[Channel]:
        """Those in which nothing comes for ``POSITION_CHECK_PAUSE``."""
        offsets = [channel.offset for channel in channels]
        woken = asyncio.Event()
        self._clock.call_later(POSITION_CHECK_PAUSE, woken.set)
        await woken.wait()
        return [
            channel for channel, offset in zip(channels, offsets, strict=True) if channel.offset == offset
        ]
