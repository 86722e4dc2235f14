"""A shard that is a whole Redis Cluster: every key goes to the master of its slot (engines specification 3.8).

``CLUSTER SLOTS`` tells who that is; it is asked of any member at the start, every ``REFRESH_INTERVAL``, and soon after
anything that shows a change: a redirection, a lost connection, a cluster that is down. A command that was redirected
was not carried out, so it is sent once more; nothing else is ever repeated. Classic PUB/SUB hears everything at any
member; sharded PUB/SUB is connected to whoever has the slot.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.contract import PubSubOwner, RedisError, Reply, Script
from centrifast.engine.redis.kept import KeptConnection
from centrifast.engine.redis.lane import Lane, MakeWire, Route
from centrifast.engine.redis.pubsub_wire import PubSubWire
from centrifast.engine.redis.settings import Place, ShardSettings
from centrifast.engine.redis.shard import Count, dialer_of, evaluated, uncounted
from centrifast.engine.redis.topology import SLOTS, Topology, read_redirection, read_topology, slot_of
from centrifast.engine.redis.watch import Watch
from centrifast.engine.redis.wire import Command
from centrifast.limits import REDIS_PAUSE

REFRESH_INTERVAL = 30.0
"""Seconds between two questions who has which slots (engines specification 3.8)."""


class Member:
    """A master, or who was named as one."""

    def __init__(self, place: Place, kept: KeptConnection) -> None:
        self.place = place
        self.kept = kept


class ClusterShard:
    """``contract.Shard``, a cluster that any of the places of *settings* is a member of."""

    is_cluster = True

    def __init__(
        self,
        settings: ShardSettings,
        clock: Clock,
        count: Count = uncounted,
        refresh_interval: float = REFRESH_INTERVAL,
    ) -> None:
        self.name = settings.name
        self._seeds = settings.places
        self._clock = clock
        self._count = count
        self._dialer = dialer_of(settings, clock)
        self._watch = Watch(clock, refresh_interval, self._look, self.name)
        self._topology = Topology((), frozenset())
        self._refreshed_at = 0.0
        self._members: dict[Place, Member] = {}
        self._table: list[Member | None] = [None] * SLOTS
        self._retired: list[Member] = []  # have no slots any more; closed when nobody waits for them
        self._lanes: WeakKeyDictionary[Lane, bytes | None] = WeakKeyDictionary()  # with their slot key

    @property
    def is_usable(self) -> bool:
        """See ``Shard.is_usable``: every slot has a master that is connected."""
        return self._topology.is_complete and all(member.kept.is_usable for member in self._members.values())

    async def start(self) -> None:
        """See ``Shard.start``; masters that are away meanwhile are connected to later, if there are others."""
        await self._refresh()
        await asyncio.gather(*(member.kept.attempted() for member in self._members.values()))
        if not any(member.kept.is_usable for member in self._members.values()):
            await self.close()
            raise ConnectionError(f"no master of the Redis Cluster at {self.name} can be reached")
        self._watch.start()
        if not self.is_usable:
            self._watch.soon()

    def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        """See ``Shard.call``."""
        words = tuple(command)
        slot = slot_of(key)
        member = self._table[slot]
        if member is None:
            self._watch.soon()
            raise ConnectionError(f"nobody has slot {slot} of the Redis Cluster at {self.name}")
        return self._answer(member, slot, words, member.kept.ask(words))

    def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | str | int]
    ) -> Awaitable[Reply]:
        """See ``Shard.run``."""
        rest = (len(keys), *keys, *args)
        member = self._table[slot_of(keys[0])]
        if member is not None:
            member.kept.teach(script)
        reply = self.call(keys[0], ("EVALSHA", script.sha1, *rest))
        return evaluated(reply, lambda: self.call(keys[0], ("EVAL", script.source, *rest)))

    def pubsub(self, owner: PubSubOwner, service_channel: bytes, slot_key: bytes | None = None) -> Lane:
        """See ``Shard.pubsub``."""
        verb = "PUBLISH" if slot_key is None else "SPUBLISH"
        lane = Lane(
            Route(
                self.name,
                self._dial_any if slot_key is None else partial(self._dial_slot, slot_of(slot_key)),
                lambda channel, message: self.call(channel, (verb, channel, message)),
            ),
            owner,
            service_channel,
            self._clock,
            is_sharded=slot_key is not None,
            count=lambda label: self._count(service_channel, label),
        )
        self._lanes[lane] = slot_key
        return lane

    async def close(self) -> None:
        """See ``Shard.close``; lanes are closed too."""
        await self._watch.close()
        for lane in tuple(self._lanes):
            await lane.close()
        for member in (*self._members.values(), *self._retired):
            await member.kept.close()

    # ------------------------------------------------------------ redirections

    async def _answer(self, member: Member, slot: int, command: Command, reply: Awaitable[Reply]) -> Reply:
        """The reply, of whoever has the slot."""
        try:
            return await reply
        except RedisError as error:
            if error.code not in ("MOVED", "ASK"):
                if error.code == "CLUSTERDOWN":
                    self._watch.soon()
                raise
            try:
                place = read_redirection(error, member.place)
            except ValueError:
                raise error from None
            is_moved = error.code == "MOVED"
        target = self._member(place)
        if is_moved:
            self._table[slot] = target  # those who come after this one need not learn it too
            self._watch.soon()
        await target.kept.attempted()
        if not is_moved:
            target.kept.ask(("ASKING",))  # counts for the command right behind it
        return await target.kept.ask(command)

    # ---------------------------------------------------------------- topology

    async def _look(self) -> None:
        await self._refresh()
        if not self.is_usable:
            self._watch.soon()

    async def _refresh(self) -> None:
        """Learn who has which slots. Raises ``ConnectionError`` or ``TimeoutError`` when nobody tells."""
        failure: OSError = ConnectionError(f"nobody knows the slots of the Redis Cluster at {self.name}")
        for place in self._to_ask():
            try:
                topology = read_topology(await self._slots_by(place), place)
            except (ConnectionError, TimeoutError) as error:
                failure = error
            except (RedisError, ValueError) as error:
                failure = ConnectionError(f"Redis at {place} does not tell who has which slots: {error}")
            else:
                if topology.ranges:
                    await self._apply(topology)
                    return
        raise failure

    def _to_ask(self) -> Iterable[Place]:
        """Members in an order by chance, which spreads nodes, those that are connected first; then the seeds."""
        connected = [place for place, member in self._members.items() if member.kept.is_usable]
        others = [place for place in self._topology.members if place not in connected]
        seeds = [place for place in self._seeds if place not in self._topology.members]
        for places in (connected, others, seeds):
            yield from self._shuffled(places)

    def _shuffled(self, places: Iterable[Place]) -> list[Place]:
        return sorted(places, key=lambda place: self._clock.random())

    async def _slots_by(self, place: Place) -> Reply:
        command = ("CLUSTER", "SLOTS")
        member = self._members.get(place)
        if member is not None and member.kept.is_usable:
            return await member.kept.ask(command)
        connection = await self._dialer.connect(place, Connection)
        try:
            return await connection.ask(command)
        finally:
            connection.abort(ConnectionError("it was needed for one question"))

    async def _apply(self, topology: Topology) -> None:
        self._refreshed_at = self._clock.monotonic()
        self._topology = topology
        table: list[Member | None] = [None] * SLOTS
        for first, last, place in topology.ranges:
            table[first : last + 1] = [self._member(place)] * (last - first + 1)
        self._table = table
        for place in self._members.keys() - topology.masters:
            self._retired.append(self._members.pop(place))
        idle = [member for member in self._retired if member.kept.is_idle]
        self._retired = [member for member in self._retired if member not in idle]
        for lane, slot_key in tuple(self._lanes.items()):
            if lane.leads_to and lane.leads_to not in self._right_places(slot_key):
                log.info("PUB/SUB connection leads to the wrong server", shard=self.name, place=lane.leads_to)
                lane.restart("it leads to a server that has no part in it any more")
        for member in idle:
            await member.kept.close()

    def _right_places(self, slot_key: bytes | None) -> set[str]:
        """Where a lane may be connected to."""
        if slot_key is None:
            return {str(place) for place in self._topology.members}
        member = self._table[slot_of(slot_key)]
        return {str(member.place)} if member is not None else set()

    def _member(self, place: Place) -> Member:
        """Whoever is at a place, connected to in the background if need be."""
        member = self._members.get(place)
        if member is None:
            dial = partial(self._dialer.connect, place, Connection)
            member = Member(place, KeptConnection(dial, self._clock, str(place), self._watch.soon))
            self._members[place] = member
            member.kept.start_later()
        return member

    # ------------------------------------------------------------------- lanes

    async def _dial_any(self, make: MakeWire) -> PubSubWire:
        """Connect to any member: all hear what is published at one."""
        failure: OSError = ConnectionError(f"no member of the Redis Cluster at {self.name} is known")
        for place in self._shuffled(self._topology.members):
            try:
                return await self._dialer.connect(place, make)
            except (ConnectionError, TimeoutError) as error:
                failure = error
        self._watch.soon()
        raise failure

    async def _dial_slot(self, slot: int, make: MakeWire) -> PubSubWire:
        """Connect to who has a slot, as far as that is known for sure."""
        if self._clock.monotonic() - self._refreshed_at >= REDIS_PAUSE:
            await self._refresh()
        member = self._table[slot]
        if member is None:
            raise ConnectionError(f"nobody has slot {slot} of the Redis Cluster at {self.name}")
        return await self._dialer.connect(member.place, make)
