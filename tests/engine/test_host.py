"""Several workers at one engine: who hears what, and what is left of one that is gone."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from centrifast import log
from centrifast.engine.contract import Engine, HistoryOptions, PublishOptions
from centrifast.engine.host import EngineHost, at_once
from centrifast.engine.link import Link
from centrifast.engine.messages import Call, Called
from centrifast.engine.shared import EngineLink, SharedBroker, SharedPresence
from centrifast.model import ClientInfo
from tests.contract.test_broker import Recorder
from tests.engine.linked import join, memory_engine
from tests.fakes import FakeClock

KEPT = PublishOptions(HistoryOptions(5, 60.0, 600.0))
ANN = ClientInfo("ann", "a1", b"{}")
BOB = ClientInfo("bob", "b1")


class Worker:
    """What a worker has: both halves of the engine, and a note of what it was told."""

    def __init__(self) -> None:
        self.events = Recorder()
        self.lost = asyncio.Event()
        self.link = EngineLink(FakeClock(), self.lost.set)
        self.broker, self.presence = SharedBroker(self.link), SharedPresence(self.link)

    async def call(self, name: str, data: bytes) -> Sequence[bytes]:
        """Have all others carry it out; their answers."""
        called: Called = await self.link.ask(lambda number: Call(number, name, data))
        return called.answers

    async def settle(self) -> None:
        """Wait until everything said to this worker so far has arrived."""
        await self.presence.stats("nowhere")


class Bench:
    """A supervisor and two workers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.engine: Engine = memory_engine(self.clock)
        self.host = EngineHost(self.engine)
        self.one, self.two = Worker(), Worker()

    async def __aenter__(self) -> "Bench":
        await self.host.start()
        for worker in (self.one, self.two):
            await join(self.host, worker.link)
            await worker.broker.start(worker.events)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.one.link.close()
        self.two.link.close()
        await self.host.close()

    async def kill(self, worker: Worker) -> None:
        """End a worker's link without a word."""
        assert worker.link._link is not None
        worker.link._link.abort()
        await worker.lost.wait()
        other = self.two if worker is self.one else self.one
        await other.settle()
        await other.settle()


def run(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await test(bench)

    asyncio.run(main())


def test_a_publication_reaches_each_worker_that_wants_it_once() -> None:
    async def test(bench: Bench) -> None:
        await bench.one.broker.subscribe("news")
        await bench.two.broker.subscribe("news")
        await bench.two.broker.subscribe("news")
        result = await bench.one.broker.publish("news", b"1", KEPT)
        await bench.two.settle()
        assert bench.one.events.publications == bench.two.events.publications
        [(channel, publication, position)] = bench.two.events.publications
        assert (channel, publication.data, position) == ("news", b"1", result.position)

    run(test)


def test_who_does_not_want_a_channel_hears_nothing_of_it() -> None:
    async def test(bench: Bench) -> None:
        await bench.one.broker.subscribe("news")
        await bench.two.broker.subscribe("news")
        await bench.two.broker.unsubscribe("news")
        await bench.two.broker.publish("news", b"1", KEPT)
        await bench.one.settle()
        assert bench.one.events.data() == [b"1"]
        assert bench.two.events.data() == []

    run(test)


def test_publications_of_two_workers_have_one_order() -> None:
    async def test(bench: Bench) -> None:
        await bench.one.broker.subscribe("news")
        await bench.two.broker.subscribe("news")
        await asyncio.gather(
            *(
                worker.broker.publish("news", b"x", KEPT)
                for _ in range(50)
                for worker in (bench.one, bench.two)
            )
        )
        await bench.one.settle()
        await bench.two.settle()
        assert bench.one.events.offsets() == bench.two.events.offsets() == list(range(1, 101))

    run(test)


def test_history_and_presence_are_those_of_all() -> None:
    async def test(bench: Bench) -> None:
        await bench.one.broker.publish("news", b"1", KEPT)
        await bench.one.presence.add("news", ANN)
        await bench.two.presence.add("news", BOB)
        assert await bench.two.presence.presence("news") == {"a1": ANN, "b1": BOB}
        assert (await bench.two.presence.stats("news")).num_clients == 2

    run(test)


def test_a_worker_that_is_gone_leaves_nothing_behind() -> None:
    async def test(bench: Bench) -> None:
        await bench.one.broker.subscribe("news")
        await bench.two.broker.subscribe("news")
        await bench.two.broker.subscribe("sport")
        await bench.two.presence.add("news", BOB)
        await bench.two.presence.add("sport", BOB)
        await bench.two.presence.remove("sport", BOB.client, BOB.user)
        await bench.one.presence.add("news", ANN)
        await bench.two.broker.publish_join("news", BOB)
        await bench.two.broker.publish_join("sport", BOB)
        await bench.two.broker.publish_leave("sport", BOB)
        await bench.kill(bench.two)
        assert await bench.one.presence.presence("news") == {"a1": ANN}
        assert bench.one.events.comings == [("join", "news", BOB), ("leave", "news", BOB)]
        assert set(bench.host._subscribed) == {"news"}
        assert bench.engine.broker._subscribed == {"news"}  # type: ignore[attr-defined]

    run(test)


def test_what_a_worker_held_is_logged_when_it_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    async def test(bench: Bench) -> None:
        for channel in ("news", "sport"):
            await bench.two.broker.subscribe(channel)
        await bench.two.presence.add("news", BOB)
        await bench.kill(bench.two)

    with caplog.at_level(log.DEBUG, "centrifast"):
        run(test)
    record = next(each for each in caplog.records if each.message == "worker link closed")
    assert record.__dict__["fields"] == {"channels": 2, "presence": 1}


def test_while_one_does_not_keep_up_nobody_is_read() -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.host._workers
        bench.host.on_crowded(first, True)
        bench.host.on_crowded(second, True)
        asked = asyncio.ensure_future(bench.one.presence.stats("news"))
        for _ in range(5):
            await asyncio.sleep(0)
        bench.host.on_crowded(first, False)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asked.done()
        bench.host.on_crowded(second, False)
        assert (await asked).num_clients == 0

    run(test)


def test_a_worker_that_goes_while_it_does_not_keep_up_lets_the_others_go_on() -> None:
    async def test(bench: Bench) -> None:
        _, second = bench.host._workers
        bench.host.on_crowded(second, True)
        second.abort()
        assert (await bench.one.presence.stats("news")).num_clients == 0

    run(test)


class Calls:
    """Answers with its name once it may."""

    def __init__(self, name: bytes, *, at_once: bool = True) -> None:
        self.name = name
        self.asked: list[tuple[str, bytes]] = []
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        if at_once:
            self.may_answer.set()

    async def on_call(self, name: str, data: bytes) -> bytes:
        self.asked.append((name, data))
        self.was_asked.set()
        await self.may_answer.wait()
        return self.name


def test_a_call_is_carried_out_by_all_others_and_answered_by_them() -> None:
    async def test(bench: Bench) -> None:
        three = Worker()
        await join(bench.host, three.link)
        calls = {b"one": bench.one, b"two": bench.two, b"three": three}
        carried_out = {name: Calls(name) for name in calls}
        for name, worker in calls.items():
            worker.link.take_calls(carried_out[name])
        answers = await bench.one.call("disconnect", b"42")
        assert sorted(answers) == [b"three", b"two"]
        assert carried_out[b"two"].asked == carried_out[b"three"].asked == [("disconnect", b"42")]
        assert carried_out[b"one"].asked == []
        three.link.close()

    run(test)


def test_who_is_alone_is_answered_by_nobody() -> None:
    async def test(bench: Bench) -> None:
        await bench.kill(bench.two)
        assert await bench.one.call("info", b"") == []

    run(test)


def test_who_does_not_take_calls_does_not_answer() -> None:
    async def test(bench: Bench) -> None:
        assert await bench.one.call("info", b"") == []

    run(test)


def test_a_worker_that_goes_while_it_is_asked_is_not_waited_for() -> None:
    async def test(bench: Bench) -> None:
        calls = Calls(b"two", at_once=False)
        bench.two.link.take_calls(calls)
        asked = asyncio.ensure_future(bench.one.call("info", b""))
        await calls.was_asked.wait()
        await bench.kill(bench.two)
        assert await asked == []
        assert bench.host._calls == {}

    run(test)


def test_a_caller_that_goes_is_not_answered() -> None:
    async def test(bench: Bench) -> None:
        calls = Calls(b"two", at_once=False)
        bench.two.link.take_calls(calls)
        asked = asyncio.ensure_future(bench.one.call("info", b""))
        await calls.was_asked.wait()
        await bench.kill(bench.one)
        with pytest.raises(ConnectionError):
            await asked
        calls.may_answer.set()
        await bench.two.settle()
        await bench.two.settle()
        assert bench.host._calls == {}

    run(test)


def test_two_workers_may_call_each_other() -> None:
    async def test(bench: Bench) -> None:
        bench.one.link.take_calls(Calls(b"one"))
        bench.two.link.take_calls(Calls(b"two"))
        one, two = await asyncio.gather(bench.one.call("a", b""), bench.two.call("b", b""))
        assert (list(one), list(two)) == ([b"two"], [b"one"])

    run(test)


def test_the_end_of_the_host_is_the_end_of_the_links() -> None:
    async def test(bench: Bench) -> None:
        await bench.host.close()
        await bench.one.lost.wait()
        await bench.two.lost.wait()
        assert isinstance(bench.host.protocol(), Link)

    run(test)


def test_an_engine_that_waits_is_a_mistake() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="can not be shared"):
        at_once(waits())
