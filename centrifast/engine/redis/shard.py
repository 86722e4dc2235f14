"""A shard that is one server."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar
from weakref import WeakSet

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.connection import Connection, Dialer
from centrifast.engine.redis.contract import PubSubOwner, RedisError, Reply, Script
from centrifast.engine.redis.kept import KeptConnection
from centrifast.engine.redis.lane import Lane, MakeWire, Route
from centrifast.engine.redis.pubsub_wire import PubSubWire
from centrifast.engine.redis.settings import Login, ShardSettings
from centrifast.engine.redis.wire import Wire

W = TypeVar("W", bound=Wire)

Count = Callable[[bytes, str], None]
"""Told of an error of a PUB/SUB connection: its service channel, and the label of ``redis_pub_sub_errors``."""


def uncounted(service_channel: bytes, label: str) -> None:
    """Nobody counts."""


def dialer_of(settings: ShardSettings, clock: Clock, login: Login | None = None) -> Dialer:
    """How servers of a shard are reached; with *login*, its Sentinels."""
    return Dialer(
        login or settings.login,
        clock,
        connect_timeout=settings.connect_timeout,
        io_timeout=settings.io_timeout,
        db=0 if login else settings.db,
        resp2=settings.resp2,
    )


class ServerShard:
    """``contract.Shard``, one server: the first of the places of *settings* that can be reached."""

    is_cluster = False

    def __init__(self, settings: ShardSettings, clock: Clock, count: Count = uncounted) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._count = count
        self._dialer = dialer_of(settings, clock)
        self._kept = KeptConnection(self._dial_commands, clock, settings.name)
        self._lanes: WeakSet[Lane] = WeakSet()

    @property
    def is_usable(self) -> bool:
        """See ``Shard.is_usable``."""
        return self._kept.is_usable

    async def start(self) -> None:
        """See ``Shard.start``."""
        await self._kept.start()

    def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        """See ``Shard.call``."""
        return self._kept.ask(tuple(command))

    def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | str | int]
    ) -> Awaitable[Reply]:
        """See ``Shard.run``."""
        rest = (len(keys), *keys, *args)
        self._kept.teach(script)
        reply = self._kept.ask(("EVALSHA", script.sha1, *rest))
        return evaluated(reply, lambda: self._kept.ask(("EVAL", script.source, *rest)))

    def pubsub(self, owner: PubSubOwner, service_channel: bytes, slot_key: bytes | None = None) -> Lane:
        """See ``Shard.pubsub``."""
        publish = "PUBLISH" if slot_key is None else "SPUBLISH"
        lane = Lane(
            Route(self.name, self._dial_lane, lambda *message: self._kept.ask((publish, *message))),
            owner,
            service_channel,
            self._clock,
            is_sharded=slot_key is not None,
            count=lambda label: self._count(service_channel, label),
        )
        self._lanes.add(lane)
        return lane

    async def close(self) -> None:
        """See ``Shard.close``; lanes are closed too."""
        for lane in tuple(self._lanes):
            await lane.close()
        await self._kept.close()

    # -------------------------------------------------------------- inside

    async def _dial_commands(self) -> Connection:
        return await self.dial(partial(Connection, on_error=self._on_error))

    async def _dial_lane(self, make: MakeWire) -> PubSubWire:
        return await self.dial(make)

    async def dial(self, make: Callable[[Clock, str, float], W]) -> W:
        """Connect to the first place that answers."""
        *others, last = self._settings.places
        for place in others:
            try:
                return await self._dialer.connect(place, make)
            except (ConnectionError, TimeoutError) as error:
                log.debug("Redis can not be reached", shard=str(place), error=str(error))
        return await self._dialer.connect(last, make)

    def _on_error(self, error: RedisError) -> None:
        """A master that has become a replica, or a name that leads elsewhere by now, is connected to anew."""
        if error.code == "READONLY":
            self._kept.drop(str(error))


async def evaluated(reply: Awaitable[Reply], again: Callable[[], Awaitable[Reply]]) -> Reply:
    """The *reply* to a script run by its digest; a server that does not know it is sent the whole (*again*).

    It was not run then, so nothing is done twice; but what was asked meanwhile came first. That is for servers that
    were told to forget, or may not be taught (``Connection.teach``).
    """
    try:
        return await reply
    except RedisError as error:
        if error.code != "NOSCRIPT":
            raise
    return await again()
