"""Consumers of a real Redis, on the test's loop, that hand calls to a node that remembers them."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from centrifast.clock import SystemClock
from centrifast.config.schema_consumer import RedisListConsumerConfig, RedisStreamConsumerConfig
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.consumers.dispatch import Dispatcher, OpenShard
from centrifast.consumers.redis_list import ListConsumer
from centrifast.consumers.redis_stream import StreamConsumer
from centrifast.consumers.service import open_shard
from centrifast.engine.redis.contract import Shard
from centrifast.engine.redis.settings import shards_of
from tests.api.node import FakeNode
from tests.redis_servers import RedisServer

WAIT = 20.0

_numbers = itertools.count()


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def opening(section: RedisConnectionConfig) -> OpenShard:
    """Makes shards of the first place that the section names."""
    clock = SystemClock(asyncio.get_running_loop())
    return partial(open_shard, shards_of(section, "consumer")[0], clock)


@asynccontextmanager
async def shard_of(server: RedisServer, patience: float = 0.0) -> AsyncIterator[Shard]:
    """A shard that is connected to."""
    shard = await opening(RedisConnectionConfig(address=(server.address,)))(patience)
    try:
        yield shard
    finally:
        await shard.close()


async def list_consumer(node: FakeNode, section: RedisListConsumerConfig, owner: str = "") -> ListConsumer:
    """A consumer of lists that is connected, and has not begun to read."""
    consumer: ListConsumer = await connected(ListConsumer, node, section, owner)
    return consumer


async def stream_consumer(
    node: FakeNode, section: RedisStreamConsumerConfig, owner: str = ""
) -> StreamConsumer:
    """The same of streams."""
    consumer: StreamConsumer = await connected(StreamConsumer, node, section, owner)
    return consumer


async def connected(kind: Any, node: FakeNode, section: RedisConnectionConfig, owner: str) -> Any:
    """A consumer of a kind; every one has an owner of its own unless it is given one."""
    clock = SystemClock(asyncio.get_running_loop())
    owner = owner or f"node-{next(_numbers)}"
    consumer = kind(section, opening(section), Dispatcher("jobs", node), node.metrics, clock, owner)
    await consumer.connect()
    return consumer


@asynccontextmanager
async def started(consumer: Any) -> AsyncIterator[Any]:
    """A consumer that reads inside of the block, and stops in good order behind it."""
    consumer.start()
    try:
        yield consumer
        await consumer.stop()
    finally:
        await consumer.close()


async def crash(consumer: Any) -> None:
    """End a consumer as a crash does: it tells Redis nothing."""
    for shard in consumer._shards:
        await shard.close()
    await consumer.close()


def publication(number: int, channel: str = "news") -> str:
    """A command that publishes a number."""
    return json.dumps({"method": "publish", "params": {"channel": channel, "data": {"n": number}}})


def published(node: FakeNode, channel: str = "news") -> list[int]:
    """The numbers that were published, in their order."""
    return [json.loads(call[2])["n"] for call in node.calls if call[:2] == ("publish", channel)]


def push(server: RedisServer, key: str, *elements: str | bytes) -> None:
    """Add elements to a list, a thousand at once."""
    for start in range(0, len(elements), 1000):
        server.command("RPUSH", key, *elements[start : start + 1000])


def add(server: RedisServer, stream: str, payload: str | bytes, **fields: str) -> bytes:
    """Add an entry to a stream; its id."""
    flat = [part for field in fields.items() for part in field]
    entry_id: bytes = server.command("XADD", stream, "*", "payload", payload, *flat)
    return entry_id
