"""Who reads a Redis list: one node at a time, so that elements keep their order (``docs/decisions/redis-queue.md``).

Elements stay in the list until they have been executed. A key beside the list names its reader and counts the steps
that reader has made; it expires when the reader is not heard of. A step takes off what was executed, prolongs the
lease and returns what comes next, in one script, and can be asked for again when its answer was lost.
"""

from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha1
from typing import Any

from msgspec import Struct

from centrifast.clock import Clock
from centrifast.engine.redis.contract import Script, Shard
from centrifast.engine.redis.topology import slot_of
from centrifast.limits import CONSUMER_MESSAGE_SIZE, LIST_BATCH_SIZE, LIST_LEASE


def script_of(name: str, source: bytes) -> Script:
    """A script with its digest."""
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())


def beside(key: bytes, suffix: bytes) -> bytes:
    """Name a key that a cluster keeps where *key* is."""
    name = key + suffix
    return name if slot_of(name) == slot_of(key) else b"{%b}%b" % (key, suffix)


_STEP = b"""
-- KEYS: list, lease. ARGV: reader, its steps so far, life of the lease in ms (0: let go), elements wanted, bytes
-- wanted, bytes of one element, elements executed, SHA-1 of the first of them, what is left of the one after them
local list, lease, reader, step = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local limit, executed = tonumber(ARGV[6]), tonumber(ARGV[7])
local held = redis.call('GET', lease)
local outcome, has_executed = 1, executed > 0 or ARGV[9] ~= ''
if held == reader .. ':' .. (step + 1) then
  has_executed = false  -- this step was made before, and its answer was lost
elseif not held then
  outcome = 2
elseif held ~= reader .. ':' .. step then
  return {0}
elseif has_executed then
  local first = redis.call('LINDEX', list, 0)
  if not first or redis.sha1hex(string.sub(first, 1, limit)) ~= ARGV[8] then outcome = 3 end
end
-- DEL comes first: it is allowed when Redis has no memory left, and so is all that follows the first write of a script.
redis.call('DEL', lease)
if has_executed and outcome == 1 then
  redis.call('LTRIM', list, executed, -1)
  if ARGV[9] ~= '' then redis.call('LSET', list, 0, ARGV[9]) end
end
if ARGV[3] == '0' then return {outcome} end
redis.call('SET', lease, reader .. ':' .. (step + 1), 'PX', ARGV[3])
local found = redis.call('LRANGE', list, 0, tonumber(ARGV[4]) - 1)
local size, reply = 0, {outcome}
for index, element in ipairs(found) do
  size = size + #element
  if index > 1 and size > tonumber(ARGV[5]) then break end
  reply[index + 1] = string.sub(element, 1, limit)
end
return reply
"""

_PROLONG = b"""
-- KEYS: lease. ARGV: reader, life of the lease in ms
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""


STEP = script_of("list_step", _STEP)
PROLONG = script_of("list_prolong", _PROLONG)


class Outcome(IntEnum):
    """What a step came to."""

    OTHERS = 0  # another node reads the list
    DONE = 1
    ANEW = (
        2  # nobody read it: the lease is ours from here on, and what was executed before may not be taken off
    )
    CHANGED = 3  # the list does not begin with what was executed: something else takes elements from it


class Step(Struct, frozen=True):
    """The outcome, and what comes next in the list. Elements beyond the limit of one are cut one byte after it."""

    outcome: Outcome
    elements: Sequence[bytes] = ()


class Executed(Struct, frozen=True):
    """What may be taken off: *count* elements, the list's *first* one; *rest* then replaces the next if not empty."""

    count: int = 0
    first: bytes = b""
    rest: bytes = b""


NOTHING = Executed()


class ListLease:
    """The lease of one list. Everything raises like ``Shard``."""

    def __init__(self, shard: Shard, key: bytes, reader: str, clock: Clock) -> None:
        self.key = key
        self._shard = shard
        self._lease = beside(key, b".reader")
        self._reader = reader
        self._clock = clock
        self._steps = 0
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have got it yet."""
        return self._clock.monotonic() < self._until

    async def step(self, executed: Executed, wanted: int) -> Step:
        """Take off what was *executed*, and look at the next elements, *wanted* at most."""
        asked_at = self._clock.monotonic()
        reply = await self._ask(executed, int(LIST_LEASE * 1000), wanted)
        outcome = Outcome(reply[0])
        if outcome is Outcome.OTHERS:
            self._until = 0.0
            return Step(outcome)
        self._steps += 1
        self._until = asked_at + LIST_LEASE
        return Step(outcome, reply[1:])

    async def prolong(self) -> None:
        """Keep it while no step is made."""
        asked_at = self._clock.monotonic()
        life_ms = int(LIST_LEASE * 1000)
        if await self._shard.run(PROLONG, (self._lease,), (f"{self._reader}:", life_ms)):
            self._until = asked_at + LIST_LEASE
        else:
            self._until = 0.0

    async def release(self, executed: Executed) -> Outcome:
        """Take off what was *executed*, and let others read."""
        outcome = Outcome((await self._ask(executed, 0, 0))[0])
        self._until = 0.0
        return outcome

    async def _ask(self, executed: Executed, life_ms: int, wanted: int) -> list[Any]:
        arguments = (
            self._reader,
            self._steps,
            life_ms,
            wanted,
            LIST_BATCH_SIZE,
            CONSUMER_MESSAGE_SIZE + 1,
            executed.count,
            sha1(executed.first, usedforsecurity=False).hexdigest(),
            executed.rest,
        )
        reply: list[Any] = await self._shard.run(STEP, (self.key, self._lease), arguments)
        return reply
