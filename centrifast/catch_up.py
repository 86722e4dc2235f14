"""What comes by in a channel while somebody reads its history (client protocol 6.4).

One buffer per channel, however many clients subscribe at once; each notes where in it its read began. Reads for the
same thing are shared: of 10,000 clients that come back together, one asks the engine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from centrifast import eager
from centrifast.engine.contract import History, HistoryFilter
from centrifast.limits import CATCH_UP_SIZE
from centrifast.model import Publication, StreamPosition
from centrifast.recovery import Delivered

ENTRY_SIZE = 270
"""Bytes of memory that a kept publication takes beside its payload (CPython 3.11), so that empty ones count too."""

Read = Callable[[HistoryFilter], Coroutine[Any, Any, History]]


class CatchUp:
    """The buffer of one channel and the reads that are under way."""

    __slots__ = ("_buffer", "_reads", "_running", "_size", "is_useless", "readers")

    def __init__(self, running: "set[asyncio.Task[History]]") -> None:
        """*running* is where reads are kept until they are done; its owner cancels them."""
        self._running = running
        self.readers = 0
        self.is_useless = False
        self._buffer: list[Delivered] = []
        self._size = 0
        self._reads: dict[HistoryFilter, tuple[Awaitable[History], int]] = {}

    def add(self, publication: Publication, position: StreamPosition) -> None:
        """Keep a publication that came by."""
        self._buffer.append(Delivered(publication, position))
        self._size += len(publication.data) + ENTRY_SIZE
        if self._size > CATCH_UP_SIZE:
            self.give_up()

    def give_up(self) -> None:
        """Keep nothing more, and nothing of what was kept."""
        self.is_useless = True
        self._buffer.clear()

    def since(self, start: int) -> Sequence[Delivered]:
        """What came by after a read that began at *start*."""
        return self._buffer[start:]

    async def read(self, wanted: HistoryFilter, read: Read) -> tuple[History, int]:
        """Read history, together with others who want the same; return it and where in the buffer it began.

        A read that is under way serves as well as one begun now: what came by since then is in the buffer.
        """
        shared = self._reads.get(wanted)
        if shared is None:
            start = len(self._buffer)
            reading = eager.start(read(wanted))
            if not isinstance(reading, asyncio.Task):
                return reading, start
            shared = self._reads[wanted] = reading, start
            self._running.add(reading)
            reading.add_done_callback(lambda done: self._forget(wanted, done))
        return await asyncio.shield(shared[0]), shared[1]

    def _forget(self, wanted: HistoryFilter, done: "asyncio.Task[History]") -> None:
        del self._reads[wanted]
        self._running.discard(done)
        if not done.cancelled():
            done.exception()  # seen, even if all who wanted to hear of it have gone


class CatchUps:
    """The buffers of all channels in which somebody reads history."""

    def __init__(self) -> None:
        self._by_channel: dict[str, CatchUp] = {}
        self._running: set[asyncio.Task[History]] = set()

    async def close(self) -> None:
        """Stop reads that nobody waits for any more."""
        running = tuple(self._running)
        for reading in running:
            reading.cancel()
        if running:
            await asyncio.wait(running)

    def begin(self, channel: str) -> CatchUp:
        """Keep what comes by until ``end``."""
        catch_up = self._by_channel.get(channel)
        if catch_up is None:
            catch_up = self._by_channel[channel] = CatchUp(self._running)
        catch_up.readers += 1
        return catch_up

    def end(self, channel: str, catch_up: CatchUp) -> None:
        """Undo one ``begin``."""
        catch_up.readers -= 1
        if not catch_up.readers and self._by_channel.get(channel) is catch_up:
            del self._by_channel[channel]

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        """Keep a publication for those who read; one buffer that is full is given up."""
        if not self._by_channel or not position.offset:
            return
        catch_up = self._by_channel.get(channel)
        if catch_up is not None:
            catch_up.add(publication, position)
            if catch_up.is_useless:
                del self._by_channel[channel]

    def on_rewound(self, channel: str) -> None:
        """What is kept does not belong to what comes from here on: who reads must come back."""
        catch_up = self._by_channel.pop(channel, None)
        if catch_up is not None:
            catch_up.give_up()

    @property
    def count(self) -> int:
        """Channels in which somebody reads."""
        return len(self._by_channel)
