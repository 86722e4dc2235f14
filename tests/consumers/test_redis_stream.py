"""Entries of streams, with a real Redis."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from centrifast.config.schema_consumer import RedisStreamConsumerConfig, ValueDataMode
from centrifast.consumers import redis_stream
from centrifast.consumers.dispatch import read
from centrifast.consumers.stream_group import StreamGroup
from centrifast.engine.redis.contract import RedisError
from tests.api.node import FakeNode
from tests.consumers.running import add, crash, publication, published, started, stream_consumer, until
from tests.redis_servers import RedisServer
from tests.server.http_peer import run


def section(server: RedisServer, **options: Any) -> RedisStreamConsumerConfig:
    options = {"streams": ("jobs",), "consumer_group": "group", **options}
    return RedisStreamConsumerConfig(address=(server.address,), **options)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at what lies around all the time."""
    monkeypatch.setattr(redis_stream, "CONSUMER_LOOK", 0.01)
    monkeypatch.setattr(redis_stream, "CONSUMER_PAUSE", 0.001)


def owed(server: RedisServer) -> int:
    """Entries that are not acknowledged."""
    return int(server.command("XPENDING", "jobs", "group")[0])


def processed(node: FakeNode) -> int:
    return node.metrics.consumed.of("jobs").value


def test_entries_are_executed_in_order_and_acknowledged(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        consumer = await stream_consumer(node, section(redis_server, streams=("jobs", "more")))
        for number in range(200):
            add(redis_server, "jobs", publication(number))
            add(redis_server, "more", publication(number, "other"))
        async with started(consumer):
            await until(lambda: len(node.calls) >= 400)
            for number in range(200, 220):  # while it waits
                add(redis_server, "jobs", publication(number))
                await until(lambda: len(node.calls) > 200 + number)  # noqa: B023 - asked before the next turn
        assert (published(node), published(node, "other")) == (list(range(220)), list(range(200)))
        assert processed(node) == 420
        assert owed(redis_server) == 0
        assert redis_server.command("XINFO", "CONSUMERS", "jobs", "group") == []
        assert redis_server.command("XLEN", "jobs") == 220

    run(scenario())


def test_an_entry_may_name_its_method_beside_the_payload(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        names = {"payload_value": "body", "method_value": "verb"}
        async with started(await stream_consumer(node, section(redis_server, **names))):
            words = ("verb", "disconnect", "body", b'{"user":"u"}')
            redis_server.command("XADD", "jobs", "*", *words)
            redis_server.command(
                "XADD", "jobs", "*", "body", b'{"method":"unsubscribe","payload":{"user":"u"}}'
            )
            await until(lambda: len(node.calls) == 2)
        assert [call[0] for call in node.calls] == ["disconnect", "unsubscribe"]

    run(scenario())


def test_an_entry_may_be_a_publication(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        mode = ValueDataMode(enabled=True)
        async with started(await stream_consumer(node, section(redis_server, publication_data_mode=mode))):
            fields = {
                "centrifugo-channels": "a",
                "centrifugo-idempotency-key": "key",
                "centrifugo-tag-x": "y",
            }
            add(redis_server, "jobs", '{"n":1}', **fields)
            add(redis_server, "jobs", '{"n":2}', **{"centrifugo-channels": "a,b"})
            await until(lambda: len(node.calls) == 3)
        assert node.calls == [
            ("publish", "a", b'{"n":1}', {"idempotency_key": "key", "tags": {"x": "y"}}),
            ("publish", "a", b'{"n":2}', {}),
            ("publish", "b", b'{"n":2}', {}),
        ]

    run(scenario())


def test_garbage_is_acknowledged_and_said(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            redis_server.command("XADD", "jobs", "*", "other", "a")
            for payload in (b"", b"\xff", b"5", b"{}", publication(1, "nope:a")):
                add(redis_server, "jobs", payload)
            add(redis_server, "jobs", "{}", method="rpc")
            add(redis_server, "jobs", publication(0))
            await until(lambda: len(node.calls) == 1)
        assert processed(node) == 8
        assert owed(redis_server) == 0

    run(scenario())
    assert len(caplog.records) == 7
    assert caplog.records[0].fields["reason"] == "no field payload"  # type: ignore[attr-defined]


def test_several_workers_execute_side_by_side(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server, num_workers=3))):
            for number in range(5):
                add(redis_server, "jobs", publication(number, "slow:a"))
            await until(lambda: node.running == 3)
            assert owed(redis_server) == 3  # what nobody executes is for others
            node.opened.set()
            await until(lambda: len(node.calls) == 5)
        assert node.most_running == 3
        assert owed(redis_server) == 0

    run(scenario())


# ------------------------------------------------------------------------ failures


@pytest.mark.usefixtures("quick")
def test_what_fails_comes_again_and_holds_up_nothing(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = Recovering(failures=3)
        options = {"visibility_timeout": 0.02}
        async with started(await stream_consumer(node, section(redis_server, **options))):
            add(redis_server, "jobs", publication(0, "away:a"))
            add(redis_server, "jobs", publication(1))
            await until(lambda: processed(node) == 2)
        assert [call[1] for call in node.calls if call[1] != "away:a"] == ["news"]
        assert node.calls.index(("publish", "news", b'{"n": 1}', {})) <= 2
        assert len(node.calls) == 5
        assert node.metrics.consume_errors.of("jobs").value == 3
        assert owed(redis_server) == 0

    run(scenario())


class Recovering(FakeNode):
    """A node whose engine comes back after some calls."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def _reached(self, channel: str, *, only: str = "") -> str:
        if channel.startswith("away:"):
            self.failures -= 1
            if self.failures < 0:
                return "news"
        return super()._reached(channel, only=only)


@pytest.mark.usefixtures("quick")
def test_what_a_crash_left_is_executed_by_another_node(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        one, two = FakeNode(), FakeNode()
        first = await stream_consumer(one, section(redis_server))
        first.start()
        add(redis_server, "jobs", publication(0))
        add(redis_server, "jobs", publication(1, "slow:a"))
        await until(lambda: one.running == 1)
        await crash(first)
        two.opened.set()
        async with started(await stream_consumer(two, section(redis_server, visibility_timeout=0.1))):
            add(redis_server, "jobs", publication(2))
            await until(lambda: processed(two) == 2)
        assert (published(one), published(two), published(two, "slow:a")) == ([0], [2], [1])
        assert owed(redis_server) == 0

    run(scenario())


@pytest.mark.usefixtures("quick")
def test_an_entry_that_fails_for_ever_is_given_up(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "STREAM_DELIVERIES", 5)

    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server, visibility_timeout=0.1))):
            add(redis_server, "jobs", publication(0, "away:a"))
            while not caplog.records:
                add(redis_server, "jobs", publication(1))  # everything else works
                await asyncio.sleep(0.001)
        assert owed(redis_server) == 0
        assert len(published(node, "away:a")) >= 5

    run(scenario())
    (record,) = caplog.records
    assert record.fields == {  # type: ignore[attr-defined]
        "consumer": "jobs",
        "reason": "poison: delivered 6 times",
        "beginning": publication(0, "away:a"),
    }


@pytest.mark.usefixtures("quick")
def test_while_nothing_works_nothing_is_given_up(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "STREAM_DELIVERIES", 5)

    async def scenario() -> None:
        node = Recovering(failures=20)
        async with started(await stream_consumer(node, section(redis_server, visibility_timeout=0.01))):
            add(redis_server, "jobs", publication(0, "away:a"))
            await until(lambda: processed(node) == 1)
        assert len(node.calls) == 21
        assert owed(redis_server) == 0

    run(scenario())


@pytest.mark.usefixtures("quick")
def test_an_entry_that_kills_every_node_is_given_up(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "STREAM_DELIVERIES", 3)

    async def scenario() -> None:
        options = {"visibility_timeout": 0.01}
        for _ in range(3):
            node = FakeNode()
            victim = await stream_consumer(node, section(redis_server, **options))
            if not redis_server.command("XLEN", "jobs"):
                add(redis_server, "jobs", publication(0, "slow:killer"))
            victim.start()
            await until(lambda: node.running == 1)  # noqa: B023 - asked before the next turn
            await crash(victim)
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server, **options))):
            await until(lambda: processed(node) == 1)
        assert node.calls == []
        assert owed(redis_server) == 0

    run(scenario())
    assert caplog.records[-1].fields["reason"] == "poison: delivered 4 times"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick")
def test_what_is_still_being_executed_is_not_executed_again(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        options = {"visibility_timeout": 0.01, "num_workers": 2}
        async with started(await stream_consumer(node, section(redis_server, **options))):
            entry = add(redis_server, "jobs", publication(0, "slow:a"))
            await until(lambda: node.running)
            await until(lambda: redis_server.command("XPENDING", "jobs", "group", entry, entry, 1)[0][3] > 3)
            node.opened.set()
            await until(lambda: processed(node) == 1)
        assert len(node.calls) == 1

    run(scenario())


@pytest.mark.usefixtures("quick")
def test_an_entry_that_was_deleted_is_acknowledged(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        one, two = FakeNode(), FakeNode()
        first = await stream_consumer(one, section(redis_server))
        first.start()
        entry = add(redis_server, "jobs", publication(0, "slow:a"))
        await until(lambda: one.running == 1)
        await crash(first)
        redis_server.command("XDEL", "jobs", entry)
        async with started(await stream_consumer(two, section(redis_server, visibility_timeout=0.01))):
            await until(lambda: owed(redis_server) == 0)
        assert two.calls == []

    run(scenario())


# ------------------------------------------------------------------ stop and outage


def test_a_stop_finishes_what_it_was_given(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        consumer = await stream_consumer(node, section(redis_server))
        async with started(consumer):
            add(redis_server, "jobs", publication(0, "slow:a"))
            add(redis_server, "jobs", publication(1))
            await until(lambda: node.running == 1)
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.sleep(0)
            node.opened.set()
            await stopping
        assert [call[1] for call in node.calls] == ["slow:a"]
        assert owed(redis_server) == 0
        assert redis_server.command("XINFO", "GROUPS", "jobs")[0][11] == 1  # the lag

    run(scenario())


def test_nothing_lies_around_when_a_stop_comes_at_any_moment(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        total = 0
        for turns in range(60):
            node = FakeNode()
            consumer = await stream_consumer(node, section(redis_server))
            async with started(consumer):
                await until(lambda: redis_server.command("INFO", "clients").count(b"blocked_clients:1"))
                add(redis_server, "jobs", publication(turns))
                for _ in range(turns % 12):
                    await asyncio.sleep(0)
            total += len(node.calls)
            assert owed(redis_server) == 0
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            await until(lambda: total + len(node.calls) == 60)

    run(scenario())


@pytest.mark.usefixtures("quick")
def test_a_group_that_is_lost_is_made_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            for number, lose in enumerate(
                (("DEL", "jobs"), ("XGROUP", "DESTROY", "jobs", "group"), ("FLUSHALL",))
            ):
                add(redis_server, "jobs", publication(number))
                await until(lambda: len(node.calls) > number and owed(redis_server) == 0)  # noqa: B023
                redis_server.command(*lose)
            add(redis_server, "jobs", publication(3))
            await until(lambda: len(node.calls) == 4)
        assert published(node) == [0, 1, 2, 3]

    run(scenario())
    assert {record.getMessage() for record in caplog.records} == {"consumer group is gone, created again"}


@pytest.mark.usefixtures("quick")
def test_it_goes_on_when_redis_comes_back() -> None:
    async def scenario(server: RedisServer) -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(server))):
            for number in range(3):
                add(server, "jobs", publication(number))
                await until(lambda: len(node.calls) > number)  # noqa: B023 - asked before the next turn
                await asyncio.to_thread(server.restart)
            add(server, "jobs", publication(3))
            await until(lambda: len(node.calls) == 4)
        assert published(node) == [0, 1, 2, 3]

    with RedisServer() as server:
        run(scenario(server))


@pytest.mark.usefixtures("quick")
def test_what_was_executed_while_redis_went_away_is_only_acknowledged() -> None:
    async def scenario(server: RedisServer) -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(server, visibility_timeout=0.1))):
            add(server, "jobs", publication(0, "slow:a"))
            await until(lambda: node.running == 1)
            await asyncio.to_thread(server.kill)
            node.opened.set()
            await until(lambda: processed(node) == 1)
            await asyncio.to_thread(server.start)
            await until(lambda: owed(server) == 0)
        assert len(node.calls) == 1

    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        run(scenario(server))


@pytest.mark.usefixtures("quick")
def test_a_key_that_is_no_stream_is_said_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            redis_server.command("SET", "jobs", "text")
            await until(lambda: caplog.records)
            redis_server.command("DEL", "jobs")
            add(redis_server, "jobs", publication(0))
            await until(lambda: len(node.calls) == 1)

    run(scenario())
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == ["the queue of a consumer can not be read"]


def test_what_waits_is_shown(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        consumer = await stream_consumer(node, section(redis_server))
        for number in range(3):
            add(redis_server, "jobs", publication(number, "slow:a"))
        async with started(consumer):
            await until(lambda: node.metrics.queues)
            ((key, state),) = node.metrics.queues.items()
            assert key == ("jobs", redis_server.address, "jobs")
            assert state.lag is not None
            assert state.pending is not None
            assert state.lag + state.pending == 3
            node.opened.set()

    run(scenario())


def test_data_of_a_command_passes_byte_for_byte(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            add(redis_server, "jobs", json.dumps({"channel": "a", "data": {"x": [1]}}), method="publish")
            await until(lambda: node.calls)
        assert node.calls == [("publish", "a", b'{"x": [1]}', {})]

    run(scenario())


# ----------------------------------------------------------------------------- bugs


class Failing:
    """Fails the first time that it is called, and does what *original* does from then on."""

    def __init__(self, original: Any, error: Exception) -> None:
        self._original = original
        self._error = error
        self.has_failed = False

    def __get__(self, owner: Any, kind: Any) -> Any:
        return partial(self, owner)

    def __call__(self, *arguments: Any) -> Any:
        if not self.has_failed:
            self.has_failed = True
            raise self._error
        return self._original(*arguments)


def test_a_bug_of_the_reader_costs_one_step(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamGroup, "claim", Failing(StreamGroup.claim, ValueError("broken")))

    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            add(redis_server, "jobs", publication(0))
            await until(lambda: node.calls)

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["stream reader failed"]


@pytest.mark.usefixtures("quick")
def test_a_bug_of_a_worker_costs_one_delivery(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "read", Failing(read, ValueError("broken")))

    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server, visibility_timeout=0.01))):
            add(redis_server, "jobs", publication(0))
            await until(lambda: node.calls)
        assert owed(redis_server) == 0

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["stream entry failed"]


def test_what_ends_without_a_stop_tells_redis_nothing(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        consumer = await stream_consumer(node, section(redis_server, streams=("jobs", "more")))
        consumer.start()
        add(redis_server, "jobs", publication(0, "slow:a"))
        await until(lambda: node.running == 1)
        await until(lambda: redis_server.command("INFO", "clients").count(b"blocked_clients:1"))
        await consumer.close()
        assert owed(redis_server) == 1

    run(scenario())


def test_an_entry_that_was_deleted_is_acknowledged_at_a_stop(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            entry = add(redis_server, "jobs", publication(0, "away:a"))
            await until(lambda: node.metrics.consume_errors.of("jobs").value)
            redis_server.command("XDEL", "jobs", entry)
        assert owed(redis_server) == 0
        assert len(node.calls) == 1

    run(scenario())


@pytest.mark.usefixtures("quick")
def test_a_group_that_can_not_be_made_is_tried_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await stream_consumer(node, section(redis_server))):
            monkeypatch.setattr(StreamGroup, "create", Failing(StreamGroup.create, RedisError("OOM full")))
            redis_server.command("XGROUP", "DESTROY", "jobs", "group")
            add(redis_server, "jobs", publication(0))
            await until(lambda: node.calls)

    run(scenario())
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.fields["error"] == "OOM full"  # type: ignore[attr-defined]


def test_what_could_not_be_acknowledged_is_at_the_stop(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(StreamGroup.acknowledge, ConnectionError("gone"))
    monkeypatch.setattr(StreamGroup, "acknowledge", failing)

    async def scenario() -> None:
        node = FakeNode()
        consumer = await stream_consumer(node, section(redis_server))
        async with started(consumer):
            add(redis_server, "jobs", publication(0, "slow:a"))
            await until(lambda: node.running == 1)
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.sleep(0)
            node.opened.set()
            await stopping
        assert failing.has_failed
        assert len(node.calls) == 1
        assert owed(redis_server) == 0

    run(scenario())


def test_a_stop_while_redis_is_away_says_what_may_come_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: RedisServer) -> None:
        async with started(await stream_consumer(FakeNode(), section(server))):
            await asyncio.to_thread(server.kill)

    with RedisServer() as server:
        run(scenario(server))
    assert "entries may be executed again" in [record.getMessage() for record in caplog.records]
