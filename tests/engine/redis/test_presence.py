"""What only presence in Redis does; what every presence manager does is in ``tests/contract``."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from centrifast.engine.redis.codec import encode_info
from centrifast.engine.redis.presence import RedisPresence
from centrifast.errors import BAD_REQUEST, ClientError
from centrifast.model import ClientInfo, PresenceStats
from tests.contract.servers import valkey_program
from tests.engine.redis.fakes import FakeShard
from tests.engine.redis.shards import OwnPresence
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer

ANN, BOB = ClientInfo("ann", "a1", b"{}"), ClientInfo("bob", "b1")
NOW = 1_700_000_000


def on(
    server: RedisServer,
    test: Callable[[OwnPresence, FakeClock], Coroutine[Any, Any, None]],
    **options: Any,
) -> None:
    async def run() -> None:
        clock = FakeClock(NOW)
        presence = OwnPresence([server], clock, **options)
        try:
            await presence.start()
            await test(presence, clock)
        finally:
            await presence.close()

    asyncio.run(run())


def test_keys_are_the_specified_ones(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        assert redis_server.command("HGETALL", "app.presence.data.news") == [b"a1", encode_info(ANN)]
        assert redis_server.command("ZSCORE", "app.presence.expire.news", "a1") == b"%d" % (NOW + 60)
        assert len(redis_server.command("KEYS", "*")) == 2

    on(redis_server, test)


def test_keys_of_users_are_the_specified_ones(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        assert redis_server.command("HGETALL", "app.presence.user.clients.news") == [b"ann", b"1"]
        score = redis_server.command("ZSCORE", "app.presence.user.expire.news", "ann")
        assert score == b"%d" % (NOW + 60)
        assert len(redis_server.command("KEYS", "*")) == 4

    on(redis_server, test, user_mapping=True)


def test_life_is_whole_seconds_and_not_shorter_than_asked(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        assert redis_server.command("ZSCORE", "app.presence.expire.news", "a1") == b"%d" % (NOW + 3)
        assert redis_server.command("PTTL", "app.presence.data.news") > 2500

    on(redis_server, test, ttl=2.5)


@pytest.mark.parametrize("user_mapping", [False, True])
def test_entries_of_a_node_that_is_gone_vanish_and_both_answers_agree(
    redis_server: RedisServer, user_mapping: bool
) -> None:
    async def test(presence: OwnPresence, clock: FakeClock) -> None:
        for number in range(30):
            await presence.add("news", ClientInfo(f"user{number % 7}", f"c{number}"))
        clock.advance(30)
        for info in (ANN, ClientInfo("user0", "c0")):
            await presence.add("news", info)
        clock.advance(29)
        assert await presence.stats("news") == PresenceStats(31, 8)
        clock.advance(1)
        assert await presence.stats("news") == PresenceStats(2, 2)
        assert set(await presence.presence("news")) == {"a1", "c0"}

    on(redis_server, test, user_mapping=user_mapping)


def test_who_comes_and_goes_at_once_is_gone(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, clock: FakeClock) -> None:
        await presence.add("news", BOB)
        await presence.remove("news", "b1", "bob")  # the server knows both scripts from here on
        for _ in range(20):
            await asyncio.gather(
                presence.add("news", ANN), presence.remove("news", "a1", "ann"), presence.add("news", BOB)
            )
            assert await presence.presence("news") == {"b1": BOB}
            assert await presence.stats("news") == PresenceStats(1, 1)

    on(redis_server, test, user_mapping=True)


def test_nodes_see_the_clients_of_each_other(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, clock: FakeClock) -> None:
        other = OwnPresence([redis_server], clock)
        await other.start()
        await other.add("news", ANN)
        await presence.add("news", BOB)
        assert await presence.presence("news") == {"a1": ANN, "b1": BOB} == await other.presence("news")
        await other.close()

    on(redis_server, test)


def test_what_cannot_be_read_is_left_out(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        redis_server.command("HSET", "app.presence.data.news", "x1", b"\xff", b"\xff", encode_info(BOB))
        assert await presence.presence("news") == {"a1": ANN}

    on(redis_server, test)


def test_refusal_is_an_outage(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        redis_server.command("SET", "app.presence.data.news", "x")
        with pytest.raises(ConnectionError, match="WRONGTYPE"):
            await presence.add("news", ANN)

    on(redis_server, test)


def test_server_without_lives_of_fields_is_refused_by_name_of_the_option(redis_server: RedisServer) -> None:
    async def test(presence: OwnPresence, clock: FakeClock) -> None:
        raise AssertionError("it has started")

    version = redis_server.command("INFO", "server").decode().partition("redis_version:")[2].split()[0]
    with pytest.raises(ValueError, match=f"presence_hash_field_ttl.* has version {version}"):
        on(redis_server, test, hash_field_ttl=True)


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    """A server that knows lives of fields."""
    with RedisServer(program=valkey_program()) as server:
        yield server


def test_server_with_lives_of_fields_keeps_no_ends_beside_them(valkey: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        valkey.command("HEXPIRE", "app.presence.data.news", 10, "FIELDS", 1, "a1")
        for info in (ANN, BOB, ClientInfo("ann", "a2")):
            await presence.add("news", info)
        data, clients = b"app.presence.data.news", b"app.presence.user.clients.news"
        assert sorted(valkey.command("KEYS", "*")) == [data, clients]
        assert valkey.command("HTTL", data, "FIELDS", 2, "a1", "b1") == [pytest.approx(60, abs=1)] * 2
        assert valkey.command("HTTL", clients, "FIELDS", 2, "ann", "bob") == [pytest.approx(60, abs=1)] * 2
        assert valkey.command("HMGET", clients, "ann", "bob") == [b"2", b"1"]
        assert await presence.stats("news") == PresenceStats(3, 2)
        for info in (ANN, BOB, ClientInfo("ann", "a2")):
            await presence.remove("news", info.client, info.user)
        assert valkey.command("KEYS", "*") == []

    on(valkey, test, user_mapping=True, hash_field_ttl=True)


def test_clients_that_the_server_has_forgotten_are_not_counted(valkey: RedisServer) -> None:
    async def test(presence: OwnPresence, _: FakeClock) -> None:
        await presence.add("news", ANN)
        await presence.add("news", BOB)
        for key, field in (("data", "b1"), ("user.clients", "bob")):
            valkey.command("HPEXPIRE", f"app.presence.{key}.news", 0, "FIELDS", 1, field)
        assert await presence.presence("news") == {"a1": ANN}
        assert await presence.stats("news") == PresenceStats(1, 1)
        await presence.remove("news", "b1", "bob")
        assert await presence.stats("news") == PresenceStats(1, 1)

    on(valkey, test, user_mapping=True, hash_field_ttl=True)


def test_channel_that_a_cluster_cannot_hold_is_refused() -> None:
    async def run() -> None:
        shard = FakeShard(is_cluster=True)
        presence = RedisPresence([shard], "app", FakeClock())
        await presence.start()
        for call in (
            presence.add("}a", ANN),
            presence.presence("}a"),
            presence.stats("}a"),
        ):
            with pytest.raises(ClientError) as caught:
                await call
            assert caught.value.error is BAD_REQUEST
        await presence.remove("}a", "a1", "ann")
        assert shard.asked == []

    asyncio.run(run())
