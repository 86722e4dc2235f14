"""Commands from lists, with a real Redis."""

import asyncio
import json

import pytest
from redis.exceptions import OutOfMemoryError

from centrifast.config.schema_consumer import RedisListConsumerConfig
from centrifast.consumers import redis_list
from centrifast.consumers.redis_list import keys_of
from tests.api.node import FakeNode
from tests.consumers.running import crash, list_consumer, publication, published, push, started, until
from tests.redis_servers import RedisServer
from tests.server.http_peer import run


def section(server: RedisServer, **options: object) -> RedisListConsumerConfig:
    return RedisListConsumerConfig(address=(server.address,), **options)  # type: ignore[arg-type]


def left(server: RedisServer) -> dict[bytes, int]:
    """Keys that are left, and how long their lists are."""
    keys = server.command("KEYS", "*")
    return {key: server.command("LLEN", key) for key in keys}


def test_names_of_the_lists() -> None:
    assert keys_of(RedisListConsumerConfig()) == [b"centrifugo.api"]
    assert keys_of(RedisListConsumerConfig(prefix="p", num_shards=2)) == [b"p.api", b"p.api.0", b"p.api.1"]


def test_commands_are_executed_once_each_in_the_order_of_their_list(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        lists = {f"centrifugo.api{name}": f"channel{name}" for name in ("", ".0", ".1")}
        for key, channel in lists.items():
            push(redis_server, key, *(publication(number, channel) for number in range(500)))
        async with started(await list_consumer(node, section(redis_server, num_shards=2))):
            await until(lambda: len(node.calls) >= 1500)
            for key, channel in lists.items():  # while it waits
                push(redis_server, key, *(publication(number, channel) for number in range(500, 600)))
            await until(lambda: len(node.calls) >= 1800)
        for channel in lists.values():
            assert published(node, channel) == list(range(600))
        assert node.metrics.consumed.of("jobs").value == 1800
        assert left(redis_server) == {}

    run(scenario())


def test_what_arrives_while_it_waits_is_executed(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server))):
            for number in range(20):
                push(redis_server, "centrifugo.api", publication(number))
                await until(lambda: len(node.calls) > number)  # noqa: B023 - asked before the next turn
        assert published(node) == list(range(20))

    run(scenario())


def test_a_stop_leaves_what_was_not_executed(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        push(
            redis_server,
            "centrifugo.api",
            publication(0),
            publication(1, "slow:a"),
            publication(2),
            publication(3),
        )
        node = FakeNode()
        consumer = await list_consumer(node, section(redis_server))
        async with started(consumer):
            await until(lambda: node.running == 1)
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.sleep(0)
            node.opened.set()  # the command that is being executed is finished
            await stopping
        assert (published(node), published(node, "slow:a")) == ([0], [1])
        assert left(redis_server) == {b"centrifugo.api": 2}
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: len(node.calls) == 4)
        assert published(node) == [0, 2, 3]

    run(scenario())


def test_two_nodes_keep_the_order_when_one_hands_over(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        one, two = FakeNode(), FakeNode()
        push(redis_server, "centrifugo.api", *(publication(number) for number in range(3000)))
        second = await list_consumer(two, section(redis_server))
        async with started(await list_consumer(one, section(redis_server))):
            await until(lambda: one.calls)
            second.start()
            await until(lambda: len(one.calls) > 500)
        push(redis_server, "centrifugo.api", *(publication(number) for number in range(3000, 4000)))
        await until(lambda: len(one.calls) + len(two.calls) == 4000)
        await second.stop()
        await second.close()
        assert [*published(one), *published(two)] == list(range(4000))
        assert two.calls
        assert left(redis_server) == {}

    run(scenario())


def test_nodes_that_start_together_share_the_lists(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        nodes = [FakeNode() for _ in range(3)]
        readers = [await list_consumer(node, section(redis_server, num_shards=29)) for node in nodes]
        for reader in readers:
            reader.start()
        leases = [[one.lease for one in reader._readers] for reader in readers]
        await until(lambda: all(any(one.is_held for one in same) for same in zip(*leases, strict=True)))
        held = [sum(lease.is_held for lease in own) for own in leases]
        for reader in readers:
            await reader.stop()
            await reader.close()
        assert sum(held) == 30
        assert max(held) < 30  # by chance, it would be all in 1 of 1e13 cases

    run(scenario())


def test_a_crash_repeats_at_most_what_was_being_executed(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        commands = [publication(number) for number in range(100)]
        push(redis_server, "centrifugo.api", *commands[:50], publication(0, "slow:a"), *commands[50:])
        one, two = FakeNode(), FakeNode()
        first = await list_consumer(one, section(redis_server, batch_size=9))
        first.start()
        await until(lambda: one.running == 1)
        await crash(first)
        two.opened.set()
        redis_server.command("PEXPIRE", "{centrifugo.api}.reader", 1)  # else it is a wait of ten seconds
        async with started(await list_consumer(two, section(redis_server))):
            await until(lambda: len(two.calls) >= 51)
        assert published(one) == list(range(50))
        again = 50 - published(two)[0]
        assert 0 <= again <= 10
        assert published(two) == list(range(50 - again, 100))
        assert published(two, "slow:a") == [0]

    run(scenario())


def test_an_internal_error_holds_up_its_list_until_it_is_over(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        node = Recovering(failures=4)
        push(redis_server, "centrifugo.api", publication(0), publication(1, "away:a"), publication(2))
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: len(published(node)) == 2)
        assert [call[1] for call in node.calls] == ["news", *["away:a"] * 5, "news"]
        assert node.metrics.consume_errors.of("jobs").value == 4
        assert node.metrics.consumed.of("jobs").value == 3

    caplog.set_level("INFO")
    run(scenario())
    messages = [record.getMessage() for record in caplog.records if "list" in record.getMessage()]
    assert messages == ["a list waits for a command that fails", "a list goes on"]


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


def test_a_stop_does_not_wait_for_an_error_to_go_away(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        node = FakeNode()
        push(redis_server, "centrifugo.api", publication(0), publication(1, "away:a"), publication(2))
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: node.metrics.consume_errors.of("jobs").value > 1)
        assert redis_server.command("LRANGE", "centrifugo.api", 0, -1) == [
            publication(1, "away:a").encode(),
            publication(2).encode(),
        ]

    run(scenario())


def test_what_is_left_of_an_element_in_the_old_form_is_put_back(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        commands = [
            json.loads(publication(0)),
            5,
            json.loads(publication(1, "away:a")),
            json.loads(publication(2)),
        ]
        push(redis_server, "centrifugo.api", json.dumps({"data": commands}), publication(3))
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: node.metrics.consume_errors.of("jobs").value > 1)
        assert published(node) == [0]
        node = Recovering(failures=0)
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: len(node.calls) == 3)
        assert (published(node), published(node, "away:a")) == ([2, 3], [1])

    run(scenario())


def test_garbage_is_skipped(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        node = FakeNode()
        garbage = [
            b"",
            b"\xff",
            b"null",
            b"{}",
            b'{"method":"info","params":{}}',
            b'{"data":5}',
            b'{"data":[[]]}',
        ]
        push(redis_server, "centrifugo.api", *garbage, publication(1), *garbage, publication(2))
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: len(node.calls) == 2)
        assert published(node) == [1, 2]
        assert node.metrics.consumed.of("jobs").value == 2 + 2 * len(garbage)
        assert len(caplog.records) == 2 * len(garbage)

    run(scenario())


def test_a_key_that_is_no_list_is_said_once_and_costs_no_other(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_list, "CONSUMER_PAUSE", 0.001)
    monkeypatch.setattr(redis_list, "CONSUMER_LAST_RETRY", 0.002)

    async def scenario() -> None:
        redis_server.command("SET", "centrifugo.api", "text")
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server, num_shards=1))):
            push(redis_server, "centrifugo.api.0", *(publication(number) for number in range(100)))
            await until(lambda: len(node.calls) == 100)
            await until(lambda: caplog.records)
            redis_server.command("DEL", "centrifugo.api")
            push(redis_server, "centrifugo.api", publication(100))
            await until(lambda: len(node.calls) == 101)

    run(scenario())
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.fields["place"] == "centrifugo.api"  # type: ignore[attr-defined]
    assert str(record.fields["error"]).startswith("WRONGTYPE")  # type: ignore[attr-defined]


def test_it_goes_on_when_redis_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: RedisServer) -> None:
        node = FakeNode()
        push(server, "centrifugo.api", *(publication(number) for number in range(10)))
        async with started(await list_consumer(node, section(server))):
            await until(lambda: len(node.calls) == 10)
            await asyncio.to_thread(server.restart)
            push(server, "centrifugo.api", *(publication(number) for number in range(10, 20)))
            await until(lambda: len(node.calls) == 20)
        assert published(node) == list(range(20))

    with RedisServer() as server:
        run(scenario(server))


def test_a_redis_that_keeps_its_data_repeats_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: RedisServer) -> None:
        node = FakeNode()
        push(server, "centrifugo.api", *(publication(number) for number in range(5000)))
        async with started(await list_consumer(node, section(server, batch_size=9))):
            for part in (1, 2):
                await until(lambda: len(node.calls) > part * 1000)  # noqa: B023 - asked before the next turn
                await asyncio.to_thread(server.restart)
            await until(lambda: len(node.calls) >= 5000)
        assert published(node) == list(range(5000))

    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        run(scenario(server))


def test_the_length_of_each_list_is_shown(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        push(
            redis_server,
            "centrifugo.api",
            publication(0, "slow:a"),
            *(publication(number) for number in range(4)),
        )
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server, num_shards=1))):
            await until(lambda: len(node.metrics.queues) == 2)
            node.opened.set()
        lags = {key: state.lag for (_, _, key), state in node.metrics.queues.items()}
        assert lags == {"centrifugo.api": 5, "centrifugo.api.0": 0}

    run(scenario())


def test_a_bug_of_the_reader_costs_one_step(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_once(*args: object) -> object:
        monkeypatch.undo()
        raise ValueError("broken")

    monkeypatch.setattr(redis_list, "read", broken_once)

    async def scenario() -> None:
        push(redis_server, "centrifugo.api", publication(0))
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: len(node.calls) == 1)

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["list reader failed"]


def test_a_stop_may_come_between_the_commands_of_one_element(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        commands = [
            json.loads(publication(number, channel)) for number, channel in enumerate(("slow:a", "b", "c"))
        ]
        push(redis_server, "centrifugo.api", json.dumps({"data": commands}))
        node = FakeNode()
        consumer = await list_consumer(node, section(redis_server))
        async with started(consumer):
            await until(lambda: node.running == 1)
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.sleep(0)
            node.opened.set()
            await stopping
        assert [call[1] for call in node.calls] == ["slow:a"]
        (left_over,) = redis_server.command("LRANGE", "centrifugo.api", 0, -1)
        assert json.loads(left_over) == {"data": commands[1:]}

    run(scenario())


def test_the_lease_is_prolonged_while_a_command_takes_long(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_list, "LIST_LEASE", 0.01)  # only how often it is prolonged

    async def scenario() -> None:
        push(redis_server, "centrifugo.api", publication(0, "slow:a"))
        node = FakeNode()
        async with started(await list_consumer(node, section(redis_server))):
            await until(lambda: node.running == 1)
            redis_server.command("PEXPIRE", "{centrifugo.api}.reader", 5000)
            await until(lambda: redis_server.command("PTTL", "{centrifugo.api}.reader") > 5000)
            node.opened.set()
        assert left(redis_server) == {}

    run(scenario())


def test_a_reader_whose_lease_is_lost_executes_nothing_more(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_list, "LIST_LEASE", 0.01)  # only how soon the loss is noticed

    async def scenario() -> None:
        push(redis_server, "centrifugo.api", publication(0, "slow:a"), publication(1))
        node = FakeNode()
        consumer = await list_consumer(node, section(redis_server))
        async with started(consumer):
            await until(lambda: node.running == 1)
            redis_server.command("SET", "{centrifugo.api}.reader", "somebody:1")
            (reader,) = consumer._readers
            await until(lambda: not reader.lease.is_held)
            node.opened.set()
            await until(lambda: any(record.levelname == "ERROR" for record in caplog.records))
        assert [call[1] for call in node.calls] == ["slow:a"]
        assert redis_server.command("LLEN", "centrifugo.api") == 2

    run(scenario())
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.fields == {  # type: ignore[attr-defined]
        "consumer": "jobs",
        "list": "centrifugo.api",
        "commands": 1,
        "reason": "lease lost",
    }


def test_a_stop_while_redis_is_away_says_what_may_come_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: RedisServer) -> None:
        push(server, "centrifugo.api", publication(0, "slow:a"))
        node = FakeNode()
        consumer = await list_consumer(node, section(server))
        async with started(consumer):
            await until(lambda: node.running == 1)
            await asyncio.to_thread(server.kill)
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.sleep(0)
            node.opened.set()
            await stopping

    with RedisServer() as server:
        run(scenario(server))
    messages = [record.getMessage() for record in caplog.records]
    assert "executed commands could not be taken off a list and may be executed again" in messages


def test_what_ends_without_a_stop_tells_redis_nothing(redis_server: RedisServer) -> None:
    async def scenario() -> None:
        consumer = await list_consumer(FakeNode(), section(redis_server))
        consumer.start()
        await until(lambda: redis_server.command("INFO", "clients").count(b"blocked_clients:1"))
        await consumer.close()
        assert redis_server.command("KEYS", "*") == [b"{centrifugo.api}.reader"]

    run(scenario())


def test_a_redis_without_memory_left_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_list, "CONSUMER_LAST_RETRY", 0.01)

    async def scenario(server: RedisServer) -> None:
        push(server, "centrifugo.api", *(publication(number) for number in range(500)))
        server.command("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            push(server, "centrifugo.api", publication(500))
        node = FakeNode()
        async with started(await list_consumer(node, section(server))):
            await until(lambda: len(node.calls) == 500)
            server.command("CONFIG", "SET", "maxmemory", 0)
            push(server, "centrifugo.api", publication(500))
            await until(lambda: len(node.calls) == 501)
        assert published(node) == list(range(501))
        assert left(server) == {}

    with RedisServer() as server:
        run(scenario(server))
