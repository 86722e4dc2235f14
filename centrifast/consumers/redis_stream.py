"""Consumer of Redis streams, with acknowledgement (server specification 8.2, engines specification 6.5).

How it works: one reader for each stream. It asks for as many entries as it has free workers, and every few seconds for
those that lie with a consumer longer than ``visibility_timeout``. A worker executes one entry and acknowledges it. An
entry that fails with an internal error stays with this consumer, and is claimed again later; later ones do not wait.
"""

import asyncio
import math

from centrifast import log
from centrifast.api.decoding import MalformedError
from centrifast.clock import Clock
from centrifast.config.schema_consumer import RedisStreamConsumerConfig
from centrifast.consumers.dispatch import Backoff, Dispatcher, OpenShard, Verdict, read, wait_for
from centrifast.consumers.messages import Call, decode_call, decode_payload, decode_publication
from centrifast.consumers.outage import Outage
from centrifast.consumers.readers import Readers
from centrifast.consumers.stream_group import BEGINNING, Entry, StreamGroup
from centrifast.engine.redis.contract import FAILURES, RedisError
from centrifast.limits import (
    CONSUMER_LAST_RETRY,
    CONSUMER_LOOK,
    CONSUMER_PAUSE,
    STREAM_BLOCK,
    STREAM_DELIVERIES,
)
from centrifast.metrics.metrics import Metrics, QueueState


class StreamReader:
    """Reads one stream."""

    def __init__(
        self,
        group: StreamGroup,
        config: RedisStreamConsumerConfig,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self.group = group
        self._fields = {"consumer": dispatcher.name, "stream": group.name}
        self._config = config
        self._dispatcher = dispatcher
        self._clock = clock
        self._refused = Outage(dispatcher.name, group.name)
        self._pauses = Backoff(clock, CONSUMER_PAUSE, CONSUMER_LAST_RETRY)
        self._workers: dict[asyncio.Task[None], bytes] = {}
        self._done: set[bytes] = set()  # executed, not acknowledged
        self._claim_from = BEGINNING
        self._claim_at = 0.0
        self._worked_at = -math.inf
        self._stopping = asyncio.Event()
        self._reading: asyncio.Future[list[Entry]] | None = None

    def stop(self) -> None:
        """Have ``run`` end after the entries that are being executed."""
        self._stopping.set()
        if self._reading is not None:
            self._reading.cancel()

    async def run(self) -> None:
        """Read until ``stop``."""
        try:
            while not self._stopping.is_set():
                try:
                    await self._step()
                except RedisError as error:
                    await self._on_refused(error)
                except (ConnectionError, TimeoutError):  # the shard has a line in the log about it
                    await wait_for(self._stopping, self._pauses.take())
                except Exception:  # noqa: BLE001 - the boundary where a bug costs one step
                    log.exception("stream reader failed", **self._fields)
                    await wait_for(self._stopping, self._pauses.take())
            await self._leave()
        finally:
            for worker in self._workers:
                worker.cancel()

    async def _step(self) -> None:
        """Take entries for the workers that are free."""
        free = await self._free_workers()
        if self._stopping.is_set():
            return
        if self._done:
            done = list(self._done)
            await self.group.acknowledge(done)
            self._done.difference_update(done)
        until_claim = self._claim_at - self._clock.monotonic()
        if until_claim <= 0:
            await self._claim(free)
        else:
            for entry in await self._read(free, min(STREAM_BLOCK, until_claim)):
                self._begin(entry, 1)
        self._refused.end()
        self._pauses.reset()

    async def _free_workers(self) -> int:
        """Wait until there is one; how many there are."""
        if len(self._workers) >= self._config.num_workers:
            await asyncio.wait(self._workers, return_when=asyncio.FIRST_COMPLETED)
        return self._config.num_workers - len(self._workers)

    async def _read(self, free: int, block: float) -> list[Entry]:
        self._reading = asyncio.ensure_future(self.group.read(free, block))
        try:
            return await self._reading
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            return []
        finally:
            self._reading = None

    async def _claim(self, free: int) -> None:
        """Take what has been let lie; go on at once while there is more."""
        idle = self._config.visibility_timeout
        self._claim_from, entries = await self.group.claim(idle, self._claim_from, free)
        if self._claim_from == BEGINNING:
            self._claim_at = self._clock.monotonic() + CONSUMER_LOOK
        for entry in entries:
            if entry.id in self._workers.values():
                continue  # still at it: claiming it has kept others from doing it too
            if entry.id not in self._done:
                self._begin(entry, await self.group.deliveries(entry))

    def _begin(self, entry: Entry, deliveries: int) -> None:
        worker = asyncio.create_task(self._work(entry, deliveries))
        self._workers[worker] = entry.id
        worker.add_done_callback(self._on_worker_done)

    def _on_worker_done(self, worker: asyncio.Task[None]) -> None:
        del self._workers[worker]
        if not worker.cancelled() and (error := worker.exception()) is not None:
            log.failure("stream entry failed", error, **self._fields)

    async def _work(self, entry: Entry, deliveries: int) -> None:
        """Execute an entry, and acknowledge it unless it must come again."""
        try:
            if await self._is_done(entry, deliveries):
                self._done.add(entry.id)
                await self.group.acknowledge((entry.id,))
                self._done.discard(entry.id)
            elif self._clock.monotonic() - self._worked_at > self._config.visibility_timeout:
                # Nothing works: it is not the entry's fault.
                await self.group.forget_delivery(entry, deliveries)
        except FAILURES as error:  # what is executed is remembered, and acknowledged with the next step
            log.warn("entry is not acknowledged yet", **self._fields, error=str(error))

    async def _is_done(self, entry: Entry, deliveries: int) -> bool:
        if entry.fields is None:
            return True
        payload = entry.fields.get(self._config.payload_value, b"")
        if deliveries > STREAM_DELIVERIES:
            self._dispatcher.skip(f"poison: delivered {deliveries} times", payload)
            return True
        (call,) = read(payload, lambda message: (self._call_of(message, entry),))
        verdict = await self._dispatcher.make(call, payload)
        if verdict is Verdict.DONE:
            self._worked_at = self._clock.monotonic()
        return verdict is not Verdict.RETRY

    def _call_of(self, payload: bytes, entry: Entry) -> Call:
        fields, config = entry.fields or {}, self._config
        if config.payload_value not in fields:
            raise MalformedError(f"no field {config.payload_value}")
        if config.publication_data_mode.enabled:
            return decode_publication(payload, fields, config.publication_data_mode)
        method = fields.get(config.method_value, b"")
        if method:
            return decode_payload(method.decode("utf-8", "replace"), payload)
        return decode_call(payload)

    async def _on_refused(self, error: RedisError) -> None:
        """Make the group again if it is gone; everything else is not better in a moment."""
        if error.code in ("NOGROUP", "UNBLOCKED"):  # the latter: deleted while a read waited
            try:
                await self.group.create()
            except FAILURES as failed:
                self._refused.begin(failed)
            else:
                log.warn(
                    "consumer group is gone, created again",
                    consumer=self._dispatcher.name,
                    stream=self.group.name,
                )
        else:
            self._refused.begin(error)
        await wait_for(self._stopping, self._pauses.take())

    async def _leave(self) -> None:
        """Finish; a read that was broken off may have been given entries that nobody here has seen."""
        await self.group.waiting.close()
        if self._workers:
            await asyncio.wait(self._workers)
        try:
            for entry in await self.group.own():
                if entry.id not in self._done:
                    await self._work(entry, await self.group.deliveries(entry))
            if self._done:
                await self.group.acknowledge(list(self._done))
            await self.group.leave()
        except FAILURES as error:
            log.warn("entries may be executed again", **self._fields, error=str(error))


class StreamConsumer(Readers[StreamReader]):
    """All streams of one consumer; its owner is its name in the group."""

    def __init__(
        self,
        config: RedisStreamConsumerConfig,
        open_shard: OpenShard,
        dispatcher: Dispatcher,
        metrics: Metrics,
        clock: Clock,
        owner: str,
    ) -> None:
        super().__init__(open_shard, dispatcher, metrics, clock, owner)
        self._config = config

    async def connect(self) -> None:
        """Reach Redis, make the groups. Raises ``ConnectionError``, ``TimeoutError``, ``RedisError``."""
        config = self._config
        shard = await self._open(0.0)
        for key in config.streams:
            group = StreamGroup(
                shard, await self._open(STREAM_BLOCK), key, config.consumer_group, self._owner
            )
            await group.create()
            self._readers.append(StreamReader(group, config, self._dispatcher, self._clock))

    async def _measure(self, reader: StreamReader) -> None:
        """Also remove from the group who has gone."""
        try:
            state = await reader.group.state(self._clock.unix())
            await reader.group.sweep()
        except FAILURES:
            state = QueueState()
        self._metrics.queues[self.name, self._shards[0].name, reader.group.name] = state
