"""A shard that is whichever server its Sentinels call the master (engines specification 3.8).

The Sentinels are asked whenever a connection is made, and who they name must say himself that he is a master: one that
was cut off may name the old one. A master that fails loses its connections, or answers READONLY; one that lives on
elsewhere is noticed by ``+switch-master``, or when the Sentinels are asked every ``POLL_INTERVAL``. Then commands and
lanes move over.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.lane import Lane, MakeWire, Route
from centrifast.engine.redis.pubsub_wire import PubSubWire
from centrifast.engine.redis.settings import Place, ShardSettings
from centrifast.engine.redis.shard import Count, ServerShard, W, dialer_of, uncounted
from centrifast.engine.redis.watch import Watch

POLL_INTERVAL = 5.0
"""Seconds between two questions for the master: notices get lost (engines specification 3.7)."""

SWITCH = b"+switch-master"


class Sentinels:
    """Where the master is. They are asked in an order by chance, which spreads nodes; who was right is asked first."""

    def __init__(self, settings: ShardSettings, clock: Clock) -> None:
        self.name = f"sentinels of {settings.name}"
        self._master_name = settings.master_name
        self._dialer = dialer_of(settings, clock, settings.sentinel)
        self._places = sorted(settings.places, key=lambda place: clock.random())

    async def masters(self) -> AsyncIterator[tuple[Place, Place]]:
        """Each that answers, and whom it names. Raises ``ConnectionError`` or ``TimeoutError`` if none does."""
        failure: OSError | None = None
        has_answered = False
        for sentinel in tuple(self._places):
            try:
                master = await self._ask(sentinel)
            except (ConnectionError, TimeoutError) as error:
                failure = error
                continue
            has_answered = True
            yield sentinel, master
        if failure is not None and not has_answered:
            raise failure

    def trust(self, sentinel: Place) -> None:
        """Ask this one first from here on: it was right."""
        self._places.remove(sentinel)
        self._places.insert(0, sentinel)

    async def dial(self, make: MakeWire) -> PubSubWire:
        """Connect to one of them. Raises ``ConnectionError`` or ``TimeoutError``."""
        *others, last = self._places
        for place in others:
            with suppress(ConnectionError, TimeoutError):
                return await self._dialer.connect(place, make)
        return await self._dialer.connect(last, make)

    async def _ask(self, place: Place) -> Place:
        connection = await self._dialer.connect(place, Connection)
        try:
            answer = await connection.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master_name))
            host, port = answer
            return Place(host.decode(), int(port))
        except RedisError as error:
            raise ConnectionError(f"the Sentinel at {place} refuses: {error}") from None
        except (TypeError, ValueError, AttributeError):  # nil, or not what it should be
            raise ConnectionError(f"the Sentinel at {place} knows no master {self._master_name!r}") from None
        finally:
            connection.abort(ConnectionError("it was needed for one question"))


class SentinelShard(ServerShard):
    """``contract.Shard``, a master behind Sentinels."""

    def __init__(
        self,
        settings: ShardSettings,
        clock: Clock,
        count: Count = uncounted,
        poll_interval: float = POLL_INTERVAL,
    ) -> None:
        super().__init__(settings, clock, count)
        self._sentinels = Sentinels(settings, clock)
        self._watch = Watch(clock, poll_interval, self._look, self.name)
        self._switches = _Switches(settings.master_name, self._sentinels, clock, self._watch.soon)

    async def start(self) -> None:
        """See ``Shard.start``."""
        await super().start()
        await self._switches.start()
        self._watch.start()

    async def close(self) -> None:
        """See ``Shard.close``."""
        await self._watch.close()
        await self._switches.close()
        await super().close()

    # -------------------------------------------------------------- inside

    async def dial(self, make: Callable[[Clock, str, float], W]) -> W:
        """Connect to the first that is named a master and is one."""
        failure: OSError = ConnectionError(f"no master of {self.name} is known")
        tried: set[Place] = set()
        async for sentinel, place in self._sentinels.masters():
            if place in tried:
                continue
            tried.add(place)
            try:
                wire = await self._dial_master(place, make)
            except (ConnectionError, TimeoutError) as error:
                failure = error
            else:
                self._sentinels.trust(sentinel)
                return wire
        raise failure

    async def _dial_master(self, place: Place, make: Callable[[Clock, str, float], W]) -> W:
        wire = await self._dialer.connect(place, make)
        try:
            role: Reply = await wire.ask(("ROLE",))
        except RedisError:
            return wire  # the user may not ask; READONLY will tell
        except BaseException:
            wire.abort(ConnectionError("it is not known whether it is a master"))
            raise
        if role[0] != b"master":
            wire.abort(ConnectionError("it is no master"))
            raise ConnectionError(f"Redis at {place} is no master but a {role[0].decode()}")
        return wire

    # ------------------------------------------------------------ watching

    async def _look(self) -> None:
        """Move over if somebody else is the master by now."""
        async for _, place in self._sentinels.masters():
            if self._is_all_at(str(place)):
                return
            try:
                trial = await self._dial_master(place, Connection)
            except (ConnectionError, TimeoutError):
                continue
            trial.abort(ConnectionError("it was needed for one question"))
            self._move(str(place))
            return

    def _strays(self, master: str) -> list[Lane]:
        return [lane for lane in self._lanes if lane.leads_to not in (master, "")]

    def _is_all_at(self, master: str) -> bool:
        return self._kept.leads_to == master and not self._strays(master)

    def _move(self, master: str) -> None:
        log.info("the master has moved", shard=self.name, master=master)
        reason = f"the master is {master} by now"
        if self._kept.leads_to != master:
            self._kept.drop(reason)
        for lane in self._strays(master):
            lane.restart(reason)


class _Switches:
    """Hears when Sentinels have made another server the master of *name*, as far as that can be heard."""

    def __init__(self, name: str, sentinels: Sentinels, clock: Clock, on_switch: Callable[[], None]) -> None:
        self._name = name.encode()
        self._on_switch = on_switch
        self._lane = Lane(Route(sentinels.name, sentinels.dial), self, SWITCH, clock)

    async def start(self) -> None:
        """Listen; where that is not possible, asking from time to time has to do."""
        try:
            await self._lane.start()
        except (ConnectionError, TimeoutError) as error:
            log.info("notices of Sentinels are not heard", shard=self._name.decode(), error=str(error))

    async def close(self) -> None:
        """Listen no more."""
        await self._lane.close()

    def on_message(self, channel: bytes, message: bytes) -> None:
        """See ``PubSubOwner``: name, old host and port, new host and port."""
        if message.partition(b" ")[0] == self._name:
            self._on_switch()

    def wanted(self) -> Iterable[bytes]:
        """See ``PubSubOwner``."""
        return ()

    def on_restored(self) -> None:
        """See ``PubSubOwner``: something may have been missed."""
        self._on_switch()
