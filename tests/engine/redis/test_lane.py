"""Messages of a real server, through everything that can happen to the connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from centrifast.clock import Clock, SystemClock
from centrifast.config.schema_tls import TlsConfig
from centrifast.engine.redis import lane as module
from centrifast.engine.redis import pubsub_wire
from centrifast.engine.redis.kept import pause
from centrifast.engine.redis.lane import Lane
from centrifast.engine.redis.probe import PROBE, PROBE_INTERVAL
from centrifast.engine.redis.shard import ServerShard
from centrifast.limits import REDIS_PAUSE
from tests.engine.redis.listening import Listener, settings_of
from tests.engine.redis.securing import arguments_of, certificate_in
from tests.fakes import FakeClock
from tests.redis_servers import RedisServer
from tests.server.http_peer import run, until

BOTH = pytest.mark.parametrize("resp2", [False, True], ids=["RESP3", "RESP2"])


class Station:
    """A lane, who listens, and the errors that were counted."""

    def __init__(self, server: RedisServer, clock: Clock, *wanted: bytes, **options: object) -> None:
        self.server = server
        self.errors: list[str] = []
        self.listener = Listener(*wanted)
        self.shard = ServerShard(
            settings_of(server, **options), clock, lambda service, label: self.errors.append(label)
        )
        self.lane: Lane = self.shard.pubsub(self.listener, b"service")

    def publish(self, channel: str, message: object) -> int:
        return int(self.server.command("PUBLISH", channel, message))

    def has_failed(self, times: int) -> bool:
        return len(self.errors) == times

    def subscriptions(self) -> int:
        """How many channels Redis knows, of all connections."""
        return len(self.server.command("PUBSUB", "CHANNELS"))


@asynccontextmanager
async def listening(
    server: RedisServer, *wanted: bytes, clock: Clock | None = None, **options: object
) -> AsyncIterator[Station]:
    station = Station(server, clock or SystemClock(asyncio.get_running_loop()), *wanted, **options)
    await station.shard.start()
    await station.lane.start()
    try:
        yield station
    finally:
        await station.lane.close()
        await station.shard.close()


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


@BOTH
def test_messages_come_from_the_confirmation_on(redis_server: RedisServer, resp2: bool) -> None:
    async def test() -> None:
        async with listening(redis_server, b"a", force_resp2=resp2) as station:
            lane = station.lane
            assert lane.is_usable
            assert station.publish("a", 1) == 1
            assert station.publish("b", 2) == 0
            await lane.subscribe(b"b")
            assert station.publish("b", 3) == 1
            await lane.unsubscribe(b"a")
            await lane.unsubscribe(b"never")
            assert station.publish("a", 4) == 0
            assert station.publish("b", 5) == 1
            assert await station.listener.heard(3) == [(b"a", b"1"), (b"b", b"3"), (b"b", b"5")]
        assert not lane.is_usable
        assert station.publish("b", 6) == 0
        assert station.errors == []

    run(test())


def test_who_subscribes_in_one_turn_shares_commands(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with listening(redis_server) as station:
            redis_server.command("CONFIG", "RESETSTAT")
            channels = [b"%d" % number for number in range(1000)]
            await asyncio.gather(*(station.lane.subscribe(channel) for channel in channels))
            assert station.subscriptions() == 1001
            assert "cmdstat_subscribe:calls=2," in redis_server.command("INFO", "commandstats").decode()
            await asyncio.gather(
                station.lane.unsubscribe(b"1"),
                station.lane.subscribe(b"1"),
                station.lane.subscribe(b"new"),
                station.lane.unsubscribe(b"new"),
            )
            assert (station.publish("1", "x"), station.publish("new", "x")) == (
                1,
                0,
            )  # in the order of asking

    run(test())


def test_who_no_longer_waits_is_subscribed_all_the_same(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with listening(redis_server) as station:
            gone = asyncio.create_task(station.lane.subscribe(b"a"))
            await asyncio.sleep(0)
            gone.cancel()
            await station.lane.subscribe(b"b")
            assert station.publish("a", 1) == 1

    run(test())


def test_everything_wanted_is_subscribed_to_before_it_starts(redis_server: RedisServer) -> None:
    async def test() -> None:
        redis_server.command("CONFIG", "RESETSTAT")
        wanted = [b"%d" % number for number in range(20_000)]
        async with listening(redis_server, *wanted, b"service") as station:
            assert station.subscriptions() == 20_001
            assert "cmdstat_subscribe:calls=41," in redis_server.command("INFO", "commandstats").decode()
            assert (station.publish("0", 1), station.publish("19999", 2), station.publish("service", 3)) == (
                1,
                1,
                1,
            )
            assert len(await station.listener.heard(3)) == 3
            assert station.listener.restored == 0

    run(test())


def test_messages_over_tls_are_handled_in_slices_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub_wire, "PUBSUB_SLICE", 0.0)
    certificate, options = certificate_in(tmp_path)
    tls = TlsConfig(enabled=True, server_ca_pem=certificate, server_name="localhost")
    with RedisServer(*arguments_of(options), "--tls-auth-clients", "no", tls=True) as server:

        async def test() -> None:
            async with listening(server, b"a", tls=tls) as station:
                large = b"x" * 100_000
                for number in range(100):
                    assert station.publish("a", b"%d." % number + large) == 1
                messages = await station.listener.heard(100)
                assert messages == [(b"a", b"%d." % number + large) for number in range(100)]
                await station.lane.subscribe(b"b")  # it is read from again
                assert station.publish("b", 1) == 1

        run(test())


def test_sharded_channels_are_listened_to(redis_server: RedisServer) -> None:
    async def test() -> None:
        clock = SystemClock(asyncio.get_running_loop())
        shard = ServerShard(settings_of(redis_server), clock)
        await shard.start()
        listener = Listener(b"a")
        lane = shard.pubsub(listener, b"service", b"slot")
        await lane.start()
        await lane.subscribe(b"b")
        assert redis_server.command("PUBLISH", "a", 0) == 0
        for number, channel in enumerate(("a", "b", "service")):
            assert redis_server.command("SPUBLISH", channel, number) == 1
        await lane.unsubscribe(b"b")
        assert redis_server.command("SPUBLISH", "b", 9) == 0
        assert await listener.heard(3) == [(b"a", b"0"), (b"b", b"1"), (b"service", b"2")]
        await lane.close()
        await shard.close()

    run(test())


# -------------------------------------------------------------------- failures


@pytest.mark.parametrize("end", ["crash", "client kill"])
def test_it_is_made_again_with_all_that_is_wanted(end: str) -> None:
    with RedisServer() as server:

        async def test() -> None:
            async with listening(server, b"a") as station:
                station.listener.wants.append(b"b")
                if end == "crash":
                    server.kill()
                else:
                    server.command("CLIENT", "KILL", "TYPE", "pubsub")
                await until(lambda: not station.lane.is_usable)
                with pytest.raises(ConnectionError, match="there is no PUB/SUB connection"):
                    await station.lane.subscribe(b"c")
                with pytest.raises(ConnectionError, match="there is no PUB/SUB connection"):
                    await station.lane.unsubscribe(b"a")
                if end == "crash":
                    server.start()
                await station.listener.is_restored(1)
                assert station.lane.is_usable
                assert (station.publish("a", 1), station.publish("b", 2), station.publish("c", 3)) == (
                    1,
                    1,
                    0,
                )
                assert await station.listener.heard(2) == [(b"a", b"1"), (b"b", b"2")]
                assert set(station.errors) == {"connection"}

        run(test())


def test_who_waits_for_a_confirmation_is_told_of_the_end() -> None:
    with RedisServer() as server:

        async def test() -> None:
            async with listening(server) as station:
                server.freeze()
                waiting = asyncio.gather(
                    *(station.lane.subscribe(channel) for channel in (b"a", b"b")), return_exceptions=True
                )
                await settle()
                server.kill()
                assert [type(error) for error in await waiting] == [ConnectionError] * 2

        run(test())


def test_a_frozen_server_is_noticed_and_taken_again_when_it_thaws() -> None:
    with RedisServer() as server:

        async def test() -> None:
            clock = FakeClock()
            async with listening(server, b"a", clock=clock) as station:
                server.freeze()
                waiting = asyncio.create_task(station.lane.subscribe(b"b"))
                await settle()
                clock.advance(4.25)
                with pytest.raises(TimeoutError, match="has not answered for 4 s"):
                    await waiting
                assert not station.lane.is_usable
                await settle()
                clock.advance(REDIS_PAUSE)
                server.thaw()
                await station.listener.is_restored(1)
                await until(lambda: station.publish("a", 1) == 1)

        run(test())


def test_a_start_that_can_not_subscribe_fails() -> None:
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*", "resetchannels", "&service")

        async def test() -> None:
            async with listening(server, user="u") as station:
                with pytest.raises(ConnectionError, match="refuses: NOPERM"):
                    await station.lane.subscribe(b"a")
                await station.lane.subscribe(b"service")
            clock = SystemClock(asyncio.get_running_loop())
            station = Station(server, clock, b"a", user="u")
            with pytest.raises(ConnectionError, match="refuses to subscribe: NOPERM"):
                await station.lane.start()
            assert station.errors == ["subscribe_channel"]
            await station.lane.close()
            server.command("ACL", "SETUSER", "u", "resetchannels")
            station = Station(server, clock, user="u")
            with pytest.raises(ConnectionError, match="refuses to subscribe: NOPERM"):
                await station.lane.start()
            assert station.errors == ["subscribe_shard_channel"]
            await station.lane.close()

        run(test())


def test_a_start_without_a_server_fails() -> None:
    with RedisServer() as server:
        pass

    async def test() -> None:
        station = Station(server, SystemClock(asyncio.get_running_loop()))
        with pytest.raises(ConnectionError, match="can not be reached"):
            await station.lane.start()
        assert station.errors == ["connection"]
        await station.lane.close()

    run(test())


def test_it_is_tried_again_after_each_pause_until_it_is_closed() -> None:
    with RedisServer() as server:

        async def test() -> None:
            clock = FakeClock()
            async with listening(server, b"a", clock=clock) as station:
                server.kill()
                await until(lambda: station.errors == ["connection"])
                for attempts in (2, 3, 4):
                    clock.advance(0.24)
                    await settle()
                    assert len(station.errors) == attempts - 1
                    clock.advance(0.01)
                    await until(partial(station.has_failed, attempts))
            await settle()
            assert clock.timers == 0

        run(test())


def test_nothing_comes_after_the_end(redis_server: RedisServer) -> None:
    async def test() -> None:
        async with listening(redis_server, b"a") as station:
            pass
        await settle()
        assert station.publish("a", 1) == 0
        assert (station.listener.messages, station.listener.restored) == ([], 0)

    run(test())


def test_a_wish_that_can_no_longer_be_sent_fails(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUBSCRIBE_BATCH", 1)

    async def test() -> None:
        async with listening(redis_server) as station:
            waiting = asyncio.gather(
                *(station.lane.subscribe(channel) for channel in (b"a", b"b")), return_exceptions=True
            )
            await asyncio.sleep(0)
            station.lane.restart("the test wants it")
            assert [str(error).rpartition(": ")[2] for error in await waiting] == ["the test wants it"] * 2

    run(test())


def test_no_more_wishes_wait_than_allowed(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDIS_REQUESTS", 2)

    async def test() -> None:
        async with listening(redis_server) as station:
            channels = (b"a", b"b", b"c")
            outcomes = await asyncio.gather(
                *(station.lane.subscribe(channel) for channel in channels), return_exceptions=True
            )
            assert [type(outcome) for outcome in outcomes] == [type(None), type(None), ConnectionError]
            await station.lane.subscribe(b"c")

    run(test())


def test_it_can_be_closed_while_it_is_made_again() -> None:
    with RedisServer() as server:

        async def test() -> None:
            async with listening(server, b"a") as station:
                server.command("CLIENT", "KILL", "TYPE", "pubsub")
                server.freeze()
                await until(lambda: not station.lane.is_usable)
                await pause(SystemClock(asyncio.get_running_loop()), 2 * REDIS_PAUSE)  # it waits for HELLO
                await station.lane.close()
                server.thaw()
            await until(lambda: server.command("PUBLISH", "a", 1) == 0)

        run(test())


# ---------------------------------------------------------------------- probes


async def live(clock: FakeClock, server: RedisServer, seconds: float) -> None:
    """Let time pass in steps, and the server answer pings in between."""
    for _ in range(int(seconds * 2)):
        clock.advance(0.5)
        await settle()
        server.command("PING")
        await settle()


def test_a_lane_that_hears_its_probe_is_left_alone(redis_server: RedisServer) -> None:
    async def test() -> None:
        clock = FakeClock()
        async with listening(redis_server, clock=clock) as station:
            before = station.lane.messages
            await live(clock, redis_server, PROBE_INTERVAL)
            await until(lambda: station.lane.messages == before + 1)
            await live(clock, redis_server, 2 * PROBE_INTERVAL)
            assert station.listener.messages == []  # the owner does not see it
            assert (station.listener.restored, station.errors) == (0, [])
            station.publish("service", "other")
            station.publish("a", PROBE)
            assert await station.listener.heard(1) == [(b"service", b"other")]

    run(test())


def test_a_lane_that_does_not_hear_its_probe_is_made_again(redis_server: RedisServer) -> None:
    async def test() -> None:
        clock = FakeClock()
        with RedisServer() as elsewhere:
            async with listening(redis_server, b"a", clock=clock) as station:
                others = Station(elsewhere, clock)
                await others.shard.start()
                # Commands go elsewhere, as after a failover that the lane has not noticed.
                station.shard._kept, others.shard._kept = others.shard._kept, station.shard._kept
                await live(clock, redis_server, 2 * PROBE_INTERVAL)
                await until(lambda: "probe_timeout" in station.errors)
                await live(clock, redis_server, 1.0)
                await station.listener.is_restored(1)
                assert station.errors == ["probe_timeout", "connection"]
                await others.shard.close()

    run(test())
