import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from centrifast.clock import Clock
from centrifast.consumers.dispatch import Dispatcher
from centrifast.consumers.readers import Readers
from centrifast.engine.redis.contract import Shard
from centrifast.metrics.metrics import Metrics
from tests.fakes import FakeClock
from tests.server.http_peer import run


class Closing:
    """A shard that only ends."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class Reading:
    """Reads until it is told to stop, or for ever."""

    def __init__(self, *, heeds: bool = True) -> None:
        self.ended = ""
        self._heeds = heeds
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        if self._heeds:
            self._stopping.set()

    async def run(self) -> None:
        try:
            await self._stopping.wait()
            self.ended = "by itself"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


class Queues(Readers[Reading]):
    """Two shards, these readers, and something beside them."""

    def __init__(self, *readers: Reading) -> None:
        self.opened: list[Closing] = []
        self.measured: list[Reading] = []
        self.was_beside = False
        dispatcher = cast(Dispatcher, type("Named", (), {"name": "queues"})())
        super().__init__(self._make, dispatcher, Metrics(), cast(Clock, FakeClock()), "owner")
        self._readers.extend(readers)

    async def _make(self, patience: float) -> Shard:
        self.opened.append(Closing(patience))
        return cast(Shard, self.opened[-1])

    async def connect(self) -> None:
        for patience in (0.0, 5.0):
            await self._open(patience)

    async def _measure(self, reader: Reading) -> None:
        self.measured.append(reader)

    def _beside(self) -> Sequence[Coroutine[Any, Any, None]]:
        return (self._note(),)

    async def _note(self) -> None:
        self.was_beside = True


def test_readers_run_side_by_side_are_measured_and_end_together() -> None:
    async def scenario() -> None:
        readers = [Reading(), Reading()]
        queues = Queues(*readers)
        await queues.connect()
        assert [shard.patience for shard in queues.opened] == [0.0, 5.0]
        queues.start()
        await asyncio.sleep(0)
        assert queues.measured == readers
        assert queues.was_beside
        await queues.stop()
        assert [reader.ended for reader in readers] == ["by itself", "by itself"]
        assert not any(shard.is_closed for shard in queues.opened)
        await queues.close()
        assert all(shard.is_closed for shard in queues.opened)

    run(scenario())


def test_what_does_not_stop_is_cancelled_when_it_is_closed() -> None:
    async def scenario() -> None:
        reader = Reading(heeds=False)
        queues = Queues(reader)
        await queues.connect()
        queues.start()
        await asyncio.sleep(0)
        await queues.close()
        assert reader.ended == "cancelled"
        assert all(shard.is_closed for shard in queues.opened)

    run(scenario())


def test_what_was_never_started_can_be_stopped_and_closed() -> None:
    async def scenario() -> None:
        queues = Queues(Reading())
        await queues.connect()
        await queues.stop()
        await queues.close()
        assert all(shard.is_closed for shard in queues.opened)

    run(scenario())
