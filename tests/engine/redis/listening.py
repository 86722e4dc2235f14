"""Who listens to Redis in tests."""

import asyncio
from collections.abc import Iterable

from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.engine.redis.settings import ShardSettings, read_shards
from tests.redis_servers import RedisServer


class Listener:
    """``contract.PubSubOwner`` that keeps what it hears."""

    def __init__(self, *wanted: bytes) -> None:
        self.wants = list(wanted)
        self.messages: list[tuple[bytes, bytes]] = []
        self.restored = 0
        self._changed = asyncio.Event()

    def on_message(self, channel: bytes, message: bytes) -> None:
        """Keep it."""
        self.messages.append((channel, message))
        self._changed.set()

    def wanted(self) -> Iterable[bytes]:
        """What the test wants."""
        return tuple(self.wants)

    def on_restored(self) -> None:
        """Count it."""
        self.restored += 1
        self._changed.set()

    async def heard(self, count: int) -> list[tuple[bytes, bytes]]:
        """Wait for so many messages in all; those."""
        while len(self.messages) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.messages

    async def is_restored(self, times: int) -> None:
        """Wait until everything was subscribed to again so many times."""
        while self.restored < times:
            self._changed.clear()
            await self._changed.wait()


def settings_of(*servers: RedisServer, **options: object) -> ShardSettings:
    """One shard: the first server that can be reached. *options* are those of the configuration."""
    options = {"connect_timeout": 10.0, **options}  # tests are not about how busy the machine is
    section = RedisConnectionConfig(address=(",".join(server.address for server in servers),), **options)  # type: ignore[arg-type]
    (settings,) = read_shards(section)
    return settings
