"""Broker and presence manager on shards of their own, as an application has them."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from centrifast.clock import SystemClock
from centrifast.engine.contract import BrokerEvents, PublishOptions, PublishResult
from centrifast.engine.redis.broker import RedisBroker
from centrifast.engine.redis.cluster import ClusterShard
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.hashing import shard_of
from centrifast.engine.redis.presence import RedisPresence
from centrifast.engine.redis.settings import Kind, Place, ShardSettings
from centrifast.engine.redis.shard import ServerShard
from centrifast.metrics.metrics import Metrics
from centrifast.model import ClientInfo, Publication, StreamPosition
from tests.fakes import FakeClock
from tests.redis_servers import RedisCluster, RedisServer

PREFIX = "app"

Store = RedisServer | RedisCluster


def shard_at(store: Store) -> Shard:
    """A shard, not started, of a server or cluster; it lives by the real time."""
    clock = SystemClock(asyncio.get_running_loop())
    places = tuple(Place("127.0.0.1", server.port) for server in servers_of([store]))
    if isinstance(store, RedisCluster):
        return ClusterShard(ShardSettings(Kind.CLUSTER, places), clock)
    return ServerShard(ShardSettings(Kind.SERVER, places), clock)


def servers_of(stores: Sequence[Store]) -> list[RedisServer]:
    """All that keep data."""
    return [
        server
        for store in stores
        for server in (store.masters if isinstance(store, RedisCluster) else [store])
    ]


class OwnShards:
    """Shards that start and end with whoever uses them."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        self.shards: list[Shard] = []

    async def start(self) -> None:
        for store in self._stores:
            shard = shard_at(store)
            await shard.start()
            self.shards.append(shard)

    async def close(self) -> None:
        while self.shards:
            await self.shards.pop().close()


class SettledEvents:
    """Hands on what a broker tells, and notes which last messages have come by *channels* that nobody else uses."""

    def __init__(self, events: BrokerEvents, channels: Sequence[str]) -> None:
        self.metrics: Metrics = events.metrics
        self._events = events
        self._channels = channels
        self.expected: dict[str, asyncio.Future[None]] = {}

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        self._events.on_publication(channel, publication, position, previous)

    def on_join(self, channel: str, info: ClientInfo) -> None:
        if channel not in self._channels:
            self._events.on_join(channel, info)
        elif info.client in self.expected:  # else it is another node's
            self.expected.pop(info.client).set_result(None)

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        self._events.on_leave(channel, info)

    def on_interrupted(self, channels: Sequence[str]) -> None:
        self._events.on_interrupted([name for name in channels if name not in self._channels])

    def on_rewound(self, channel: str) -> None:
        self._events.on_rewound(channel)


class SettledBroker(RedisBroker):
    """Whoever publishes waits until everything that was published has come here.

    Redis keeps the order of what one server publishes, so that is when a last message of each server is here.
    """

    def __init__(
        self, stores: Sequence[Store], clock: FakeClock, prefix: str = PREFIX, **options: Any
    ) -> None:
        self.own = OwnShards(stores)
        self._last = last_channels(stores, options.get("partitions", 0))
        self._numbers = itertools.count()
        super().__init__(self.own.shards, prefix, clock, **options)

    async def start(self, events: BrokerEvents) -> None:
        await self.own.start()
        self._settled = SettledEvents(events, self._last)
        await super().start(self._settled)
        for channel in self._last:
            await self.subscribe(channel)

    async def close(self) -> None:
        await super().close()
        await self.own.close()

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        result = await super().publish(channel, data, options)
        await self.settle()
        return result

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        await super().publish_join(channel, info)
        await self.settle()

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        await super().publish_leave(channel, info)
        await self.settle()

    async def settle(self) -> None:
        """Return when all that was published has been told."""
        come = []
        for channel in self._last:
            name = f"{id(self)}-{next(self._numbers)}"
            heard = self._settled.expected[name] = asyncio.get_running_loop().create_future()
            come.append(heard)
            await super().publish_join(channel, ClientInfo("", name))
        await asyncio.gather(*come)


def last_channels(stores: Sequence[Store], partitions: int) -> list[str]:
    """One channel for each server that keeps data, or for each partition of a cluster."""
    found: dict[tuple[int, int], str] = {}
    for number in range(100):
        channel = f"last:{number}"
        index = shard_of(channel, len(stores))
        part = 0
        if isinstance(stores[index], RedisCluster):
            master = key_slot(channel.encode()) * RedisCluster.MASTERS // RedisCluster.SLOTS
            part = shard_of(channel, partitions) if partitions else master
        found.setdefault((index, part), channel)
    return list(found.values())


class OwnPresence(RedisPresence):
    """Presence on shards of its own."""

    def __init__(self, stores: Sequence[Store], clock: FakeClock, **options: Any) -> None:
        self.own = OwnShards(stores)
        super().__init__(self.own.shards, PREFIX, clock, **options)

    async def start(self) -> None:
        await self.own.start()
        await super().start()

    async def close(self) -> None:
        await super().close()
        await self.own.close()
