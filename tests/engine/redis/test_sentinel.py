"""Following a master that moves, with real Sentinels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from centrifast.clock import SystemClock
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.config.schema_tls import TlsConfig
from centrifast.engine.redis.contract import RedisError
from centrifast.engine.redis.sentinel import SentinelShard
from centrifast.engine.redis.settings import Place, ShardSettings, read_shards
from tests.engine.redis.listening import Listener
from tests.engine.redis.securing import certificate_in
from tests.redis_servers import RedisServer, Sentinels
from tests.server.http_peer import run, until


def settings_of(sentinels: Sentinels, **options: object) -> ShardSettings:
    section = RedisConnectionConfig(
        sentinel_address=(sentinels.addresses,),
        sentinel_master_name=Sentinels.NAME,
        **{"connect_timeout": 10.0, **options},  # type: ignore[arg-type]
    )
    (settings,) = read_shards(section)
    return settings


@asynccontextmanager
async def started(settings: ShardSettings, poll_interval: float = 5.0) -> AsyncIterator[SentinelShard]:
    clock = SystemClock(asyncio.get_running_loop())
    shard = SentinelShard(settings, clock, poll_interval=poll_interval)
    await shard.start()
    try:
        yield shard
    finally:
        await shard.close()


async def write(shard: SentinelShard, server: RedisServer) -> None:
    """Write through the shard until it arrives at *server*, which is the master by then."""

    while server.command("GET", "written") != b"x":
        try:
            await shard.call(b"", ("SET", "written", "x"))
        except (ConnectionError, TimeoutError, RedisError):
            await asyncio.sleep(0)


async def is_heard(listener: Listener, server: RedisServer) -> None:
    """Publish at *server*, the master, until it is heard and nobody is left elsewhere."""
    await until(lambda: server.command("PUBLISH", "a", "x") == 1)
    count = len(listener.messages)
    await until(lambda: server.command("PUBLISH", "a", "y") == 1)
    await listener.heard(count + 1)


@pytest.mark.parametrize("how", ["in good order", "crash", "frozen"])
def test_commands_and_messages_follow_the_master(how: str) -> None:
    with Sentinels(3, down_after_ms=1000) as sentinels:

        async def test() -> None:
            timeout = 2.0 if how == "frozen" else 10.0
            async with started(settings_of(sentinels, io_timeout=timeout, connect_timeout=timeout)) as shard:
                assert shard.name == f"main@{sentinels.addresses}"
                listener = Listener(b"a")
                lane = shard.pubsub(listener, b"service")
                await lane.start()
                await write(shard, sentinels.master)
                await is_heard(listener, sentinels.master)
                if how == "in good order":
                    sentinels.fail_over()
                elif how == "crash":
                    sentinels.master.kill()
                else:
                    sentinels.master.freeze()
                await asyncio.to_thread(sentinels.wait_for_master, sentinels.replica)
                await asyncio.to_thread(sentinels.replica.command, "DEL", "written")
                await write(shard, sentinels.replica)
                await is_heard(listener, sentinels.replica)
                await lane.close()

        run(test())


@pytest.mark.parametrize("heard", [True, False], ids=["told", "asks"])
def test_a_master_that_lives_on_is_left(heard: bool) -> None:
    """Nobody ends our connections to the old master, and we only listen."""
    with Sentinels(1) as sentinels, RedisServer() as other:

        async def test() -> None:
            async with started(settings_of(sentinels), 5.0 if heard else 0.05) as shard:
                listener = Listener(b"a")
                lane = shard.pubsub(listener, b"service")
                await lane.start()
                sentinel = sentinels.sentinels[0]
                if heard:
                    await until(lambda: b" sub=1 " in sentinel.command("CLIENT", "LIST"))
                else:
                    sentinel.command("SENTINEL", "REMOVE", "main")
                    sentinel.command("SENTINEL", "MONITOR", "main", "127.0.0.1", other.port, 1)
                if heard:
                    sentinels.fail_over()
                    await asyncio.to_thread(sentinels.wait_for_master, sentinels.replica)
                target = sentinels.replica if heard else other
                await write(shard, target)
                await listener.is_restored(1)
                await is_heard(listener, target)
                await lane.close()

        run(test())


def test_a_sentinel_that_is_behind_is_not_believed() -> None:
    with Sentinels(1) as right, Sentinels(1) as wrong:
        wrong.sentinels[0].command("SENTINEL", "REMOVE", "main")
        wrong.sentinels[0].command("SENTINEL", "MONITOR", "main", "127.0.0.1", right.replica.port, 1)

        behind, informed = wrong.sentinels[0], right.sentinels[0]

        async def test() -> None:
            settings = replace(
                settings_of(right), places=settings_of(wrong).places + settings_of(right).places
            )
            shard = SentinelShard(settings, Unshuffled(asyncio.get_running_loop()), poll_interval=0.02)
            await shard.start()
            first = await shard.call(b"", ("CLIENT", "ID"))
            await write(shard, right.master)
            for sentinel in (informed, behind):
                for _ in range(3):
                    asked = _connections(sentinel) + 1
                    await until(partial(_has_connections, sentinel, asked))
                informed.kill()  # who remains is asked, and wrong
            assert await shard.call(b"", ("CLIENT", "ID")) == first
            await shard.close()

        run(test())


class Unshuffled(SystemClock):
    """Asks Sentinels in the order that they are given in."""

    def random(self) -> float:
        return 0.5


def _connections(sentinel: RedisServer) -> int:
    """How many have been made so far."""
    text = sentinel.command("INFO", "stats").decode()
    return int(text.partition("total_connections_received:")[2].partition("\r\n")[0])


def _has_connections(sentinel: RedisServer, least: int) -> bool:
    return _connections(sentinel) >= least


def test_the_sentinels_have_a_login_of_their_own() -> None:
    lines = ("requirepass guard",)
    with Sentinels(1, sentinel_lines=lines, sentinel_password="guard") as sentinels:

        async def test() -> None:
            options = {"sentinel_password": "guard", "sentinel_client_name": "me", "db": 2}
            async with started(settings_of(sentinels, **options)) as shard:
                assert b" db=2 " in await shard.call(b"", ("CLIENT", "INFO"))
            with pytest.raises(ConnectionError, match=r"refuses: NOAUTH"):
                async with started(settings_of(sentinels)):
                    pass
            sentinels.sentinels[0].command("ACL", "SETUSER", "u", "on", "nopass", "+@all", "-sentinel")
            with pytest.raises(ConnectionError, match=r"the Sentinel at .* refuses: NOPERM"):
                async with started(settings_of(sentinels, sentinel_user="u")):
                    pass

        run(test())


def test_the_sentinels_have_a_tls_of_their_own(tmp_path: Path) -> None:
    certificate, options = certificate_in(tmp_path)
    lines = [f"{name} {value}" for name, value in options.items()] + ["tls-auth-clients no"]
    with Sentinels(1, sentinel_lines=lines, sentinel_tls=True) as sentinels:

        async def test() -> None:
            tls = TlsConfig(enabled=True, server_ca_pem=certificate, server_name="localhost")
            async with started(settings_of(sentinels, sentinel_tls=tls)) as shard:
                await write(shard, sentinels.master)
            with pytest.raises(ConnectionError, match="certificate verify failed"):
                async with started(settings_of(sentinels, sentinel_tls=TlsConfig(enabled=True))):
                    pass

        run(test())


def test_who_may_do_little_is_served_all_the_same() -> None:
    """Neither may our user ask for roles, nor listen to the Sentinels."""
    lines = ("user default on nopass +@all -subscribe",)
    with Sentinels(1, sentinel_lines=lines) as sentinels:
        for server in (sentinels.master, sentinels.replica):
            server.command("ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all", "-role")

        async def test() -> None:
            async with started(settings_of(sentinels, user="u"), 0.02) as shard:
                await write(shard, sentinels.master)
                sentinels.fail_over()
                await asyncio.to_thread(sentinels.wait_for_master, sentinels.replica)
                await asyncio.to_thread(sentinels.replica.command, "DEL", "written")
                await write(shard, sentinels.replica)

        run(test())


def test_nobody_who_knows_the_master_is_told() -> None:
    with Sentinels(1) as sentinels:

        async def test() -> None:
            settings = replace(settings_of(sentinels), master_name="other")
            with pytest.raises(ConnectionError, match="knows no master 'other'"):
                async with started(settings):
                    pass
            dead = (Place("127.0.0.1", 1), *settings_of(sentinels).places)
            async with started(replace(settings_of(sentinels), places=dead)) as shard:
                await write(shard, sentinels.master)
            with pytest.raises(ConnectionError, match="can not be reached"):
                async with started(replace(settings_of(sentinels), places=dead[:1])):
                    pass

        run(test())


def test_a_replica_is_not_taken_for_a_master() -> None:
    with Sentinels(1) as sentinels:
        sentinels.sentinels[0].command("SENTINEL", "REMOVE", "main")
        port = sentinels.replica.port
        sentinels.sentinels[0].command("SENTINEL", "MONITOR", "main", "127.0.0.1", port, 1)

        async def test() -> None:
            with pytest.raises(ConnectionError, match=r"is no master but a slave"):
                async with started(settings_of(sentinels)):
                    pass

        run(test())
