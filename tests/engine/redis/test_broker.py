"""What only the broker over Redis does; what every broker does is in ``tests/contract``."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from centrifast.engine.contract import NO_HISTORY, HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.redis.broker import RedisBroker
from centrifast.engine.redis.codec import encode_info, encode_publication
from centrifast.errors import BAD_REQUEST, NOT_AVAILABLE, ClientError
from centrifast.model import ClientInfo, StreamPosition
from tests.contract.test_broker import ANN, KEPT, Recorder
from tests.engine.redis.fakes import FakeShard
from tests.engine.redis.shards import SettledBroker
from tests.fakes import FakeClock
from tests.redis_servers import TIMEOUT, RedisServer
from tests.server.http_peer import until

EVERYTHING = HistoryFilter(-1)
STRANGE = ["{x}y", "{}e", "}", "a:b c", "канал", "a__b", "__p1:1:e__", "x" * 255, "a\x00\r\nb"]

NOW_MS = 1_700_000_000_000


class Node:
    """A node: a broker and what it tells."""

    def __init__(self, server: RedisServer, **options: Any) -> None:
        self.events = Recorder()
        self.broker = SettledBroker([server], FakeClock(), **options)

    async def __aenter__(self) -> "Node":
        await self.broker.start(self.events)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.close()

    async def publish(self, data: bytes = b"{}", channel: str = "news", **options: Any) -> StreamPosition:
        result = await self.broker.publish(channel, data, PublishOptions(**({"history": KEPT} | options)))
        return result.position


def on(server: RedisServer, test: Callable[[Node], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def run() -> None:
        async with Node(server, **options) as node:
            await test(node)

    asyncio.run(run())


@contextmanager
def listening(server: RedisServer) -> Iterator[Callable[[], bytes]]:
    """Gives the next message of ``news`` as it is on the wire."""
    with (
        redis.Redis(unix_socket_path=server.socket_path, socket_timeout=TIMEOUT) as client,
        client.pubsub() as subscriber,
    ):

        def following() -> bytes:
            message = subscriber.get_message(timeout=TIMEOUT)
            assert message is not None
            data: bytes = message["data"]
            return data

        subscriber.subscribe("app.client.news")
        following()
        yield following


# ------------------------------------------------------------------ bytes


def test_frames_on_the_wire_are_the_specified_ones(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        tags = {"a": "b"}
        with listening(redis_server) as heard:
            await node.publish(b"1", history=NO_HISTORY, info=ANN, tags=tags)
            assert heard() == encode_publication(b"1", ANN, tags, NOW_MS)
            await node.publish(b"2", history=NO_HISTORY, delta=True)
            assert heard() == encode_publication(b"2", None, None, NOW_MS, delta=True)
            epoch = (await node.publish(b"3", info=ANN, tags=tags)).epoch.encode()
            third = encode_publication(b"3", ANN, tags, NOW_MS)
            assert heard() == b"__p1:1:%b__%b" % (epoch, third)
            await node.publish(b"4", delta=True)
            fourth = encode_publication(b"4", None, None, NOW_MS)
            assert heard() == b"__d1:2:%b:%d:%b:%d:%b" % (epoch, len(third), third, len(fourth), fourth)
            await node.broker.publish_join("news", ANN)
            await node.broker.publish_leave("news", ANN)
            assert [heard(), heard()] == [b"__j__" + encode_info(ANN), b"__l__" + encode_info(ANN)]

    on(redis_server, test)


def test_keys_are_the_specified_ones(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.publish(idempotency_key="k")
        await node.publish(channel="other", history=NO_HISTORY, idempotency_key="k")
        await node.publish(channel="plain", history=NO_HISTORY)
        assert sorted(redis_server.command("KEYS", "*")) == [
            b"app.result.news.k",
            b"app.result.other.k",
            b"app.stream.meta.news",
            b"app.stream.news",
        ]

    on(redis_server, test)


def test_keys_of_lists_are_the_specified_ones(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.publish()
        assert sorted(redis_server.command("KEYS", "*")) == [b"app.list.meta.news", b"app.list.news"]
        await node.broker.remove_history("news")
        assert redis_server.command("KEYS", "*") == [b"app.list.meta.news"]

    on(redis_server, test, use_lists=True)


def test_lives_are_whole_seconds_and_never_shorter_than_asked(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.publish(history=HistoryOptions(5, 0.2, 99.5))
        assert redis_server.command("PTTL", "app.stream.news") > 200
        assert redis_server.command("PTTL", "app.stream.meta.news") > 99_000

    on(redis_server, test)


@pytest.mark.parametrize("channel", STRANGE)
def test_channels_may_have_any_name(redis_server: RedisServer, channel: str) -> None:
    async def test(node: Node) -> None:
        await node.broker.subscribe(channel)
        position = await node.publish(b"1", channel, idempotency_key=channel)
        assert await node.publish(b"2", channel, idempotency_key=channel) == position
        history = await node.broker.history(channel, EVERYTHING, KEPT)
        assert [publication.data for publication in history.publications] == [b"1"]
        assert [name for name, _, _ in node.events.publications] == [channel]

    on(redis_server, test)


def test_versions_have_64_bits(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.publish(version=2**64 - 2)
        assert (await node.publish(version=2**64 - 2)).offset == 1
        assert (await node.publish(version=2**64 - 1)).offset == 2

    on(redis_server, test)


# ------------------------------------------------------------------ several nodes


def test_what_one_node_publishes_every_node_hears(redis_server: RedisServer) -> None:
    async def run() -> None:
        async with Node(redis_server) as one, Node(redis_server) as other:
            for node in (one, other):
                await node.broker.subscribe("news")
            await one.publish(b"1", info=ANN)
            await other.publish(b"2")
            await one.broker.settle()
            assert one.events.publications == other.events.publications
            assert one.events.offsets() == [1, 2]

    asyncio.run(run())


def test_nodes_share_keys_and_history(redis_server: RedisServer) -> None:
    async def run() -> None:
        async with Node(redis_server) as one, Node(redis_server) as other:
            first = await one.publish(b"1", idempotency_key="k")
            assert await other.publish(b"2", idempotency_key="k") == first
            assert (await other.broker.history("news", EVERYTHING, KEPT)).position == first

    asyncio.run(run())


def test_what_another_node_publishes_while_this_one_subscribes_is_in_history_or_delivered(
    redis_server: RedisServer,
) -> None:
    async def run() -> None:
        history = HistoryOptions(1000, 60.0, 600.0)
        async with Node(redis_server) as one, Node(redis_server) as other:
            publishing = asyncio.gather(*(other.publish(history=history) for _ in range(100)))
            await one.broker.subscribe("news")
            read = await one.broker.history("news", EVERYTHING, history)
            await publishing
            await other.publish(history=history)
            await one.broker.settle()
            stored = [publication.offset for publication in read.publications]
            assert stored == list(range(1, read.position.offset + 1))
            delivered = one.events.offsets()
            assert delivered == list(range(delivered[0], 102))
            assert delivered[0] <= read.position.offset + 1

    asyncio.run(run())


# ------------------------------------------------------------------ lists


@pytest.mark.parametrize("limit", [0, 1, -1])
def test_list_is_not_read_backwards_from_an_offset(redis_server: RedisServer, limit: int) -> None:
    async def test(node: Node) -> None:
        with pytest.raises(ClientError) as caught:
            await node.broker.history("news", HistoryFilter(limit, StreamPosition(3), reverse=True), KEPT)
        assert caught.value.error is NOT_AVAILABLE

    on(redis_server, test, use_lists=True)


# ------------------------------------------------------------------ a cluster


def test_channel_that_a_cluster_cannot_hold_is_refused_and_nothing_is_asked() -> None:
    async def run() -> None:
        shard = FakeShard(is_cluster=True)
        broker = RedisBroker([shard], "app", FakeClock())
        await broker.start(Recorder())
        calls = [
            broker.subscribe("}a"),
            broker.publish("}a", b"", PublishOptions()),
            broker.publish("}a", b"", PublishOptions(idempotency_key="k")),
            broker.publish("}a", b"", PublishOptions(KEPT)),
            broker.publish_join("}a", ANN),
            broker.publish_leave("}a", ANN),
            broker.history("}a", EVERYTHING, KEPT),
            broker.remove_history("}a"),
        ]
        for call in calls:
            with pytest.raises(ClientError) as caught:
                await call
            assert caught.value.error is BAD_REQUEST
        await broker.unsubscribe("}a")
        assert shard.asked == []

    asyncio.run(run())


def test_each_partition_has_a_connection_and_publishes_by_its_own_command() -> None:
    async def run() -> None:
        shard = FakeShard(is_cluster=True)
        shard.reply = [b"1", b"abcd", b"0", b"0"]
        broker = RedisBroker([shard], "app", FakeClock(), partitions=4)
        await broker.start(Recorder())
        services = [b"app.shard.0.{%d}" % number for number in range(4)]
        assert [(service, key) for service, key, _ in shard.pubsubs] == [(name, name) for name in services]
        await broker.subscribe("news")
        assert [pubsub.subscribed for _, _, pubsub in shard.pubsubs] == [
            set(),
            set(),
            set(),
            {b"app.client.{3}.news"},
        ]
        await broker.publish("news", b"1", PublishOptions())
        await broker.publish("news", b"1", PublishOptions(KEPT))
        (key, plain), (first, kept) = shard.asked
        assert key == b"app.client.{3}.news"
        assert plain[:2] == (b"spublish", key)
        assert first == b"app.stream.{3}.news"
        assert kept[6] == key
        assert kept[9] == b"spublish"

    asyncio.run(run())


def test_partitions_are_for_clusters_only() -> None:
    async def run() -> None:
        shard = FakeShard()
        broker = RedisBroker([shard], "app", FakeClock(), partitions=4)
        await broker.start(Recorder())
        assert [(service, key) for service, key, _ in shard.pubsubs] == [(b"app.shard.0", None)]

    asyncio.run(run())


# ------------------------------------------------------------------ failures


def test_full_memory_says_so(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        redis_server.command("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(ConnectionError, match=r"^OOM"):
                await node.publish()
        finally:
            redis_server.command("CONFIG", "SET", "maxmemory", 0)
        assert (await node.publish()).offset == 1

    on(redis_server, test)


def test_key_of_another_kind_is_an_outage(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        redis_server.command("SET", "app.stream.meta.news", "x")
        for call in (node.publish(), node.broker.history("news", EVERYTHING, KEPT)):
            with pytest.raises(ConnectionError, match="WRONGTYPE"):
                await call

    on(redis_server, test)


def test_what_cannot_be_read_is_left_out_of_history(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.publish(b"1")
        redis_server.command("XADD", "app.stream.news", "2-0", "d", b"\xff")
        redis_server.command("HINCRBY", "app.stream.meta.news", "s", 1)
        await node.publish(b"3")
        history = await node.broker.history("news", EVERYTHING, KEPT)
        assert [publication.offset for publication in history.publications] == [1, 3]
        assert history.position.offset == 3

    on(redis_server, test)


def test_after_an_interruption_channels_are_subscribed_again_and_the_node_is_told(
    redis_server: RedisServer,
) -> None:
    async def test(node: Node) -> None:
        for channel in ("news", "left"):
            await node.broker.subscribe(channel)
        redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: not node.broker.is_listening)
        await node.broker.unsubscribe("left")
        with pytest.raises(ConnectionError):
            await node.broker.subscribe("late")
        await until(lambda: bool(node.events.interrupted))
        assert node.events.interrupted == ["news"]
        await node.publish(b"1")
        assert node.events.data() == [b"1"]
        names = [b"app.client." + name for name in (b"news", b"left", b"late")]
        counts = redis_server.command("PUBSUB", "NUMSUB", *names)
        assert counts[1::2] == [1, 0, 0]

    on(redis_server, test)


def test_store_that_was_lost_begins_anew(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.broker.subscribe("news")
        old = await node.publish(b"1")
        redis_server.command("FLUSHALL")
        new = await node.publish(b"2")
        assert new.offset == 1
        assert new.epoch != old.epoch
        assert [position for _, _, position in node.events.publications] == [old, new]

    on(redis_server, test)


def test_server_that_is_away_fails_calls_and_is_used_again_when_it_is_back() -> None:
    async def test(node: Node, server: RedisServer) -> None:
        await node.broker.subscribe("news")
        old = await node.publish(b"1")
        server.kill()
        await until(lambda: not node.broker.is_listening)
        for call in (
            node.publish(),
            node.broker.history("news", EVERYTHING, KEPT),
            node.broker.remove_history("news"),
            node.broker.publish_join("news", ANN),
        ):
            with pytest.raises(ConnectionError):
                await call
        server.start()
        await until(lambda: node.events.interrupted == ["news"] and node.broker.own.shards[0].is_usable)
        new = await node.publish(b"2")
        assert (new.offset, new.epoch != old.epoch) == (1, True)
        assert node.events.data() == [b"1", b"2"]

    with RedisServer() as server:
        on(server, lambda node: test(node, server))


def test_info_of_a_client_may_hold_anything(redis_server: RedisServer) -> None:
    async def test(node: Node) -> None:
        await node.broker.subscribe("news")
        info = ClientInfo("ü", "", b"\x00\xff", b"[]")
        await node.publish(b"\x00", info=info)
        await node.broker.publish_join("news", info)
        assert node.events.publications[0][1].info == info
        assert node.events.comings == [("join", "news", info)]

    on(redis_server, test)
