"""From settings to a shard."""

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.cluster import ClusterShard
from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.contract import RedisError, Shard
from centrifast.engine.redis.sentinel import SentinelShard
from centrifast.engine.redis.settings import Kind, ShardSettings
from centrifast.engine.redis.shard import Count, ServerShard, uncounted


async def find_shard(settings: ShardSettings, clock: Clock, count: Count = uncounted) -> Shard:
    """The shard of *settings*, not started yet; a server that is a member of a cluster stands for all of it.

    *count* is told of errors of PUB/SUB connections. Raises ``ConnectionError`` or ``TimeoutError`` when a server
    can not be asked what it is.
    """
    if settings.kind is Kind.SENTINEL:
        return SentinelShard(settings, clock, count)
    if settings.kind is Kind.CLUSTER:
        return ClusterShard(settings, clock, count)
    server = ServerShard(settings, clock, count)
    connection = await server.dial(Connection)
    try:
        await connection.ask(("CLUSTER", "INFO"))
    except RedisError:  # it is none, or the user may not ask; a cluster is then told by its option
        return server
    finally:
        connection.abort(ConnectionError("it was needed for one question"))
    log.info("Redis is a cluster", shard=settings.name)
    return ClusterShard(settings, clock, count)
