"""Commands to one stream and its consumer group, and what Redis answers as values."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from centrifast.consumers.list_lease import script_of
from centrifast.engine.redis.contract import RedisError, Reply, Shard
from centrifast.limits import STREAM_CONSUMER_LIFETIME, STREAM_DRAIN
from centrifast.metrics.metrics import QueueState

BEGINNING = b"0-0"

_LEAVE = b"""
-- KEYS: stream. ARGV: group, consumer, ms after which another consumer counts as gone. Whoever owes an entry stays.
local function owes(name) return #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, name) > 0 end
if ARGV[2] ~= '' and not owes(ARGV[2]) then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
local removed = 0
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for index = 1, #facts, 2 do consumer[facts[index]] = facts[index + 1] end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[3]) and not owes(consumer.name) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
"""


LEAVE = script_of("stream_leave", _LEAVE)


class Entry(Struct, frozen=True):
    """An entry of a stream; *fields* are None if it has been deleted since it was delivered."""

    id: bytes
    fields: Mapping[str, bytes] | None


class StreamGroup:
    """One stream as *consumer* of *group* sees it. Everything raises like ``Shard``."""

    def __init__(self, shard: Shard, waiting: Shard, key: str, group: str, consumer: str) -> None:
        """*waiting* has a connection that nobody else uses."""
        self.name = key
        self.waiting = waiting
        self._key = key.encode()
        self._shard = shard
        self._group, self._consumer = group, consumer
        self._last_id = b""

    def _call(self, *command: bytes | str | int) -> Awaitable[Reply]:
        return self._shard.call(self._key, command)

    async def create(self) -> None:
        """Create the group, and the stream, if they are missing.

        A new group is given what is added from here on; one that got lost goes on after the last entry seen here.
        """
        start = await self._start()
        try:
            await self._call("XGROUP", "CREATE", self._key, self._group, start, "MKSTREAM")
        except RedisError as error:
            if error.code != "BUSYGROUP":
                raise
        if not self._last_id:
            self._last_id = (await self._facts()).get(b"last-delivered-id", b"")

    async def _start(self) -> bytes:
        if not self._last_id:
            return b"$"
        try:
            facts = _pairs(await self._call("XINFO", "STREAM", self._key))
        except RedisError as error:
            if error.code == "WRONGTYPE":
                raise
            return BEGINNING  # the stream is gone as well: everything in the next one is new
        newest: bytes = facts[b"last-generated-id"]
        return self._last_id if _order(newest) >= _order(self._last_id) else BEGINNING

    async def _facts(self) -> Mapping[bytes, Any]:
        """What Redis knows of the group; nothing if there is none."""
        for found in await self._call("XINFO", "GROUPS", self._key):
            facts = _pairs(found)
            if facts[b"name"] == self._group.encode():
                return facts
        return {}

    async def read(self, count: int, block: float) -> list[Entry]:
        """Take entries that nobody has been given; waits for the first one, *block* seconds at most."""
        arguments = ("COUNT", count, "BLOCK", max(int(block * 1000), 1), "STREAMS", self._key, ">")
        command = ("XREADGROUP", "GROUP", self._group, self._consumer, *arguments)
        reply = await self.waiting.call(self._key, command)
        entries = _entries(reply[0][1]) if reply else []
        if entries:
            self._last_id = entries[-1].id
        return entries

    async def own(self) -> list[Entry]:
        """Entries that this consumer has been given and has not acknowledged, the oldest first."""
        arguments = ("COUNT", STREAM_DRAIN, "STREAMS", self._key, BEGINNING)
        reply = await self._call("XREADGROUP", "GROUP", self._group, self._consumer, *arguments)
        return _entries(reply[0][1]) if reply else []

    async def claim(self, idle: float, start: bytes, count: int) -> tuple[bytes, list[Entry]]:
        """Take entries that lie with anybody for longer than *idle* seconds; where to go on, and the entries."""
        found = await self._call(
            "XAUTOCLAIM",
            self._key,
            self._group,
            self._consumer,
            int(idle * 1000),
            start,
            "COUNT",
            count,
        )
        return found[0], _entries(found[1])

    async def deliveries(self, entry: Entry) -> int:
        """How often an entry has been delivered."""
        found = await self._call("XPENDING", self._key, self._group, entry.id, entry.id, 1)
        return int(found[0][3]) if found else 0

    async def forget_delivery(self, entry: Entry, deliveries: int) -> None:
        """Have the latest of so many deliveries not count; the entry stays with this consumer."""
        arguments = ("RETRYCOUNT", max(deliveries - 1, 0), "JUSTID")
        await self._call("XCLAIM", self._key, self._group, self._consumer, 0, entry.id, *arguments)

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """These are done with."""
        await self._call("XACK", self._key, self._group, *ids)

    async def leave(self) -> None:
        """Remove this consumer from the group, and others that are gone, unless they owe an entry."""
        await self._sweep(self._consumer)

    async def sweep(self) -> None:
        """Remove consumers that are gone and owe nothing."""
        await self._sweep("")

    async def _sweep(self, consumer: str) -> None:
        lifetime = int(STREAM_CONSUMER_LIFETIME * 1000)
        await self._shard.run(LEAVE, (self._key,), (self._group, consumer, lifetime))

    async def state(self, now: float) -> QueueState:
        """How much waits; *now* in Unix seconds. The lag is unknown before Redis 7, and where entries were deleted."""
        facts = await self._facts()
        if not facts:
            return QueueState()
        oldest = await self._call("XPENDING", self._key, self._group, "-", "+", 1)
        age = max(now - _order(oldest[0][0])[0] / 1000, 0.0) if oldest else 0.0
        return QueueState(facts.get(b"lag"), facts[b"pending"], age)


def _entries(reply: Any) -> list[Entry]:
    """Entries of a reply; Redis 6 leaves a gap for a deleted one."""
    return [Entry(found[0], _fields(found[1])) for found in reply if found]


def _fields(flat: Sequence[bytes] | None) -> Mapping[str, bytes] | None:
    if flat is None:
        return None
    names = (name.decode("utf-8", "backslashreplace") for name in flat[::2])
    return dict(zip(names, flat[1::2], strict=True))


def _pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _order(entry_id: bytes) -> tuple[int, int]:
    """Milliseconds and number of an id."""
    first, _, second = entry_id.partition(b"-")
    return int(first), int(second)
