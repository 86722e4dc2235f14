"""A shard as the server sees it: something to connect to, to count the failures of, and to look at."""

from centrifast.clock import Clock
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.keys import PROBE_END
from centrifast.engine.redis.settings import ShardSettings
from centrifast.engine.redis.shards import find_shard
from centrifast.metrics.metrics import Metrics

_OF_CONTROL = {
    "subscribe_shard_channel": "subscribe_control_channel",
    "subscribe_channel": "subscribe_control_channel",
    "connection": "control_connection",
    "handle_client_message": "handle_control_message",
    "probe_publish": "control_probe_publish",
    "probe_timeout": "control_probe_timeout",
}
"""What failures are called on connections for calls between nodes (engines specification 3.7.2)."""


class RedisStore:
    """``contract.Store``."""

    shard: Shard

    def __init__(self, name: str) -> None:
        self.name = name
        self._metrics: Metrics | None = None

    @classmethod
    async def find(cls, settings: ShardSettings, clock: Clock) -> "RedisStore":
        """Make the store of *settings*. Raises ``ConnectionError`` or ``TimeoutError`` when it can not be reached."""
        store = cls(settings.name)
        store.shard = await find_shard(settings, clock, store._count)
        return store

    @property
    def is_usable(self) -> bool:
        """See ``Store.is_usable``."""
        return self.shard.is_usable

    async def start(self, metrics: Metrics) -> None:
        """See ``Store.start``."""
        self._metrics = metrics
        await self.shard.start()

    async def close(self) -> None:
        """See ``Store.close``."""
        await self.shard.close()

    def _count(self, service_channel: bytes, label: str) -> None:
        if self._metrics is not None:
            if service_channel.endswith(PROBE_END):
                label = _OF_CONTROL[label]
            self._metrics.pub_sub_errors.of(label).add()
