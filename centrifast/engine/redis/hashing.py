"""Which shard keeps a channel (engines specification 3.8): 64-bit FNV-1a, then jump consistent hash. Pure."""

from functools import lru_cache

_OFFSET_BASIS = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF
_MULTIPLIER = 2862933555777941757

# Names kept with their shard. A hit costs 0.15 µs, a name of 20 bytes that is not among them 4 µs.
_CACHED = 65_536


def fnv1a64(data: bytes) -> int:
    """The 64-bit FNV-1a hash of *data*."""
    value = _OFFSET_BASIS
    for byte in data:
        value = (value ^ byte) * _PRIME & _MASK
    return value


def jump(key: int, count: int) -> int:
    """Where *key* goes among *count* places; with one place more, 1/(count + 1) of all keys go to it, no other moves.

    The arithmetic is that of doubles, as everywhere this hash is used (Lamping and Veach, 2014).
    """
    place, following = -1, 0
    while following < count:
        place = following
        key = (key * _MULTIPLIER + 1) & _MASK
        following = int((place + 1) * (2**31 / ((key >> 33) + 1)))
    return place


@lru_cache(maxsize=_CACHED)
def _place_of(name: str, count: int) -> int:
    return jump(fnv1a64(name.encode()), count)


def shard_of(channel: str, count: int) -> int:
    """Which of *count* shards, or partitions, keeps *channel*: 0 <= result < count."""
    return 0 if count == 1 else _place_of(channel, count)
