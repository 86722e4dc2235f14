"""A real cluster: keys at their masters, slots that move, masters that die."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from centrifast.clock import SystemClock
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.engine.redis.cluster import ClusterShard
from centrifast.engine.redis.contract import RedisError, Script
from centrifast.engine.redis.settings import Place, ShardSettings, read_shards
from centrifast.engine.redis.topology import Topology, read_topology, slot_of
from tests.engine.redis.listening import Listener
from tests.redis_servers import RedisCluster, RedisServer
from tests.server.http_peer import run, until

SOURCE = b"return redis.call('incrby', KEYS[1], ARGV[1])"
INCREASE = Script("increase", SOURCE, hashlib.sha1(SOURCE).hexdigest().encode())

KEYS = [b"%d" % number for number in range(100)]


def settings_of(addresses: str, **options: object) -> ShardSettings:
    options = {"connect_timeout": 10.0, **options}
    (settings,) = read_shards(RedisConnectionConfig(cluster_address=(addresses,), **options))  # type: ignore[arg-type]
    return settings


@asynccontextmanager
async def started(
    addresses: str, refresh_interval: float = 30.0, **options: object
) -> AsyncIterator[ClusterShard]:
    clock = SystemClock(asyncio.get_running_loop())
    shard = ClusterShard(settings_of(addresses, **options), clock, refresh_interval=refresh_interval)
    await shard.start()
    try:
        yield shard
    finally:
        await shard.close()


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[RedisCluster]:
    """A cluster whose slots these tests move; each moves others."""
    with RedisCluster() as cluster:
        yield cluster


def key_at(cluster: RedisCluster, server: RedisServer, prefix: str) -> bytes:
    """A key that begins with *prefix*, whose slot *server* has."""
    return next(
        key.encode()
        for key in (f"{prefix}{number}" for number in range(1000))
        if cluster.master_of(key) is server
    )


def test_every_key_goes_to_its_master(redis_cluster: RedisCluster) -> None:
    async def test() -> None:
        async with started(redis_cluster.masters[2].address) as shard:
            assert (shard.name, shard.is_cluster, shard.is_usable) == (
                redis_cluster.masters[2].address,
                True,
                True,
            )
            assert await asyncio.gather(*(shard.call(key, ("SET", key, 1)) for key in KEYS)) == [b"OK"] * 100
            assert await asyncio.gather(*(shard.run(INCREASE, [key], [2]) for key in KEYS)) == [3] * 100
        assert not shard.is_usable

    run(test())
    sizes = [server.command("DBSIZE") for server in redis_cluster.masters]
    assert (sum(sizes), min(sizes) > 0) == (100, True)


def test_the_first_call_of_a_script_is_overtaken_at_no_master(redis_cluster: RedisCluster) -> None:
    async def test() -> None:
        async with started(redis_cluster.masters[0].address) as shard:
            calls = [(shard.run(INCREASE, [key], [1]), shard.call(key, ("GET", key))) for key in KEYS]
            found = await asyncio.gather(*(reply for pair in calls for reply in pair))
            assert found == [1, b"1"] * 100

    for server in redis_cluster.masters:
        server.command("SCRIPT", "FLUSH")
    run(test())


def test_errors_are_told_as_they_are(redis_cluster: RedisCluster) -> None:
    async def test() -> None:
        async with started(redis_cluster.addresses) as shard:
            with pytest.raises(RedisError, match="CROSSSLOT"):
                await shard.run(INCREASE, [b"a", b"b"], [1])
            assert await shard.call(b"k", ("SET", "k", "text")) == b"OK"
            with pytest.raises(RedisError, match="WRONGTYPE"):
                await shard.call(b"k", ("LPUSH", "k", 1))

    run(test())


def test_a_slot_that_has_moved_is_followed(own_cluster: RedisCluster) -> None:
    source, target, _ = own_cluster.masters
    key = key_at(own_cluster, source, "moved")

    async def test() -> None:
        async with started(own_cluster.addresses) as shard:
            own_cluster.move_slot(slot_of(key), source, target)
            results = await asyncio.gather(*(shard.run(INCREASE, [key], [1]) for _ in range(50)))
            assert sorted(results) == list(range(1, 51))  # each exactly once
            target.command("CONFIG", "RESETSTAT")
            assert await shard.call(key, ("GET", key)) == b"50"
            assert await shard.call(key, ("GET", key)) == b"50"
        assert b"cmdstat_get:calls=2," in target.command("INFO", "commandstats")

    run(test())


def test_a_slot_on_its_way_is_asked_for_at_both(own_cluster: RedisCluster) -> None:
    _, target, source = own_cluster.masters
    tag = key_at(own_cluster, source, "asked").decode()
    old, new = (f"{{{tag}}}{name}".encode() for name in ("old", "new"))

    async def test() -> None:
        async with started(own_cluster.addresses) as shard:
            assert await shard.call(old, ("SET", old, "here")) == b"OK"
            own_cluster.begin_move(slot_of(old), source, target)
            asked = (
                shard.call(new, ("SET", new, "there")),
                shard.call(old, ("GET", old)),
                shard.run(INCREASE, [f"{{{tag}}}count".encode()], [5]),
            )
            replies: list[object] = list(await asyncio.gather(*asked))
            assert replies == [b"OK", b"here", 5]
            assert await shard.call(new, ("GET", new)) == b"there"

    run(test())
    assert source.command("GET", old) == b"here"


def test_messages_are_heard_wherever_they_are_published(redis_cluster: RedisCluster) -> None:
    async def test() -> None:
        async with started(redis_cluster.addresses) as shard:
            listener = Listener(b"a")
            lane = shard.pubsub(listener, b"service")
            await lane.start()
            await lane.subscribe(b"b")
            for number, server in enumerate(redis_cluster.masters):
                server.command("PUBLISH", "a", number)
            await shard.call(b"b", ("PUBLISH", "b", "x"))
            assert sorted(await listener.heard(4)) == [
                (b"a", b"0"),
                (b"a", b"1"),
                (b"a", b"2"),
                (b"b", b"x"),
            ]

    run(test())


def test_a_sharded_lane_is_where_its_slot_is_and_moves_with_it(own_cluster: RedisCluster) -> None:
    _, source, target = own_cluster.masters
    tag = key_at(own_cluster, source, "lane").decode()
    channel, service = f"{{{tag}}}.a", f"{{{tag}}}.service".encode()

    async def test() -> None:
        async with started(own_cluster.addresses) as shard:
            listener = Listener(channel.encode())
            lane = shard.pubsub(listener, service, tag.encode())
            await lane.start()
            assert lane.leads_to == source.address
            assert await shard.call(service, ("SPUBLISH", channel, 1)) == 1
            assert await listener.heard(1) == [(channel.encode(), b"1")]
            own_cluster.move_slot(slot_of(service), source, target)
            await listener.is_restored(1)
            assert lane.leads_to == target.address
            await until(lambda: target.command("SPUBLISH", channel, 2) == 1)
            assert await listener.heard(2) == [(channel.encode(), b"1"), (channel.encode(), b"2")]

    run(test())


def test_a_cluster_that_is_not_there_is_told() -> None:
    with RedisServer() as plain, RedisServer("--cluster-enabled", "yes") as empty:

        async def test() -> None:
            for address, told in (
                ("127.0.0.1:1", "can not be reached"),
                (plain.address, "does not tell who has which slots"),
                (empty.address, "nobody knows the slots"),
            ):
                with pytest.raises(ConnectionError, match=told):
                    async with started(address):
                        pass
            with pytest.raises(ConnectionError, match="SELECT is not allowed in cluster mode"):
                async with started(empty.address, db=1):
                    pass

        run(test())


def test_a_start_needs_one_master_and_takes_the_others_later() -> None:
    with RedisServer("--cluster-enabled", "yes") as alone, RedisServer() as dead:
        alone.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        dead.kill()
        known = read_topology(
            [[0, 8191, [b"127.0.0.1", dead.port]], [8192, 16383, [b"127.0.0.1", alone.port]]], Place("", 0)
        )

        class Outdated(ClusterShard):
            """Is told of a master that is gone, if only at first."""

            async def _apply(self, topology: Topology) -> None:
                await super()._apply(topology if self._members else told)

        async def test() -> None:
            clock = SystemClock(asyncio.get_running_loop())
            shard = Outdated(settings_of(alone.address), clock)
            await shard.start()
            await until(lambda: shard.is_usable)
            await shard.close()

        told = known
        run(test())

        async def none() -> None:
            clock = SystemClock(asyncio.get_running_loop())
            with pytest.raises(ConnectionError, match=r"no master of the Redis Cluster at .* can be reached"):
                await Outdated(settings_of(alone.address), clock).start()

        told = read_topology([[0, 16383, [b"127.0.0.1", dead.port]]], Place("", 0))
        run(none())


def test_slots_without_a_master_fail_and_the_others_do_not(own_cluster: RedisCluster) -> None:
    with RedisServer("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no") as alone:
        alone.command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        have = next(key for key in KEYS if slot_of(key) <= 8191)
        lack = next(key for key in KEYS if slot_of(key) > 8191)

        async def test() -> None:
            async with started(alone.address, refresh_interval=0.05) as shard:
                assert not shard.is_usable
                with pytest.raises(ConnectionError, match=r"nobody has slot \d+"):
                    await shard.call(lack, ("GET", lack))
                while True:  # a cluster says for a moment after its start that it is down
                    try:
                        assert await shard.call(have, ("GET", have)) is None
                    except RedisError as error:
                        assert error.code == "CLUSTERDOWN"  # noqa: PT017 - nothing else may be said
                    else:
                        break
                with pytest.raises(ConnectionError, match=r"nobody has slot \d+"):
                    await shard.pubsub(Listener(), lack, lack).start()
                alone.command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
                await until(lambda: shard.is_usable)
                assert await shard.call(lack, ("GET", lack)) is None
                alone.kill()
                with pytest.raises(ConnectionError, match="can not be reached"):
                    await shard.pubsub(Listener(), b"service").start()

        run(test())


@pytest.mark.parametrize("how", ["crash", "frozen"])
def test_a_replica_takes_over_from_a_dead_master(how: str) -> None:
    with RedisCluster(replicas=1, node_timeout_ms=1000) as cluster:
        dead, heir = cluster.masters[1], cluster.replicas[1]
        key = key_at(cluster, dead, "key")
        other = key_at(cluster, cluster.masters[0], "key")

        async def test() -> None:
            timeout = 2.0 if how == "frozen" else 10.0
            options = {"io_timeout": timeout, "connect_timeout": timeout}
            async with started(cluster.masters[0].address, **options) as shard:
                listener = Listener(b"a")
                lane = shard.pubsub(listener, b"service")
                await lane.start()
                assert await shard.call(key, ("SET", key, 1)) == b"OK"
                await until(lambda: dead.command("WAIT", 1, 1000) == 1)
                if how == "crash":
                    dead.kill()
                else:
                    dead.freeze()
                with pytest.raises((ConnectionError, TimeoutError)):
                    await shard.call(key, ("INCR", key))
                found: object = None
                while not isinstance(found, int):
                    try:
                        found = await shard.call(key, ("INCR", key))
                    except (ConnectionError, TimeoutError, RedisError):
                        await asyncio.sleep(0)
                assert heir.command("ROLE")[0] == b"master"
                await until(lambda: shard.is_usable)
                assert await shard.call(other, ("SET", other, 1)) == b"OK"
                await until(lambda: lane.is_usable)
                heir.command("PUBLISH", "a", "x")
                await listener.heard(1)

        run(test())


def test_a_lane_leaves_a_server_that_has_left(redis_cluster: RedisCluster) -> None:
    with RedisServer("--cluster-enabled", "yes") as stranger:

        async def test() -> None:
            async with started(redis_cluster.addresses, refresh_interval=0.05) as shard:
                listener = Listener(b"a")
                lane = shard.pubsub(listener, b"service")
                known = shard._topology
                shard._topology = type(known)(known.ranges, frozenset(settings_of(stranger.address).places))
                await lane.start()
                assert lane.leads_to == stranger.address
                await listener.is_restored(1)
                assert lane.leads_to in redis_cluster.addresses

        run(test())
