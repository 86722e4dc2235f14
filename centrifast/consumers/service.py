"""The consumers of one process: made from the configuration, started and stopped together.

They keep the configuration of the start. Every process of a server has its own: Redis shares out the work.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from centrifast import log
from centrifast.api.methods import ApiNode
from centrifast.clock import Clock
from centrifast.config.schema import Config
from centrifast.config.schema_consumer import ConsumerConfig, RedisListConsumerConfig
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.consumers.dispatch import Dispatcher
from centrifast.consumers.redis_list import ListConsumer
from centrifast.consumers.redis_stream import StreamConsumer
from centrifast.engine.redis.contract import FAILURES, Shard
from centrifast.engine.redis.settings import ShardSettings, shards_of
from centrifast.engine.redis.shards import find_shard
from centrifast.limits import CONSUMER_STOP_TIMEOUT

REDIS_API = "redis_api"
"""Name of the consumer that the section of this name stands for."""


class Consumer(Protocol):
    """One queue, or the part of it that is on one shard."""

    name: str

    async def connect(self) -> None:
        """Reach the queue. Raises ``ConnectionError``, ``TimeoutError``, ``RedisError``."""

    def start(self) -> None:
        """Begin to take messages."""

    async def stop(self) -> None:
        """Finish what has begun, take nothing more."""

    async def close(self) -> None:
        """End at once, and let go of the queue."""


class ConsumerError(ValueError):
    """A queue can not be used: the server does not start."""


class Consumers:
    """All of them. *owner*: an id that no other process has."""

    def __init__(self, config: Config, node: ApiNode, clock: Clock, owner: str) -> None:
        """Raises ``ConfigError`` for an address that can not be used."""
        self._consumers: list[Consumer] = []
        for path, consumer in consumers_of(config):
            if not consumer.enabled:
                log.info("consumer is not enabled", consumer=consumer.name)
                continue
            section, build = kind_of(consumer)
            dispatcher = Dispatcher(consumer.name, node)
            for shard in shards_of(section, path):
                opening = partial(open_shard, shard, clock)
                self._consumers.append(build(section, opening, dispatcher, node.metrics, clock, owner))

    async def connect(self) -> None:
        """Reach every queue. Raises ``ConsumerError``."""
        for consumer in self._consumers:
            try:
                await consumer.connect()
            except FAILURES as error:
                await self.close()
                raise ConsumerError(f"consumer {consumer.name}: Redis can not be used: {error}") from error

    def start(self) -> None:
        """Begin to take messages."""
        for consumer in self._consumers:
            consumer.start()
            log.info("consumer started", consumer=consumer.name)

    async def stop(self) -> None:
        """Finish what has begun, for at most ``CONSUMER_STOP_TIMEOUT``; let go of the queues."""
        if self._consumers:
            tasks = {asyncio.create_task(consumer.stop()): consumer for consumer in self._consumers}
            _, late = await asyncio.wait(tasks, timeout=CONSUMER_STOP_TIMEOUT)
            for task in late:
                log.warn("consumer has not stopped in time", consumer=tasks[task].name)
                task.cancel()
        await self.close()

    async def close(self) -> None:
        """End at once."""
        for consumer in self._consumers:
            await consumer.close()


async def open_shard(settings: ShardSettings, clock: Clock, patience: float) -> Shard:
    """Connect to a shard on whose connections commands may block for *patience* seconds."""
    # RESP3 has maps in the places of lists of pairs; one form is enough.
    settings = dataclasses.replace(settings, io_timeout=settings.io_timeout + patience, resp2=True)
    shard = await find_shard(settings, clock)
    await shard.start()
    return shard


Build = Callable[..., Consumer]


def kind_of(consumer: ConsumerConfig) -> tuple[RedisConnectionConfig, Build]:
    """Return the section of the consumer's type, and what is made of it; there are no others that are enabled."""
    if consumer.type == "redis_stream":
        return consumer.redis_stream, StreamConsumer
    return consumer.redis_list, ListConsumer


def consumers_of(config: Config) -> Iterator[tuple[str, ConsumerConfig]]:
    """Give every consumer with the path of its section, also the one that ``redis_api`` stands for."""
    for index, consumer in enumerate(config.consumers):
        yield f"consumers.[{index}].{consumer.type}", consumer
    if config.redis_api.enabled:
        names = {field.name for field in dataclasses.fields(RedisListConsumerConfig)}
        engine = config.engine.redis
        own = {name: getattr(engine, name) for name in names if hasattr(engine, name)}
        lists = RedisListConsumerConfig(**own, num_shards=config.redis_api.num_shards)
        yield (
            "engine.redis",
            ConsumerConfig(name=REDIS_API, enabled=True, type="redis_list", redis_list=lists),
        )
