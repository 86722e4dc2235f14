"""A broker whose PUB/SUB does everything a real one may do: come late, twice or never, fail, lose its store.

Publications wait in *pipe*, in order, until the test delivers or loses them. Calls wait in *waiting* while they are
held. What was ever stored is written down in *archive*, whatever the store forgets.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from centrifast.engine.contract import (
    BrokerEvents,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.metrics.metrics import Metrics
from centrifast.model import ClientInfo, Publication, StreamPosition
from tests.fakes import FakeClock

REPEATABLE = 20
"""Deliveries that may come once more."""


class Hold(Enum):
    """Where calls wait: not at all, before they are served, or with the answer in hand."""

    NOTHING = auto()
    REQUESTS = auto()
    ANSWERS = auto()


@dataclass(frozen=True)
class Delivery:
    """A publication on its way to the node."""

    channel: str
    publication: Publication
    position: StreamPosition
    previous: Publication | None


@dataclass
class Kept:
    """A stream as the specification has it: all that was published, and from which offset on it is kept."""

    publications: list[Publication] = field(default_factory=list)
    first: int = 1
    until: float = 0.0

    @property
    def top(self) -> int:
        return len(self.publications)

    def holds_all_after(self, offset: int, now: float) -> bool:
        """Whether nothing after *offset* has been trimmed, removed or has expired."""
        return offset == self.top or (offset < self.top and now < self.until and self.first <= offset + 1)


@dataclass(frozen=True, eq=False)
class Call:
    """A call that waits; *is_read*: of history."""

    gate: "asyncio.Future[None]"
    is_read: bool


class UnreliableBroker:
    """``contract.Broker``; publishing itself always works, as if other nodes did it."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self._inner = MemoryBroker(clock)
        self._events: BrokerEvents | None = None
        self.pipe: deque[Delivery] = deque()
        self.delivered: deque[Delivery] = deque(maxlen=REPEATABLE)
        self.archive: dict[tuple[str, str], Kept] = {}
        self.unnumbered: set[bytes] = set()  # published without history
        self.epochs: dict[str, str] = {}  # of the streams, as far as anybody has seen them
        self.hold = Hold.NOTHING
        self.waiting: list[Call] = []
        self.failures = 0  # so many of the next calls fail
        self.subscribed: set[str] = set()
        self.has_lost_unsubscribe = False  # then something may be delivered that nobody wants

    async def start(self, events: BrokerEvents) -> None:
        self._events = events
        await self._inner.start(self)

    async def close(self) -> None:
        await self._inner.close()

    async def subscribe(self, channel: str) -> None:
        await self._before()
        self.subscribed.add(channel)
        await self._inner.subscribe(channel)
        await self._after()

    async def unsubscribe(self, channel: str) -> None:
        try:
            await self._before()
        except ConnectionError:
            self.has_lost_unsubscribe = True
            raise
        self.subscribed.discard(channel)
        await self._inner.unsubscribe(channel)
        await self._after()

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        await self._before(is_read=True)
        history = await self._inner.history(channel, wanted, options)
        self.epochs[channel] = history.position.epoch
        await self._after(is_read=True)
        return history

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        result = await self._inner.publish(channel, data, options)
        position, now = result.position, self.clock.monotonic()
        if not position.offset:
            self.unnumbered.add(data)
        else:
            self.epochs[channel] = position.epoch
            kept = self.archive.setdefault((channel, position.epoch), Kept())
            kept.publications.append(Publication(data, position.offset, tags=options.tags))
            assert kept.top == position.offset
            if now >= kept.until:
                kept.first = position.offset
            kept.first = max(kept.first, position.offset - options.history.size + 1)
            kept.until = now + options.history.ttl
        return result

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        await self._inner.publish_join(channel, info)

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        await self._inner.publish_leave(channel, info)

    async def remove_history(self, channel: str) -> None:
        await self._inner.remove_history(channel)
        for (name, _), kept in self.archive.items():
            if name == channel:
                kept.first = kept.top + 1

    # ------------------------------------------------- called by the store

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        self.pipe.append(Delivery(channel, publication, position, previous))

    def on_join(self, channel: str, info: ClientInfo) -> None:
        assert self._events is not None
        self._events.on_join(channel, info)

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        assert self._events is not None
        self._events.on_leave(channel, info)

    def on_interrupted(self, channels: Sequence[str]) -> None:
        assert self._events is not None
        self._events.on_interrupted(channels)

    def on_rewound(self, channel: str) -> None:
        assert self._events is not None
        self._events.on_rewound(channel)

    # ------------------------------------------------- what a test can do

    def deliver(self) -> None:
        """The next publication arrives."""
        delivery = self.pipe.popleft()
        self.delivered.append(delivery)
        self._arrive(delivery)

    def deliver_all(self) -> None:
        """Everything that is under way arrives."""
        while self.pipe:
            self.deliver()

    def lose(self, index: int) -> None:
        """A publication never arrives."""
        del self.pipe[index]

    def repeat(self, index: int) -> None:
        """A publication arrives once more."""
        self._arrive(self.delivered[index])

    async def lose_store(self) -> None:
        """Start again with an empty store; what is on its way still comes."""
        await self._inner.close()
        self._inner = MemoryBroker(self.clock)
        await self._inner.start(self)
        for channel in self.subscribed:
            await self._inner.subscribe(channel)

    def let_go(self, call: Call, *, fails: bool = False) -> None:
        """A call that waits goes on, or fails."""
        self.waiting.remove(call)
        gate = call.gate
        if not gate.done():
            if fails:
                gate.set_exception(ConnectionError("away"))
            else:
                gate.set_result(None)

    def _arrive(self, delivery: Delivery) -> None:
        assert self._events is not None
        if delivery.channel in self.subscribed:
            self._events.on_publication(
                delivery.channel, delivery.publication, delivery.position, delivery.previous
            )

    async def _before(self, *, is_read: bool = False) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        if self.hold is Hold.REQUESTS:
            await self._wait(is_read)

    async def _after(self, *, is_read: bool = False) -> None:
        if self.hold is Hold.ANSWERS:
            await self._wait(is_read)

    async def _wait(self, is_read: bool) -> None:
        call = Call(asyncio.get_running_loop().create_future(), is_read)
        self.waiting.append(call)
        await call.gate
