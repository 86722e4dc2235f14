"""Presence of a single process: who is subscribed, in memory, lost with the process.

How it works. An entry that nobody refreshes is past its time after the TTL (the original's memory engine keeps
it for ever), so that clients of a worker that died vanish. All live equally long, so a channel holds its entries in
the order of their refreshes and drops the ones past their time from the front, before any answer; the sweep only
frees the memory of channels nobody asks about. A channel with few clients is a plain list, gone through whatever
is asked: its cost is bounded and small. One with many finds clients through a table and counts those of each user,
so that its statistics cost no more.
"""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from centrifast.clock import Clock
from centrifast.engine.sweep import Sweeper
from centrifast.limits import PRESENCE_TTL
from centrifast.model import ClientInfo, PresenceStats

# Up to so many clients a channel has few. One that had more must shrink to half of it to have few again, so that
# a client that comes and goes does not turn it back and forth.
FEW = 8

NOBODY = PresenceStats(0, 0)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """One client, and the time from which on it no longer counts."""

    info: ClientInfo
    until: float


class _Few(msgspec.Struct, gc=False):
    """The entries of a channel in the order of their last refresh; a list takes a third of the memory of a dict."""

    next_look: float  # of the sweep
    entries: list[_Entry]

    def put(self, entry: _Entry) -> None:
        self.remove(entry.info.client)
        self.entries.append(entry)

    def remove(self, client: str) -> None:
        for index, entry in enumerate(self.entries):
            if entry.info.client == client:
                del self.entries[index]
                break

    def expire(self, now: float, limit: int) -> int:
        """Drop entries past their time, at most *limit*; return how many."""
        entries = self.entries
        count = 0
        while count < min(limit, len(entries)) and entries[count].until <= now:
            count += 1
        del entries[:count]
        return count

    def infos(self) -> dict[str, ClientInfo]:
        return {entry.info.client: entry.info for entry in self.entries}

    def num_users(self) -> int:
        return len({entry.info.user for entry in self.entries})


class _Many(msgspec.Struct, gc=False):
    """The same by client, and how many clients each user has."""

    next_look: float  # of the sweep
    entries: OrderedDict[str, _Entry]
    clients_of: dict[str, int]

    def put(self, entry: _Entry) -> None:
        client, user = entry.info.client, entry.info.user
        old = self.entries.get(client)
        self.entries[client] = entry
        self.clients_of[user] = self.clients_of.get(user, 0) + 1
        if old is not None:
            # Taken out and put in again, it would leave a gap that makes the whole table move now and then.
            self.entries.move_to_end(client)
            self._uncount(old)

    def remove(self, client: str) -> None:
        entry = self.entries.pop(client, None)
        if entry is not None:
            self._uncount(entry)

    def expire(self, now: float, limit: int) -> int:
        """Drop entries past their time, at most *limit*; return how many. Each is dropped once: O(1) on average."""
        count = 0
        while count < limit and self.entries:
            client, entry = next(iter(self.entries.items()))
            if entry.until > now:
                break
            self.remove(client)
            count += 1
        return count

    def infos(self) -> dict[str, ClientInfo]:
        # In the order of the table underneath: an ordered walk would look each client up.
        return {client: entry.info for client, entry in dict.items(self.entries)}

    def num_users(self) -> int:
        return len(self.clients_of)

    def _uncount(self, entry: _Entry) -> None:
        user = entry.info.user
        count = self.clients_of[user] - 1
        if count:
            self.clients_of[user] = count
        else:
            del self.clients_of[user]


class MemoryPresence:
    """``contract.PresenceManager`` inside this process. No method ever suspends."""

    def __init__(self, clock: Clock, ttl: float = PRESENCE_TTL) -> None:
        self._clock = clock
        self._ttl = ttl
        # In the order of the sweep's next look. It comes a TTL after the one before, or after the channel began.
        self._channels: OrderedDict[str, _Few | _Many] = OrderedDict()
        self._sweeper = Sweeper(clock, self._sweep)

    async def start(self) -> None:
        """Sweep from here on."""
        self._sweeper.start()

    async def close(self) -> None:
        """Sweep no more."""
        self._sweeper.close()

    async def add(self, channel: str, info: ClientInfo) -> None:
        """See ``PresenceManager.add``. O(1)."""
        until = self._clock.monotonic() + self._ttl
        members = self._channels.get(channel)
        if members is None:
            members = self._channels[channel] = _Few(until, [])
        members.put(_Entry(info, until))
        self._fit(channel, members)

    async def remove(self, channel: str, client: str, user: str) -> None:
        """See ``PresenceManager.remove``; *user* is known from the entry. O(1)."""
        members = self._channels.get(channel)
        if members is not None:
            members.remove(client)
            self._fit(channel, members)

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """See ``PresenceManager.presence``; the caller owns the result. O(clients)."""
        members = self._live(channel)
        return {} if members is None else members.infos()

    async def stats(self, channel: str) -> PresenceStats:
        """See ``PresenceManager.stats``. O(1) on average."""
        members = self._live(channel)
        return NOBODY if members is None else PresenceStats(len(members.entries), members.num_users())

    def _live(self, channel: str) -> _Few | _Many | None:
        """Return a channel without entries that are past their time; None if it has no others."""
        members = self._channels.get(channel)
        if members is None:
            return None
        members.expire(self._clock.monotonic(), len(members.entries))
        return self._fit(channel, members)

    def _fit(self, channel: str, members: _Few | _Many) -> _Few | _Many | None:
        """Forget a channel that is empty, change one that has grown or shrunk; return what there is."""
        count = len(members.entries)
        if not count:
            del self._channels[channel]
            return None
        if isinstance(members, _Few):
            if count > FEW:
                members = self._channels[channel] = _many(members)
        elif count <= FEW // 2:
            members = self._channels[channel] = _Few(members.next_look, list(members.entries.values()))
        return members

    def _sweep(self, now: float, limit: int) -> int:
        """Free entries of channels in turn; one with more than may be freed stays the next to be looked at."""
        count = 0
        while count < limit and self._channels:
            channel, members = next(iter(self._channels.items()))
            if members.next_look > now:
                break
            count += 1
            count += members.expire(now, limit - count)
            left = self._fit(channel, members)
            if left is not None and count < limit:
                left.next_look = now + self._ttl
                self._channels.move_to_end(channel)
        return count


def _many(few: _Few) -> _Many:
    """Put the entries of a channel that grows in order and count them."""
    many = _Many(few.next_look, OrderedDict(), {})
    for entry in few.entries:
        many.put(entry)
    return many
