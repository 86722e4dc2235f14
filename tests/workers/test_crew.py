"""Workers that die, hang, do not start, are replaced, reconfigured, stopped; time is the test's."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from centrifast import limits, log
from centrifast.config.loader import LoadedConfig
from centrifast.server.listeners import ListenError
from centrifast.workers.crew import Crew, WorkersFailedError, signal_name
from centrifast.workers.messages import Ping, Reconfigure, ReopenLog
from centrifast.workers.process import ProcessOwner
from centrifast.workers.sockets import SocketSet, SocketSets
from tests.config.building import config_of
from tests.fakes import FakeClock
from tests.workers.fake_process import READY, FakeProcess

LOOK = limits.WORKER_PING_PERIOD
LOOKS_UNTIL_HUNG = int(limits.WORKER_HANG / LOOK) + 1


class Bench:
    """A crew whose processes the test plays."""

    def __init__(self, count: int = 3) -> None:
        self.clock = FakeClock()
        config = config_of({"http_server": {"address": "127.0.0.1", "port": 0}})
        self.loaded = LoadedConfig(config)
        self.sets = SocketSets(config)
        self.processes: list[FakeProcess] = []
        self.spawn_error: OSError | None = None
        self.crew = Crew(self.loaded, count, self.sets, self._spawn, self.clock)
        self.starting = asyncio.ensure_future(self.crew.start())

    def _spawn(
        self, owner: ProcessOwner, number: int, loaded: LoadedConfig, sockets: SocketSet
    ) -> FakeProcess:
        if self.spawn_error is not None:
            raise self.spawn_error
        process = FakeProcess(owner, number, loaded, sockets)
        self.processes.append(process)
        return process

    async def begin(self) -> None:
        """Start, and have everybody serve."""
        await turn()
        for process in self.processes:
            process.serve()
        assert await self.starting == READY

    def changed(self, option: str, value: object) -> LoadedConfig:
        return dataclasses.replace(self.loaded, config=config_of({option: value}))

    def close(self) -> None:
        self.crew.kill()
        for slot in self.crew._slots:
            self.sets.close(slot.sockets)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[Bench], Coroutine[Any, Any, None]], count: int = 3) -> None:
    async def main() -> None:
        bench = Bench(count)
        try:
            await test(bench)
        finally:
            bench.starting.cancel()
            bench.close()

    asyncio.run(main())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """Every event that is logged."""
    events: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(
        log, "event", lambda level, name, fields, exception=None: events.append((name, fields))
    )
    return events


# ------------------------------------------------------------------ start


def test_the_start_is_over_when_all_serve() -> None:
    async def test(bench: Bench) -> None:
        await turn()
        assert [process.number for process in bench.processes] == [1, 2, 3]
        for process in bench.processes:
            assert not bench.starting.done()
            process.serve()
            await turn()
        assert bench.starting.result() == READY

    run(test)


def test_each_has_sockets_of_its_own() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        fds = [process.sockets[0].socket.fileno() for process in bench.processes]
        assert len(set(fds)) == 3

    run(test)


def test_when_all_fail_at_start_that_is_the_end() -> None:
    async def test(bench: Bench) -> None:
        await turn()
        for process in bench.processes:
            assert not bench.starting.done()
            process.fail("the certificate is broken")
        with pytest.raises(WorkersFailedError, match="no worker can be started: the certificate is broken"):
            await bench.starting

    run(test)


def test_when_all_die_without_a_word_the_end_says_how() -> None:
    async def test(bench: Bench) -> None:
        await turn()
        for process in bench.processes:
            process.end(-9)
        with pytest.raises(WorkersFailedError, match="no worker can be started: SIGKILL"):
            await bench.starting

    run(test)


def test_when_no_process_can_be_made_that_is_the_end() -> None:
    async def test(bench: Bench) -> None:
        bench.spawn_error = OSError("too many processes")
        await turn()
        bench.clock.advance(0.0)
        with pytest.raises(WorkersFailedError, match="too many processes"):
            await bench.starting

    run(test)


def test_one_that_fails_at_start_is_tried_again() -> None:
    async def test(bench: Bench) -> None:
        await turn()
        first, second, third = bench.processes
        first.serve()
        second.fail("no luck")
        third.serve()
        assert not bench.starting.done()
        bench.clock.advance(0.1)
        bench.processes[3].serve()
        assert bench.processes[3].number == 2
        await bench.starting

    run(test)


def test_one_that_never_serves_is_killed() -> None:
    async def test(bench: Bench) -> None:
        await turn()
        bench.processes[0].serve()
        bench.clock.advance(limits.WORKER_START - LOOK)
        assert bench.processes[1].signals == []
        bench.clock.advance(LOOK)
        assert bench.processes[0].signals == []
        assert bench.processes[1].signals == ["kill"]

    run(test)


def test_a_port_that_is_taken_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_: SocketSets) -> None:
        raise ListenError("port 1 is already in use")

    monkeypatch.setattr(SocketSets, "check", taken)

    async def test(bench: Bench) -> None:
        with pytest.raises(ListenError, match="already in use"):
            await bench.starting
        assert bench.processes == []

    run(test)


# ------------------------------------------------------------------ death


def test_a_dead_worker_is_followed_by_another_later_each_time(
    lines: list[tuple[str, dict[str, object]]],
) -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        for number, delay in enumerate([0.1, 0.2, 0.4], 3):
            bench.processes[-1].end(-9)
            assert lines[-1] == (
                "worker ended, another one is started",
                {"worker": 3, "reason": "SIGKILL", "delay": delay},
            )
            bench.clock.advance(delay - 0.01)
            assert len(bench.processes) == number
            bench.clock.advance(0.01)
            assert len(bench.processes) == number + 1
            bench.processes[-1].serve()

    run(test)


def test_the_sockets_of_the_dead_close_while_others_serve() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        first, second, third = bench.processes
        first.end(1)
        assert first.sockets[0].socket.fileno() < 0
        second.end(1)
        third.end(1)
        assert second.sockets[0].socket.fileno() < 0
        assert third.sockets[0].socket.fileno() >= 0  # nobody else serves: who comes waits
        bench.clock.advance(0.1)
        assert bench.processes[5].sockets == third.sockets
        port = third.sockets[0].socket.getsockname()[1]
        assert bench.processes[3].sockets[0].socket.getsockname()[1] == port

    run(test)


def test_sockets_that_can_not_be_opened_again_are_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[0].end(1)

        def fails(_: SocketSets) -> SocketSet:
            raise ListenError("no descriptors")

        with monkeypatch.context() as patch:
            patch.setattr(SocketSets, "open", fails)
            bench.clock.advance(0.1)
        assert len(bench.processes) == 3
        bench.clock.advance(0.2)
        assert len(bench.processes) == 4

    run(test)


# ------------------------------------------------------------------ hanging


def test_who_does_not_answer_is_made_to_die_and_replaced() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        hung, *others = bench.processes
        hung.answers_pings = False
        for _ in range(LOOKS_UNTIL_HUNG - 1):
            bench.clock.advance(LOOK)
            assert hung.signals == []
        bench.clock.advance(LOOK)
        assert hung.signals == ["abort"]
        bench.clock.advance(limits.WORKER_ABORT)
        assert hung.signals == ["abort", "kill"]
        assert all(other.signals == [] for other in others)
        hung.end(-6)
        bench.clock.advance(0.1)
        assert bench.processes[-1].number == hung.number

    run(test)


def test_who_answers_late_lives_and_is_asked_one_question_at_a_time() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        slow = bench.processes[0]
        slow.answers_pings = False
        bench.clock.advance(LOOK * (LOOKS_UNTIL_HUNG - 1))
        assert sum(isinstance(order, Ping) for order in slow.told) == 1
        slow.answers_pings = True
        slow.tell(Ping())
        bench.clock.advance(LOOK * LOOKS_UNTIL_HUNG)
        assert slow.signals == []

    run(test)


def test_the_crew_answers_while_one_does() -> None:
    async def test(bench: Bench) -> None:
        assert not bench.crew.answers
        await bench.begin()
        assert bench.crew.answers
        for process in bench.processes[:2]:
            process.answers_pings = False
        bench.clock.advance(LOOK * (LOOKS_UNTIL_HUNG - 1))
        assert bench.crew.answers
        bench.processes[2].end(1)
        assert not bench.crew.answers

    run(test)


# ------------------------------------------------------------------ replacing


def test_each_leaves_only_when_the_next_one_serves() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        old = list(bench.processes)
        loaded = bench.changed("http_api.key", "new")
        replacing = asyncio.ensure_future(bench.crew.replace_all(loaded))
        for index, process in enumerate(old):
            await turn()
            following = bench.processes[3 + index]
            assert len(bench.processes) == 4 + index
            assert (following.number, following.sockets) == (process.number, process.sockets)
            assert following.config.http_api.key == "new"
            assert process.signals == []
            following.serve()
            await turn()
            assert process.signals == ["stop"]
            assert len(bench.processes) == 4 + index
            process.end(0)
        await replacing
        assert all(process.sockets[0].socket.fileno() >= 0 for process in old)

    run(test)


def test_one_that_does_not_come_up_ends_the_replacing() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.loaded))
        await turn()
        bench.processes[3].fail("another version is installed")
        with pytest.raises(WorkersFailedError, match="worker 1 could not be replaced: another version"):
            await replacing
        assert all(process.signals == [] for process in bench.processes[:3])
        bench.clock.advance(limits.WORKER_LAST_DELAY)
        assert len(bench.processes) == 4

    run(test)


def test_what_has_never_started_follows_nobody() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.changed("http_api.key", "bad")))
        await turn()
        bench.processes[3].fail("no start")
        with pytest.raises(WorkersFailedError):
            await replacing
        assert bench.crew.loaded is bench.loaded
        bench.processes[0].end(-9)
        bench.clock.advance(0.1)
        assert bench.processes[4].config == bench.loaded.config

    run(test)


def test_what_has_started_once_is_what_follows() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.changed("http_api.key", "new")))
        await turn()
        bench.processes[3].serve()
        bench.processes[0].end(0)
        await turn()
        bench.processes[4].fail("no luck")
        with pytest.raises(WorkersFailedError, match="worker 2"):
            await replacing
        bench.processes[1].end(-9)
        bench.clock.advance(0.1)
        assert bench.processes[5].config.http_api.key == "new"

    run(test)


def test_one_that_takes_too_long_to_leave_is_killed() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.loaded))
        await turn()
        bench.processes[3].serve()
        bench.clock.advance(bench.loaded.config.shutdown.timeout)
        assert bench.processes[0].signals == ["stop", "kill"]
        replacing.cancel()

    run(test)


def test_one_that_dies_while_it_is_replaced_is_followed_by_its_successor() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.loaded))
        await turn()
        bench.processes[0].end(-11)
        bench.clock.advance(limits.WORKER_LAST_DELAY)
        assert len(bench.processes) == 4
        bench.processes[3].serve()
        await turn()
        assert bench.processes[4].number == 2
        assert bench.processes[3].signals == []
        replacing.cancel()

    run(test)


def test_a_place_that_is_empty_is_filled_with_the_newest() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[0].end(1)
        replacing = asyncio.ensure_future(bench.crew.replace_all(bench.changed("http_api.key", "new")))
        await turn()
        assert bench.processes[3].number == 2
        bench.clock.advance(0.1)
        assert (bench.processes[4].number, bench.processes[4].config.http_api.key) == (1, "new")
        replacing.cancel()

    run(test)


# ------------------------------------------------------------------ reconfiguring


def test_all_go_over_to_a_configuration_and_so_do_those_that_follow() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        config = bench.changed("client.insecure", True).config
        await bench.crew.reconfigure(config)
        assert all(process.config == config for process in bench.processes)
        bench.processes[0].end(1)
        bench.clock.advance(0.1)
        assert bench.processes[3].config == config

    run(test)


def test_one_that_starts_meanwhile_goes_over_when_it_serves() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[0].end(1)
        bench.clock.advance(0.1)
        config = bench.changed("client.insecure", True).config
        waiting = asyncio.ensure_future(bench.crew.reconfigure(config))
        await turn()
        late = bench.processes[3]
        assert late.told == []
        assert not waiting.done()
        late.serve()
        assert late.config == config
        await waiting

    run(test)


@pytest.mark.parametrize("failure", ["a bug", None])
def test_one_that_can_not_is_replaced(failure: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("centrifast.workers.crew.WORKER_RECONFIGURE", 0.0)

    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[1].failure = failure
        await bench.crew.reconfigure(bench.changed("client.insecure", True).config)
        assert [process.signals for process in bench.processes] == [[], ["stop"], []]

    run(test)


def test_one_that_dies_meanwhile_is_not_waited_for() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[1].failure = None
        waiting = asyncio.ensure_future(bench.crew.reconfigure(bench.loaded.config))
        await turn()
        assert isinstance(bench.processes[1].told[-1], Reconfigure)
        bench.processes[1].end(-9)
        await waiting
        assert bench.processes[1].signals == []

    run(test)


def test_nobody_there_means_nobody_to_ask() -> None:
    async def test(bench: Bench) -> None:
        bench.starting.cancel()
        await bench.crew.reconfigure(bench.loaded.config)

    run(test)


def test_one_that_takes_long_to_start_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("centrifast.workers.crew.WORKER_RECONFIGURE", 0.0)

    async def test(bench: Bench) -> None:
        await turn()
        config = bench.changed("client.insecure", True).config
        await bench.crew.reconfigure(config)
        assert all(process.signals == [] for process in bench.processes)
        for process in bench.processes:
            process.serve()
            assert process.config == config

    run(test)


def test_all_open_their_log_again() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.crew.reopen_log()
        assert all(process.told[-1] == ReopenLog() for process in bench.processes)

    run(test)


# ------------------------------------------------------------------ stop


def test_a_stop_closes_the_port_and_waits_for_all() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        stopping = asyncio.ensure_future(bench.crew.stop())
        for process in bench.processes:
            await turn()
            assert process.sockets[0].socket.fileno() < 0
            assert process.signals == ["stop"]
            assert not stopping.done()
            process.end(0)
        await stopping
        bench.clock.advance(limits.WORKER_LAST_DELAY)
        assert len(bench.processes) == 3

    run(test)


def test_nobody_is_started_once_a_stop_has_begun() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.processes[0].end(1)
        stopping = asyncio.ensure_future(bench.crew.stop())
        await turn()
        bench.clock.advance(limits.WORKER_LAST_DELAY)
        assert len(bench.processes) == 3
        bench.processes[1].end(-9)
        bench.processes[2].end(0)
        await stopping

    run(test)


def test_all_can_be_ended_at_once() -> None:
    async def test(bench: Bench) -> None:
        await bench.begin()
        bench.crew.kill()
        assert all(process.signals == ["kill", "join"] for process in bench.processes)

    run(test)


def test_signals_have_names() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(99) == "signal 99"
