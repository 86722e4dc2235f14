"""Consumer of Redis lists, ``RPUSH <prefix>.api '{"method": ..., "params": ...}'`` (server specification 10.4).

How it works: one reader for each list of each shard. A reader steps (``list_lease``): look at the beginning of the
list, execute it in order, take it off while looking further. While the list is empty it waits in ``BLMOVE`` from the
left end to the left end, which moves nothing, and wakes when there is something. What is not executed is never taken
off, so nothing is lost, whatever ends; and nothing is executed twice unless a node dies, or Redis is away for
longer than a lease between the execution and the step after it.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from centrifast import log
from centrifast.api.decoding import MalformedError
from centrifast.clock import Clock
from centrifast.config.schema_consumer import RedisListConsumerConfig
from centrifast.consumers.dispatch import Backoff, Dispatcher, OpenShard, Verdict, read, wait_for
from centrifast.consumers.list_lease import NOTHING, Executed, ListLease, Outcome
from centrifast.consumers.messages import Call, decode_calls, rest_of
from centrifast.consumers.outage import Outage
from centrifast.consumers.readers import Readers
from centrifast.engine.redis.contract import FAILURES, RedisError, Shard
from centrifast.limits import (
    CONSUMER_FIRST_RETRY,
    CONSUMER_LAST_RETRY,
    CONSUMER_PAUSE,
    CONSUMER_SLICE,
    LIST_LEASE,
    LIST_LOOK,
)
from centrifast.metrics.metrics import Metrics, QueueState

RELEASE_ATTEMPTS = 3


def keys_of(config: RedisListConsumerConfig) -> list[bytes]:
    """Names of the lists."""
    plain = config.prefix.encode() + b".api"
    return [plain, *(b"%b.%d" % (plain, number) for number in range(config.num_shards))]


class ListReader:
    """Reads one list for as long as it holds the lease."""

    def __init__(
        self,
        lease: ListLease,
        waiting: Shard,
        config: RedisListConsumerConfig,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        """*waiting* has a connection that nobody else uses."""
        self.name = lease.key.decode()
        self.waiting = waiting
        self.lease = lease
        self._wanted = 1 + config.batch_size
        self._block = config.block_timeout
        self._dispatcher = dispatcher
        self._clock = clock
        self._refused = Outage(dispatcher.name, self.name)
        self._pauses = Backoff(clock, CONSUMER_PAUSE, CONSUMER_LAST_RETRY)
        self._executed = NOTHING
        self._stopping = asyncio.Event()
        self._wait: asyncio.Future[object] | None = None

    def stop(self) -> None:
        """Have ``run`` end after the call that is being made."""
        self._stopping.set()
        if self._wait is not None:
            self._wait.cancel()

    async def run(self) -> None:
        """Read until ``stop``, then leave the rest to others."""
        # By chance, so that nodes that start together share the lists out among them.
        await wait_for(self._stopping, LIST_LOOK * self._clock.random())
        while not self._stopping.is_set():
            try:
                await self._step()
            except RedisError as error:  # no list, or it may not be read: it is not better in a moment
                self._refused.begin(error)
                await wait_for(self._stopping, self._pauses.take())
            except (ConnectionError, TimeoutError):  # the shard has a line in the log about it
                await wait_for(self._stopping, CONSUMER_PAUSE)
            except Exception:  # noqa: BLE001 - the boundary where a bug costs one step
                log.exception("list reader failed", consumer=self._dispatcher.name, list=self.name)
                await wait_for(self._stopping, self._pauses.take())
        await self._release()

    async def _step(self) -> None:
        step = await self.lease.step(self._executed, self._wanted)
        self._settled(step.outcome)
        if step.outcome is Outcome.OTHERS:
            await wait_for(self._stopping, LIST_LOOK * (0.5 + self._clock.random()))
        elif step.elements:
            await self._execute(step.elements)
        else:
            await self._wait_for_elements()
        self._refused.end()
        self._pauses.reset()

    def _settled(self, outcome: Outcome) -> None:
        """What was executed is off the list, or it is too late for that."""
        if outcome is not Outcome.DONE and (self._executed.count or self._executed.rest):
            log.error(
                "executed commands could not be taken off a list and may be executed again",
                consumer=self._dispatcher.name,
                list=self.name,
                commands=self._executed.count,
                reason="something else takes elements from it"
                if outcome is Outcome.CHANGED
                else "lease lost",
            )
        self._executed = NOTHING

    async def _wait_for_elements(self) -> None:
        if self._stopping.is_set():
            return
        key = self.lease.key
        command = ("BLMOVE", key, key, "LEFT", "LEFT", str(self._block))
        self._wait = asyncio.ensure_future(self.waiting.call(key, command))
        try:
            await self._wait
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        finally:
            self._wait = None

    async def _execute(self, elements: Sequence[bytes]) -> None:
        """Execute *elements* in order, up to one that ``stop`` or the loss of the lease interrupts."""
        done, rest = 0, b""
        turn_began = self._clock.monotonic()
        for element in elements:
            if not self._may_go_on():
                break
            calls = read(element, decode_calls)
            made = await self._make(calls, element)
            if made < len(calls):
                rest = rest_of(element, made) if made else b""
                break
            done += 1
            if self._clock.monotonic() - turn_began > CONSUMER_SLICE:
                await asyncio.sleep(0)  # invariant 7
                turn_began = self._clock.monotonic()
        self._executed = Executed(done, elements[0], rest)

    def _may_go_on(self) -> bool:
        return self.lease.is_held and not self._stopping.is_set()

    async def _make(self, calls: Sequence[Call | MalformedError], element: bytes) -> int:
        """Make all calls of an element; how many were made when it was interrupted."""
        for number, call in enumerate(calls):
            if number and not self._may_go_on():
                return number
            if not await self._insist(call, element):
                return number
        return len(calls)

    async def _insist(self, call: Call | MalformedError, element: bytes) -> bool:
        """Make a call until it does not fail with an internal error; False if that was interrupted."""
        pauses = Backoff(self._clock, CONSUMER_FIRST_RETRY, CONSUMER_LAST_RETRY)
        failed = False
        while await self._dispatcher.make(call, element) is Verdict.RETRY:
            if not failed:
                failed = True
                log.warn(
                    "a list waits for a command that fails",
                    consumer=self._dispatcher.name,
                    list=self.name,
                )
            await wait_for(self._stopping, pauses.take())
            if not self._may_go_on():
                return False
        if failed:
            log.info("a list goes on", consumer=self._dispatcher.name, list=self.name)
        return True

    async def _release(self) -> None:
        for _ in range(RELEASE_ATTEMPTS):
            try:
                self._settled(await self.lease.release(self._executed))
            except FAILURES:
                await asyncio.sleep(CONSUMER_PAUSE)
            else:
                return
        self._settled(Outcome.OTHERS)


class ListConsumer(Readers[ListReader]):
    """All lists of one shard."""

    def __init__(
        self,
        config: RedisListConsumerConfig,
        open_shard: OpenShard,
        dispatcher: Dispatcher,
        metrics: Metrics,
        clock: Clock,
        owner: str,
    ) -> None:
        super().__init__(open_shard, dispatcher, metrics, clock, owner)
        self._config = config

    async def connect(self) -> None:
        """Reach Redis. Raises ``ConnectionError``, ``TimeoutError``."""
        config, clock = self._config, self._clock
        shard = await self._open(0.0)
        for key in keys_of(config):
            lease = ListLease(shard, key, f"{self._owner}/{self.name}", clock)
            waiting = await self._open(config.block_timeout)
            self._readers.append(ListReader(lease, waiting, config, self._dispatcher, clock))

    def _beside(self) -> Sequence[Coroutine[Any, Any, None]]:
        return (self._keep(),)

    async def _keep(self) -> None:
        """Prolong leases: a reader that waits, or has a command that fails, makes no step."""
        while not all(task.done() for task in self._reading):
            await asyncio.wait(self._reading, timeout=LIST_LEASE / 4)
            for reader in self._readers:
                if reader.lease.is_held:
                    with suppress(*FAILURES):
                        await reader.lease.prolong()

    async def _measure(self, reader: ListReader) -> None:
        shard, key = self._shards[0], reader.lease.key
        with suppress(*FAILURES):
            length = await shard.call(key, ("LLEN", key))
            self._metrics.queues[self.name, shard.name, reader.name] = QueueState(lag=length)
