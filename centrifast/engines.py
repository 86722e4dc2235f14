"""Which engine the configuration asks for (server specification 1.8.3).

An engine has halves: ``engine.type`` says where both are, ``broker`` and ``presence_manager`` may say otherwise of one.
What is not in Redis is in this process, or in its supervisor when there are several workers.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Generic, TypeVar

import msgspec

from centrifast.clock import Clock
from centrifast.config.error import ConfigError
from centrifast.config.schema import Config
from centrifast.config.schema_redis import (
    RedisBrokerConfig,
    RedisConfig,
    RedisEngineConfig,
    RedisPresenceConfig,
)
from centrifast.engine.contract import Engine, Store
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.engine.redis.broker import RedisBroker
from centrifast.engine.redis.controller import RedisController
from centrifast.engine.redis.presence import RedisPresence
from centrifast.engine.redis.settings import shards_of
from centrifast.engine.redis.store import RedisStore
from centrifast.limits import PRESENCE_TTL

S = TypeVar("S")

UNSUBSCRIBE_DELAY = 1.0
"""Seconds; a page that is loaded again, or a storm of reconnects, costs Redis nothing (engines specification 1.6)."""


def memory_engine(config: Config, clock: Clock) -> Engine:
    """The engine that needs nothing else."""
    # One refresh may be late.
    presence_ttl = max(PRESENCE_TTL, 2 * config.client.presence_update_interval)
    return Engine(MemoryBroker(clock), MemoryPresence(clock, presence_ttl))


async def open_engine(config: Config, clock: Clock, local: Engine) -> Engine:
    """*local* with those parts replaced that are kept in Redis, which also carries calls between nodes then.

    Raises ValueError for an address that can not be used, ``ConnectionError`` or ``TimeoutError`` for a server that can
    not be reached.
    """
    broker, presence = broker_section(config), presence_section(config)
    stores: dict[
        str, Sequence[RedisStore]
    ] = {}  # by path: halves that name the same section share connections
    engine = local
    if broker is not None:
        stores[broker.path] = await stores_of(broker.section, broker.path, clock)
        engine = with_broker(engine, broker.section, stores[broker.path], clock)
    if presence is not None:
        if presence.path not in stores:
            stores[presence.path] = await stores_of(presence.section, presence.path, clock)
        engine = with_presence(engine, presence.section, stores[presence.path], clock)
    return msgspec.structs.replace(engine, stores=list(chain.from_iterable(stores.values())))


class Place(msgspec.Struct, Generic[S], frozen=True):
    """A section of the configuration that describes Redis, and the path at which it stands."""

    path: str
    section: S


def broker_section(config: Config) -> Place[RedisBrokerConfig | RedisEngineConfig] | None:
    """Where the broker's Redis is described; None if it is not Redis."""
    if config.broker.enabled:
        return Place("broker.redis", config.broker.redis) if config.broker.type == "redis" else None
    return Place("engine.redis", config.engine.redis) if config.engine.type == "redis" else None


def presence_section(config: Config) -> Place[RedisPresenceConfig] | None:
    """The same of the presence manager."""
    manager = config.presence_manager
    if manager.enabled:
        return Place("presence_manager.redis", manager.redis) if manager.type == "redis" else None
    return Place("engine.redis", config.engine.redis) if config.engine.type == "redis" else None


async def stores_of(section: RedisConfig, path: str, clock: Clock) -> Sequence[RedisStore]:
    """One for each shard. Raises like ``open_engine``."""
    try:
        return [await RedisStore.find(settings, clock) for settings in shards_of(section, path)]
    except ConfigError as error:
        raise ValueError(str(error)) from error
    except OSError as error:
        raise type(error)(f"{path} can not be used: {error}") from error


def with_broker(
    engine: Engine,
    section: RedisBrokerConfig | RedisEngineConfig,
    stores: Sequence[RedisStore],
    clock: Clock,
) -> Engine:
    """The engine with its broker, and calls between nodes, in Redis."""
    shards = [store.shard for store in stores]
    return msgspec.structs.replace(
        engine,
        broker=RedisBroker(shards, section.prefix, clock, use_lists=section.history_use_lists),
        controller=RedisController(shards, section.prefix, clock),
        unsubscribe_delay=UNSUBSCRIBE_DELAY,
    )


def with_presence(
    engine: Engine, section: RedisPresenceConfig, stores: Sequence[RedisStore], clock: Clock
) -> Engine:
    """The engine with presence in Redis."""
    presence = RedisPresence(
        [store.shard for store in stores],
        section.prefix,
        clock,
        ttl=section.presence_ttl,
        user_mapping=section.presence_user_mapping,
        hash_field_ttl=section.presence_hash_field_ttl,
    )
    return msgspec.structs.replace(engine, presence=presence)


def away(stores: Sequence[Store]) -> Sequence[str]:
    """The names of those that can not be used now."""
    return [store.name for store in stores if not store.is_usable]
