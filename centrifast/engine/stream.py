"""Bounded history of one channel: numbered publications of one incarnation (client protocol 6.1).

Sans-I/O: the time and fresh epochs are handed in. A stream never looks at the clock; whoever owns it calls
``refresh`` before each use, so nothing that is past its time is ever seen, even if no sweep came by.
"""

import math
from collections.abc import Sequence

from centrifast.engine.contract import HistoryFilter, PublishOptions
from centrifast.model import Publication, StreamPosition

NEVER = math.inf

# Takes the place of a publication that was trimmed, so that its payload is freed at once.
_TRIMMED = Publication(b"")


class Stream:
    """Publications with consecutive offsets up to ``top``.

    They are kept in a list with a moving start: offsets become indices by arithmetic, a small channel pays 8
    bytes for each publication (an empty deque alone takes 600), and the dead front is cut off when it
    outgrows the rest, which makes an append O(1) on average.
    """

    __slots__ = (
        "_kept",
        "_start",
        "_version",
        "_version_epoch",
        "data_until",
        "epoch",
        "in_data_heap",
        "in_meta_heap",
        "meta_until",
        "top",
    )

    def __init__(self, epoch: str) -> None:
        # These two belong to the owner's sweep: it has an item that leads to this stream.
        self.in_data_heap = False
        self.in_meta_heap = False
        self._kept: list[Publication] = []
        self.restart(epoch)

    def __len__(self) -> int:
        return len(self._kept) - self._start

    @property
    def position(self) -> StreamPosition:
        """The top: offset of the newest publication ever made in this incarnation."""
        return StreamPosition(self.top, self.epoch)

    @property
    def newest(self) -> Publication | None:
        """The publication at the top, if it is still kept."""
        return self._kept[-1] if len(self) else None

    def restart(self, epoch: str) -> None:
        """Begin a new incarnation: offset 0, nothing kept, no version."""
        self.remove()
        self.epoch = epoch
        self.top = 0
        self.meta_until = NEVER
        self._version = 0
        self._version_epoch = ""

    def remove(self) -> None:
        """Drop the publications; epoch and top stay (server specification 6.5 history_remove)."""
        self._kept = []
        self._start = 0
        self.data_until = NEVER

    def has_ended(self, now: float) -> bool:
        """Say whether even epoch and top are past their time: the stream must ``restart`` before any use."""
        return self.meta_until <= now

    def refresh(self, now: float) -> None:
        """Drop the publications if their time is over; they expire together."""
        if self.data_until <= now:
            self.remove()

    def touch(self, meta_ttl: float, now: float) -> None:
        """Re-arm the life of epoch and top, as every read and stored publication does; 0 means for ever.

        They never go before the publications, else a new incarnation could show the old one's.
        """
        self.meta_until = now + meta_ttl if meta_ttl > 0 else NEVER
        if self._kept and self.meta_until < self.data_until:
            self.meta_until = self.data_until

    def admits(self, options: PublishOptions) -> bool:
        """Say whether the publication is newer than the last one that had a version, or has none itself.

        An empty ``version_epoch`` compares with any, another one with none (server specification 6.5).
        """
        if options.version <= 0:
            return True
        if options.version_epoch not in ("", self._version_epoch):
            return True
        return options.version > self._version

    def append(self, data: bytes, options: PublishOptions, time_ms: int, now: float) -> Publication:
        """Number a publication, keep it, trim to ``history.size``, re-arm both lives; return it.

        Its version, if it has one, is what ``admits`` compares with from here on. The first publication of an
        incarnation carries the epoch (client protocol 2.3).
        """
        if options.version > 0:
            self._version = options.version
            self._version_epoch = options.version_epoch
        self.top = offset = self.top + 1
        epoch = self.epoch if offset == 1 else ""
        publication = Publication(data, offset, options.info, options.tags, epoch, time_ms)
        self._kept.append(publication)
        history = options.history
        excess = len(self._kept) - self._start - history.size
        if excess > 0:
            self._trim(excess)
        self.data_until = now + history.ttl
        self.touch(history.meta_ttl, now)
        return publication

    def _trim(self, count: int) -> None:
        kept = self._kept
        start = self._start
        for index in range(start, start + count):
            kept[index] = _TRIMMED
        start += count
        if start > len(kept) - start:
            del kept[:start]
            start = 0
        self._start = start

    def read(self, wanted: HistoryFilter) -> Sequence[Publication]:
        """Return what *wanted* selects (client protocol 3.8); comparing the epoch is the caller's.

        O(result). Forward: offsets above ``since``, from the oldest kept if the next is trimmed. Reverse:
        offsets below ``since``, and none when the one right below it is not kept.
        """
        first = self.top - len(self) + 1  # offset of the oldest kept
        low, high = first, self.top + 1  # what is read: low <= offset < high
        if wanted.since is not None:
            if not wanted.reverse:
                low = max(first, wanted.since.offset + 1)
            elif first <= wanted.since.offset - 1 <= self.top:
                high = wanted.since.offset
            else:
                return []
        count = max(high - low, 0)
        if wanted.limit >= 0:
            count = min(count, wanted.limit)
        if count == 0:
            return []
        if wanted.reverse:
            stop = self._start + high - first
            publications = self._kept[stop - count : stop]
            publications.reverse()
            return publications
        begin = self._start + low - first
        return self._kept[begin : begin + count]
