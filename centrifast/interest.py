"""Which channels this node wants from the broker (engines specification 1.6)."""

import asyncio
from collections.abc import Container
from itertools import islice

from centrifast import eager, log
from centrifast.clock import Clock, TimerHandle
from centrifast.engine.contract import Broker
from centrifast.limits import UNSUBSCRIBES_AT_ONCE
from centrifast.metrics.metrics import Metrics


class Interest:
    """Keeps what the broker sends here in step with what is wanted here.

    A channel is wanted while it is *subscribed* (the hub's channels) or held. Requests about one channel never
    overlap: while one runs, what is wanted may change any number of times; when it is done, the next one follows
    if broker and wishes still differ. A second request for the same thing is harmless.

    A channel that is wanted no more lingers: *delay* seconds pass before the broker is told, so that clients that come
    back meanwhile, after a reload of their page say, cost no request.
    """

    def __init__(
        self,
        broker: Broker,
        subscribed: Container[str],
        clock: Clock,
        metrics: Metrics | None = None,
        *,
        delay: float = 0.0,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._delay = delay
        self._lingering: dict[str, float] = {}  # until when, the first first
        self._doubtful: set[str] = set()  # the last request to subscribe has not been served
        self._timer: TimerHandle | None = None
        actions = (metrics or Metrics()).actions
        self._subscribes, self._unsubscribes = actions["broker_subscribe"], actions["broker_unsubscribe"]
        self._subscribed = subscribed
        self._holds: dict[str, int] = {}
        self._changes: dict[str, asyncio.Task[None]] = {}

    async def hold(self, channel: str) -> None:
        """Want the channel until ``let_go``, which must follow even if this fails; returns when it is delivered."""
        self._holds[channel] = self._holds.get(channel, 0) + 1
        change = self._changes.get(channel)
        is_delivered = channel in self._subscribed or self._lingering.pop(channel, None) is not None
        if change is None and not is_delivered:
            change = self._change(channel, delivered=False)
        if change is not None:
            await asyncio.shield(change)  # shared by all who wait for it

    def let_go(self, channel: str) -> None:
        """Undo one ``hold``."""
        left = self._holds.pop(channel) - 1
        if left:
            self._holds[channel] = left
        self.review(channel)

    def review(self, channel: str) -> None:
        """Tell the broker if nobody wants the channel any more, now or later."""
        if channel in self._changes or self._is_wanted(channel):
            return
        if self._delay > 0 and channel not in self._doubtful:
            self._lingering.setdefault(channel, self._clock.monotonic() + self._delay)
            if self._timer is None:
                self._timer = self._clock.call_later(self._delay, self._end_lingering)
        else:
            self._change(channel, delivered=True)

    async def close(self) -> None:
        """Stop asking."""
        if self._timer is not None:
            self._timer.cancel()
        self._lingering.clear()
        changes = tuple(self._changes.values())
        for change in changes:
            change.cancel()
        if changes:
            await asyncio.wait(changes)

    def _is_wanted(self, channel: str) -> bool:
        return channel in self._subscribed or channel in self._holds

    def _end_lingering(self) -> None:
        """Tell the broker of those whose time is over, some in each turn of the loop."""
        self._timer = None
        now = self._clock.monotonic()
        for channel, until in list(islice(self._lingering.items(), UNSUBSCRIBES_AT_ONCE)):
            if until > now:
                break
            del self._lingering[channel]
            self._change(channel, delivered=True)
        if self._lingering:
            wait = next(iter(self._lingering.values())) - now
            self._timer = self._clock.call_later(max(wait, 0.0), self._end_lingering)

    def _change(self, channel: str, *, delivered: bool) -> "asyncio.Task[None] | None":
        """Ask the broker at once; the task is kept here if that takes time."""
        change = eager.start(self._follow(channel, delivered))
        if change is not None:
            self._changes[channel] = change
        return change

    async def _follow(self, channel: str, delivered: bool) -> None:
        """Ask until what is *delivered* is what is wanted. Raises what ``Broker.subscribe`` raises."""
        try:
            while delivered != self._is_wanted(channel):
                if delivered:
                    await self._unsubscribe(channel)
                else:
                    await self._subscribe(channel)
                delivered = not delivered
        finally:
            self._changes.pop(channel, None)  # before anybody who waits for it goes on

    async def _subscribe(self, channel: str) -> None:
        """A request that failed may have been served: it is taken back, here or when those who want it let go."""
        self._subscribes.add()
        self._doubtful.add(channel)
        try:
            await self._broker.subscribe(channel)
            self._doubtful.discard(channel)
        except (ConnectionError, TimeoutError):
            if self._is_wanted(channel):
                raise

    async def _unsubscribe(self, channel: str) -> None:
        self._unsubscribes.add()
        self._doubtful.discard(channel)
        try:
            await self._broker.unsubscribe(channel)
        except (ConnectionError, TimeoutError) as away:  # what still comes finds nobody
            log.error("unsubscribe failed", error=str(away))
