"""The engine of a single process: streams, idempotency keys and delivery in memory, lost with the process.

How it works. Nothing here waits, so each method is atomic by itself and delivery happens inside ``publish``,
in the order of offsets (invariant 2). What is past its time is never seen, because every use looks first; a
periodic sweep only frees the memory. It finds streams through two heaps, by the time their publications and
by the time their epochs end. A stream has at most one item in each, which is not moved when its time is
extended: when the item comes up and the time is not yet over, it is pushed again. A channel without history
leaves nothing behind.

Reading makes a stream, so whoever may subscribe could make any number of them. One that nothing was ever published to
and that nobody subscribes to is *idle*: it has no item in a heap, and of too many the longest idle are forgotten. All
that is lost with one is its epoch, and who comes back with that is told, truly, that nothing can be recovered.
"""

import heapq
from collections import OrderedDict

from centrifast.clock import Clock
from centrifast.engine.contract import (
    PUBLISHED,
    BrokerEvents,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.idempotency import IdempotencyCache
from centrifast.engine.stream import NEVER, Stream
from centrifast.engine.sweep import SWEEP_INTERVAL, Sweeper
from centrifast.errors import UNRECOVERABLE_POSITION, ClientError
from centrifast.limits import IDLE_STREAMS
from centrifast.metrics.metrics import IDEMPOTENCY, VERSION
from centrifast.model import NO_POSITION, ClientInfo, Publication


class MemoryBroker:
    """``contract.Broker`` inside this process. No method ever suspends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: BrokerEvents | None = None
        self._subscribed: set[str] = set()
        self._streams: dict[str, Stream] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()  # streams, the longest idle first
        self._results = IdempotencyCache()
        self._data_heap: list[tuple[float, str]] = []
        self._meta_heap: list[tuple[float, str]] = []
        self._sweeper = Sweeper(clock, self._sweep)

    async def start(self, events: BrokerEvents) -> None:
        """Deliver to *events* from here on, and sweep."""
        self._events = events
        self._sweeper.start()

    async def close(self) -> None:
        """Stop sweeping; no event follows."""
        self._events = None
        self._sweeper.close()

    async def subscribe(self, channel: str) -> None:
        """Deliver the channel's publications."""
        self._subscribed.add(channel)
        self._idle.pop(channel, None)

    async def unsubscribe(self, channel: str) -> None:
        """Deliver them no more."""
        self._subscribed.discard(channel)
        stream = self._streams.get(channel)
        if stream is not None:
            self._note_idle(channel, stream)

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        """See ``Broker.publish``. Not to be called from within an event: it would overtake the outer one."""
        if options.idempotency_key:
            return self._publish_once(channel, data, options)
        return self._publish(channel, data, options)

    def _publish_once(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        now = self._clock.monotonic()
        position = self._results.get(channel, options.idempotency_key, now)
        if position is not None:
            return PublishResult(position, suppressed=True, reason=IDEMPOTENCY)
        result = self._publish(channel, data, options)
        if not result.suppressed:  # by version; that leaves no result (engines specification 3.5.1)
            self._results.put(channel, options.idempotency_key, result.position, now)
        return result

    def _publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        history = options.history
        if history.size > 0 and history.ttl > 0:
            return self._publish_to_stream(channel, data, options)
        if channel in self._subscribed and self._events is not None:
            time_ms = int(self._clock.unix() * 1000)
            self._events.on_publication(
                channel, Publication(data, 0, options.info, options.tags, "", time_ms), NO_POSITION, None
            )
        return PUBLISHED

    def _publish_to_stream(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        now = self._clock.monotonic()
        stream = self._stream(channel, now)
        if not stream.admits(options):  # no life is extended then (engines specification 3.5.1)
            return PublishResult(stream.position, suppressed=True, reason=VERSION)
        previous = stream.newest if options.delta else None
        publication = stream.append(data, options, int(self._clock.unix() * 1000), now)
        if stream.top == 1:
            self._idle.pop(channel, None)
        if not stream.in_data_heap:
            stream.in_data_heap = True
            heapq.heappush(self._data_heap, (stream.data_until, channel))
        self._watch_meta(channel, stream)
        position = stream.position
        if channel in self._subscribed and self._events is not None:
            self._events.on_publication(channel, publication, position, previous)
        return PublishResult(position)

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """Deliver at once."""
        if channel in self._subscribed and self._events is not None:
            self._events.on_join(channel, info)

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """Deliver at once."""
        if channel in self._subscribed and self._events is not None:
            self._events.on_leave(channel, info)

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        """See ``Broker.history``; the life of the epoch is extended even when the read is refused."""
        now = self._clock.monotonic()
        stream = self._stream(channel, now)
        stream.touch(options.meta_ttl, now)
        if stream.top:
            self._watch_meta(channel, stream)
        else:
            self._note_idle(channel, stream)
        if wanted.since is not None and wanted.since.epoch not in ("", stream.epoch):
            raise ClientError(UNRECOVERABLE_POSITION)
        return History(stream.read(wanted), stream.position)

    async def remove_history(self, channel: str) -> None:
        """Drop the publications; epoch and top offset stay."""
        stream = self._streams.get(channel)
        if stream is not None:
            stream.remove()

    def _stream(self, channel: str, now: float) -> Stream:
        """The channel's stream as it is at *now*: a new or restarted one if none is alive."""
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = Stream(self._clock.new_epoch())
        elif stream.has_ended(now):
            stream.restart(self._clock.new_epoch())
        else:
            stream.refresh(now)
        return stream

    def _watch_meta(self, channel: str, stream: Stream) -> None:
        if not stream.in_meta_heap and stream.meta_until != NEVER:
            stream.in_meta_heap = True
            heapq.heappush(self._meta_heap, (stream.meta_until, channel))

    def _note_idle(self, channel: str, stream: Stream) -> None:
        """Put the stream in line to be forgotten, if it is idle. One that has begun anew is left to the heaps."""
        if stream.top or stream.in_meta_heap or stream.in_data_heap or channel in self._subscribed:
            return
        self._idle[channel] = None
        self._idle.move_to_end(channel)

    def _sweep(self, now: float, limit: int) -> int:
        """Free what is past its time; keys first, streams last (see ``_sweep_metas``)."""
        count = self._results.expire(now, limit)
        count += self._sweep_data(now, limit - count)
        count += self._sweep_metas(now, limit - count)
        return count + self._sweep_idle(now, limit - count)

    def _sweep_idle(self, now: float, limit: int) -> int:
        """Forget idle streams past their time, and the longest idle while there are too many."""
        count = 0
        while count < limit and self._idle:
            channel = next(iter(self._idle))
            if len(self._idle) <= IDLE_STREAMS and not self._streams[channel].has_ended(now):
                break
            count += 1
            del self._idle[channel], self._streams[channel]
        return count

    def _sweep_data(self, now: float, limit: int) -> int:
        heap = self._data_heap
        count = 0
        while count < limit and heap and heap[0][0] <= now:
            count += 1
            channel = heap[0][1]
            stream = self._streams[channel]  # alive: it does not go before this item, see _sweep_metas
            stream.refresh(now)
            if stream.data_until == NEVER:  # nothing is kept
                heapq.heappop(heap)
                stream.in_data_heap = False
            else:
                heapq.heapreplace(heap, (stream.data_until, channel))
        return count

    def _sweep_metas(self, now: float, limit: int) -> int:
        """Forget streams. One whose publications still have an item waits for a later sweep."""
        heap = self._meta_heap
        count = 0
        while count < limit and heap and heap[0][0] <= now:
            count += 1
            channel = heap[0][1]
            stream = self._streams[channel]
            if not stream.has_ended(now):
                heapq.heappop(heap)
                stream.in_meta_heap = False
                self._watch_meta(channel, stream)
            elif stream.in_data_heap:
                heapq.heapreplace(heap, (now + SWEEP_INTERVAL, channel))
            else:
                heapq.heappop(heap)
                del self._streams[channel]
        return count
