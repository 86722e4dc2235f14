import asyncio
from typing import Any

import pytest

from centrifast.clock import SystemClock
from centrifast.config.loader import load
from centrifast.config.schema import Config
from centrifast.engine.contract import Engine
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.engine.redis.broker import RedisBroker
from centrifast.engine.redis.controller import RedisController
from centrifast.engine.redis.presence import RedisPresence
from centrifast.engines import UNSUBSCRIBE_DELAY, memory_engine, open_engine
from tests.redis_servers import RedisServer, redis_server, shared_redis_server
from tests.server.http_peer import run
from tests.server_process import free_port

__all__ = ["redis_server", "shared_redis_server"]


def config(**flags: Any) -> Config:
    return load(None, {name.replace("__", "."): value for name, value in flags.items()}, {}).config


async def opened(wanted: Config) -> tuple[Engine, Engine]:
    """The engine of a process, and the one it would have without Redis."""
    clock = SystemClock(asyncio.get_running_loop())
    local = memory_engine(wanted, clock)
    return await open_engine(wanted, clock, local), local


def test_without_redis_the_engine_is_the_local_one() -> None:
    async def scenario() -> None:
        engine, local = await opened(config())
        assert (engine.broker, engine.presence, engine.controller) == (
            local.broker,
            local.presence,
            local.controller,
        )
        assert isinstance(engine.broker, MemoryBroker)
        assert isinstance(engine.presence, MemoryPresence)
        assert not engine.stores

    run(scenario())


def test_both_halves_of_an_engine_share_their_connections(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        wanted = config(engine__type="redis", engine__redis__address=redis_server.address)
        engine, local = await opened(wanted)
        assert isinstance(engine.broker, RedisBroker)
        assert isinstance(engine.presence, RedisPresence)
        assert isinstance(engine.controller, RedisController)
        assert engine.siblings is local.siblings
        assert engine.unsubscribe_delay == UNSUBSCRIBE_DELAY
        assert [store.name for store in engine.stores] == [redis_server.address]

    run(scenario())


def test_a_half_of_its_own_replaces_the_engines(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        address = redis_server.address
        engine, local = await opened(
            config(broker__enabled=True, broker__type="redis", broker__redis__address=address)
        )
        assert isinstance(engine.broker, RedisBroker)
        assert isinstance(engine.controller, RedisController)
        assert engine.presence is local.presence
        engine, local = await opened(
            config(
                presence_manager__enabled=True,
                presence_manager__type="redis",
                presence_manager__redis__address=address,
            )
        )
        assert engine.broker is local.broker
        assert engine.controller is local.controller
        assert isinstance(engine.presence, RedisPresence)
        assert engine.unsubscribe_delay == 0
        engine, local = await opened(
            config(engine__type="redis", engine__redis__address=address, presence_manager__enabled=True)
        )
        assert isinstance(engine.broker, RedisBroker)
        assert engine.presence is local.presence
        engine, _ = await opened(
            config(
                engine__type="redis",
                engine__redis__address=address,
                presence_manager__enabled=True,
                presence_manager__type="redis",
                presence_manager__redis__address=f"redis://{address}/1",
            )
        )
        assert [store.name for store in engine.stores] == [address, f"{address}/1"]

    run(scenario())


def test_each_shard_is_a_store(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        with RedisServer() as second:
            addresses = [redis_server.address, second.address]
            engine, _ = await opened(config(engine__type="redis", engine__redis__address=addresses))
            assert [store.name for store in engine.stores] == addresses

    run(scenario())


def test_what_can_not_be_used_is_named() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match=r"broker\.redis\.address: an address begins with http://"):
            await opened(
                config(broker__enabled=True, broker__type="redis", broker__redis__address="http://a")
            )
        nobody = f"127.0.0.1:{free_port()}"
        with pytest.raises(ConnectionError, match=r"engine\.redis can not be used: .*127\.0\.0\.1"):
            await opened(config(engine__type="redis", engine__redis__address=nobody))

    run(scenario())
