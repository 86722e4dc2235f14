"""What queues in Redis have in common: readers side by side on one shard, each with a connection to wait on."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from centrifast.clock import Clock
from centrifast.consumers.dispatch import Dispatcher, OpenShard, end, wait_for
from centrifast.engine.redis.contract import Shard
from centrifast.limits import CONSUMER_LOOK
from centrifast.metrics.metrics import Metrics


class Reader(Protocol):
    """Reads one queue."""

    async def run(self) -> None:
        """Read until ``stop``."""

    def stop(self) -> None:
        """Have ``run`` end after what is being executed."""


R = TypeVar("R", bound=Reader)


class Readers(Generic[R]):
    """The queues of one consumer on one shard. Kinds of queues say how they connect and what is measured."""

    def __init__(
        self, open_shard: OpenShard, dispatcher: Dispatcher, metrics: Metrics, clock: Clock, owner: str
    ) -> None:
        """*owner*: who reads, unlike any other process."""
        self.name = dispatcher.name
        self._open_shard = open_shard
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._shards: list[Shard] = []  # the first is for everything that does not block
        self._readers: list[R] = []
        self._reading: Sequence[asyncio.Task[None]] = ()
        self._others: Sequence[asyncio.Task[None]] = ()
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Begin to read."""
        self._reading = [asyncio.create_task(reader.run()) for reader in self._readers]
        self._others = [asyncio.create_task(one) for one in (self._watch(), *self._beside())]

    async def stop(self) -> None:
        """Finish what is being executed, and leave everything else to others."""
        self._stopping.set()
        for reader in self._readers:
            reader.stop()
        if tasks := [*self._reading, *self._others]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """End what has not stopped, and disconnect."""
        await end([*self._reading, *self._others])
        for shard in self._shards:
            await shard.close()

    async def _open(self, patience: float) -> Shard:
        shard = await self._open_shard(patience)
        self._shards.append(shard)
        return shard

    async def _watch(self) -> None:
        """Measure the queues from time to time."""
        while not self._stopping.is_set():
            for reader in self._readers:
                await self._measure(reader)
            await wait_for(self._stopping, CONSUMER_LOOK)

    # -------------------------------------------------------- for subclasses

    async def _measure(self, reader: R) -> None:
        """Note the state of a queue. Raises nothing."""
        raise NotImplementedError

    def _beside(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What else runs while queues are read; it ends by itself when they are not any more."""
        return ()
