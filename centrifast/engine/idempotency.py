"""Positions of publications that carried an idempotency key (server specification 6.5)."""

from collections import OrderedDict

from centrifast.model import StreamPosition

# Server specification 6.5: "same key for the same channel within 5 minutes".
KEY_TTL = 300.0

# Keys come from callers, so their number and size need a bound; beyond it the oldest are forgotten first.
KEYS_MAX = 1_000_000
KEYS_MAX_BYTES = 256 * 1024 * 1024

# Of one entry beside the characters of its names: tuples, position, two string headers, table slot.
ENTRY_BYTES = 450


class IdempotencyCache:
    """(channel, key) -> position, for ``KEY_TTL``. In order of age, because all live equally long."""

    def __init__(self, max_keys: int = KEYS_MAX, max_bytes: int = KEYS_MAX_BYTES) -> None:
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], tuple[float, StreamPosition]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, channel: str, key: str, now: float) -> StreamPosition | None:
        """Return the position of the publication made with this key; None if there is none that counts."""
        entry = self._entries.get((channel, key))
        if entry is None or entry[0] <= now:
            return None
        return entry[1]

    def put(self, channel: str, key: str, position: StreamPosition, now: float) -> None:
        """Remember a success; forget the oldest while there are too many."""
        names = (channel, key)
        if self._entries.pop(names, None) is not None:  # expired, or it would not be put again
            self._bytes -= _size(names)
        self._entries[names] = (now + KEY_TTL, position)
        self._bytes += _size(names)
        while len(self._entries) > self._max_keys or self._bytes > self._max_bytes:
            self._forget_oldest()

    def expire(self, now: float, limit: int) -> int:
        """Forget at most *limit* entries that are past their time; return how many."""
        count = 0
        while count < limit and self._entries:
            if next(iter(self._entries.values()))[0] > now:
                break
            self._forget_oldest()
            count += 1
        return count

    def _forget_oldest(self) -> None:
        names, _ = self._entries.popitem(last=False)
        self._bytes -= _size(names)


def _size(names: tuple[str, str]) -> int:
    return len(names[0]) + len(names[1]) + ENTRY_BYTES
