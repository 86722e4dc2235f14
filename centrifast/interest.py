"""Which channels this node wants from the broker (engines specification 1.6)."""

import asyncio
from collections.abc import Container

from centrifast import eager, log
from centrifast.engine.contract import Broker
from centrifast.metrics.metrics import Metrics


class Interest:
    """Keeps what the broker sends here in step with what is wanted here.

    A channel is wanted while it is *subscribed* (the hub's channels) or held. Requests about one channel never
    overlap: while one runs, what is wanted may change any number of times; when it is done, the next one follows
    if broker and wishes still differ. A second request for the same thing is harmless.
    """

    def __init__(self, broker: Broker, subscribed: Container[str], metrics: Metrics | None = None) -> None:
        self._broker = broker
        actions = (metrics or Metrics()).actions
        self._subscribes, self._unsubscribes = actions["broker_subscribe"], actions["broker_unsubscribe"]
        self._subscribed = subscribed
        self._holds: dict[str, int] = {}
        self._changes: dict[str, asyncio.Task[None]] = {}

    async def hold(self, channel: str) -> None:
        """Want the channel until ``let_go``, which must follow even if this fails; returns when it is delivered."""
        self._holds[channel] = self._holds.get(channel, 0) + 1
        change = self._changes.get(channel)
        if change is None and channel not in self._subscribed:
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
        """Tell the broker if nobody wants the channel any more."""
        if channel not in self._changes and not self._is_wanted(channel):
            self._change(channel, delivered=True)

    async def close(self) -> None:
        """Stop asking."""
        changes = tuple(self._changes.values())
        for change in changes:
            change.cancel()
        if changes:
            await asyncio.wait(changes)

    def _is_wanted(self, channel: str) -> bool:
        return channel in self._subscribed or channel in self._holds

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
        try:
            await self._broker.subscribe(channel)
        except (ConnectionError, TimeoutError):
            if self._is_wanted(channel):
                raise

    async def _unsubscribe(self, channel: str) -> None:
        self._unsubscribes.add()
        try:
            await self._broker.unsubscribe(channel)
        except (ConnectionError, TimeoutError) as away:  # what still comes finds nobody
            log.error("unsubscribe failed", error=str(away))
