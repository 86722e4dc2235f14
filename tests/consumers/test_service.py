"""Consumers of a configuration."""

import asyncio
from typing import Any

import pytest

from centrifast.clock import SystemClock
from centrifast.config.error import ConfigError
from centrifast.config.schema import Config
from centrifast.consumers import service
from centrifast.consumers.service import ConsumerError, Consumers, consumers_of
from tests.api.node import FakeNode
from tests.config.building import config_of
from tests.consumers.running import add, publication, published, push, until
from tests.redis_servers import RedisCluster, RedisServer, Sentinels
from tests.server.http_peer import run
from tests.server_process import free_port


def consumers(config: Config, node: FakeNode) -> Consumers:
    return Consumers(config, node, SystemClock(asyncio.get_running_loop()), "owner")


def lists(server: RedisServer, **options: Any) -> dict[str, Any]:
    own = {"address": server.address, **options}
    return {"name": "lists", "enabled": True, "type": "redis_list", "redis_list": own}


def streams(server: RedisServer) -> dict[str, Any]:
    own = {"address": server.address, "streams": "jobs", "consumer_group": "g"}
    return {"name": "streams", "enabled": True, "type": "redis_stream", "redis_stream": own}


def test_each_type_is_read_and_all_stop_together(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        config = config_of({"consumers": [lists(redis_server, prefix="p"), streams(redis_server)]})
        both = consumers(config, node)
        await both.connect()
        push(redis_server, "p.api", publication(1, "list"))
        add(redis_server, "jobs", publication(2, "stream"))
        await asyncio.sleep(0)
        assert node.calls == []  # connected is not started
        both.start()
        await until(lambda: len(node.calls) == 2)
        await both.stop()
        assert (published(node, "list"), published(node, "stream")) == ([1], [2])
        assert dict(node.metrics.consumed) == {("lists",): 1, ("streams",): 1}

    run(scenario())


def test_every_shard_is_read(redis_server: RedisServer) -> None:
    async def scenario(other: RedisServer) -> None:
        node = FakeNode()
        address = [redis_server.address, other.address]
        both = consumers(config_of({"consumers": [lists(redis_server, address=address)]}), node)
        await both.connect()
        both.start()
        for number, server in enumerate((redis_server, other)):
            push(server, "centrifugo.api", publication(number))
            await until(lambda: len(node.calls) > number)  # noqa: B023 - asked before the next turn
        await both.stop()

    with RedisServer() as other:
        run(scenario(other))


def in_a_cluster(cluster: RedisCluster, **connection: Any) -> Config:
    """Lists and a stream that several masters share."""
    own = [lists(cluster.masters[0], num_shards=5), streams(cluster.masters[0])]
    for consumer in own:
        consumer[consumer["type"]] |= connection
    return config_of({"consumers": own})


@pytest.mark.parametrize("is_named", [True, False])
def test_a_cluster_is_read(redis_cluster: RedisCluster, is_named: bool) -> None:
    async def scenario() -> None:
        node = FakeNode()
        connection = {"cluster_address": redis_cluster.addresses} if is_named else {}
        both = consumers(in_a_cluster(redis_cluster, **connection), node)
        await both.connect()
        both.start()
        keys = ["centrifugo.api", *(f"centrifugo.api.{number}" for number in range(5))]
        masters = [redis_cluster.master_of(key) for key in keys]
        assert len(set(masters)) > 1
        for number, (key, master) in enumerate(zip(keys, masters, strict=True)):
            push(master, key, publication(number))
        await until(lambda: len(node.calls) == 6)
        add(redis_cluster.master_of("jobs"), "jobs", publication(6))
        await until(lambda: len(node.calls) == 7)
        await both.stop()
        assert sorted(published(node)) == list(range(7))
        left = [key for master in redis_cluster.masters for key in master.command("KEYS", "*")]
        assert left == [b"jobs"]

    run(scenario())


def test_a_failover_by_sentinels_loses_nothing() -> None:
    async def scenario(sentinels: Sentinels) -> None:
        node = FakeNode()
        connection = {"sentinel_address": sentinels.addresses, "sentinel_master_name": Sentinels.NAME}
        own = [lists(sentinels.master), streams(sentinels.master)]
        for consumer in own:
            consumer[consumer["type"]] |= connection
        both = consumers(config_of({"consumers": own}), node)
        await both.connect()
        both.start()
        for number, server in enumerate((sentinels.master, sentinels.replica)):
            push(server, "centrifugo.api", publication(number, "list"))
            add(server, "jobs", publication(number, "stream"))
            await until(lambda: len(node.calls) == 2 * number + 2)  # noqa: B023 - asked before the next turn
            if number == 0:
                await asyncio.to_thread(sentinels.fail_over)
                await asyncio.to_thread(sentinels.wait_for_master, sentinels.replica)
        await both.stop()
        assert (published(node, "list"), published(node, "stream")) == ([0, 1], [0, 1])

    with Sentinels() as sentinels:
        run(scenario(sentinels))


def test_redis_api_reads_the_lists_of_the_engine(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        engine = {"redis": {"address": redis_server.address, "prefix": "mine"}}
        tree = {"engine": engine, "redis_api": {"enabled": True, "num_shards": 2}}
        api = consumers(config_of(tree), node)
        await api.connect()
        api.start()
        for number, key in enumerate(("mine.api", "mine.api.0", "mine.api.1")):
            push(redis_server, key, publication(number))
            await until(lambda: len(node.calls) > number)  # noqa: B023 - asked before the next turn
        await api.stop()
        assert node.metrics.consumed.of("redis_api").value == 3

    run(scenario())


def test_what_is_not_enabled_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        tree = {"consumers": [{"name": "later", "type": "kafka"}]}
        none = consumers(config_of(tree), FakeNode())
        await none.connect()
        none.start()
        await none.stop()

    run(scenario())
    (record,) = caplog.records
    assert (record.getMessage(), record.fields) == (  # type: ignore[attr-defined]
        "consumer is not enabled",
        {"consumer": "later"},
    )
    assert list(consumers_of(config_of({}))) == []


def test_a_redis_that_can_not_be_reached_forbids_the_start() -> None:
    port = free_port()
    own = {"address": f"redis://:secret@127.0.0.1:{port}"}
    tree = {"consumers": [{"name": "jobs", "enabled": True, "type": "redis_list", "redis_list": own}]}

    async def scenario() -> None:
        with pytest.raises(ConsumerError) as raised:
            await consumers(config_of(tree), FakeNode()).connect()
        text = str(raised.value)
        assert text.startswith(
            f"consumer jobs: Redis can not be used: Redis at 127.0.0.1:{port} can not be reached"
        )
        assert "secret" not in text

    run(scenario())


def test_a_key_that_is_no_stream_forbids_the_start(redis_server: RedisServer) -> None:
    redis_server.command("SET", "jobs", "text")

    async def scenario() -> None:
        with pytest.raises(ConsumerError, match="consumer streams: Redis can not be used: WRONGTYPE"):
            await consumers(config_of({"consumers": [streams(redis_server)]}), FakeNode()).connect()

    run(scenario())


def test_an_address_that_can_not_be_read_is_named() -> None:
    own = {"address": "mysql://127.0.0.1"}
    tree = {"consumers": [{"name": "jobs", "enabled": True, "type": "redis_list", "redis_list": own}]}

    async def scenario() -> None:
        with pytest.raises(ConfigError, match=r"consumers\.\[0\]\.redis_list\.address"):
            consumers(config_of(tree), FakeNode())

    run(scenario())


def test_a_stop_does_not_wait_for_a_call_that_hangs(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "CONSUMER_STOP_TIMEOUT", 0.01)

    async def scenario() -> None:
        node = FakeNode()
        both = consumers(config_of({"consumers": [lists(redis_server), streams(redis_server)]}), node)
        await both.connect()
        both.start()
        push(redis_server, "centrifugo.api", publication(0, "slow:list"))
        add(redis_server, "jobs", publication(0, "slow:stream"))
        await until(lambda: node.running == 2)
        await both.stop()

    run(scenario())
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(record.fields["consumer"] for record in warnings) == ["lists", "streams"]  # type: ignore[attr-defined]
    assert redis_server.command("LLEN", "centrifugo.api") == 1
    assert redis_server.command("XPENDING", "jobs", "g")[0] == 1
