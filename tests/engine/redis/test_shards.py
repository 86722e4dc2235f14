"""Which kind of shard comes of which settings."""

import asyncio

import pytest

from centrifast.clock import SystemClock
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.engine.redis.cluster import ClusterShard
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.sentinel import SentinelShard
from centrifast.engine.redis.settings import read_shards
from centrifast.engine.redis.shard import ServerShard
from centrifast.engine.redis.shards import find_shard
from tests.redis_servers import RedisCluster, RedisServer
from tests.server.http_peer import run


async def found(**options: object) -> Shard:
    (settings,) = read_shards(RedisConnectionConfig(**options))  # type: ignore[arg-type]
    return await find_shard(settings, SystemClock(asyncio.get_running_loop()))


def test_a_plain_server_is_told_from_a_member_of_a_cluster(
    redis_server: RedisServer, redis_cluster: RedisCluster
) -> None:
    async def test() -> None:
        assert type(await found(address=(redis_server.address,))) is ServerShard
        shard = await found(address=(redis_cluster.masters[1].address,))
        assert type(shard) is ClusterShard
        await shard.start()
        assert [await shard.call(key, ("SET", key, 1)) for key in (b"a", b"b", b"c", b"d")] == [b"OK"] * 4
        await shard.close()

    run(test())


def test_options_say_what_it_is(redis_cluster: RedisCluster) -> None:
    async def test() -> None:
        assert type(await found(cluster_address=("absent:1",))) is ClusterShard
        assert type(await found(sentinel_address=("absent:1",), sentinel_master_name="m")) is SentinelShard

    run(test())


def test_who_can_not_be_asked_is_told() -> None:
    async def test() -> None:
        with pytest.raises(ConnectionError, match="can not be reached"):
            await found(address=("127.0.0.1:1",))

    run(test())
