"""The servers that these tests share."""

from tests.redis_servers import redis_cluster, redis_server, shared_redis_cluster, shared_redis_server

__all__ = ["redis_cluster", "redis_server", "shared_redis_cluster", "shared_redis_server"]
