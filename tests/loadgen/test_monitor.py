import os

import pytest
from centrifast_loadgen._board import Counter
from centrifast_loadgen.monitor import Monitor, Shares, describe, warnings

from tests.loadgen.test_client import new_board


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        (Shares(1.0, 0.3, 0.1, (0.95, 0.2)), "1 of 2 workers used 95% of a core"),
        (Shares(1.0, None, 0.1, (0.95,)), "1 of 1 workers"),
        (Shares(1.0, 0.3, 0.93, (0.1,)), "publishing used 93% of a core"),
        (Shares(1.0, 0.1, 0.4, (0.8, 0.7)), "1.90 of its 2 cores"),
    ],
)
def test_a_load_generator_that_was_the_limit_says_so(shares: Shares, text: str) -> None:
    assert text in warnings(shares, cores=2)[0]


@pytest.mark.parametrize(
    "shares", [Shares(1.0, 0.5, 0.1, (0.3, 0.3)), Shares(1.0, None, 0.1, (0.5,)), Shares()]
)
def test_a_load_generator_with_time_to_spare_says_nothing(
    monkeypatch: pytest.MonkeyPatch, shares: Shares
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert warnings(shares, cores=2) == []


def test_a_server_at_its_limit_is_what_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert warnings(Shares(1.0, 0.99, 0.1, (0.95,), 0.99), cores=2) == []


def test_a_server_of_many_processes_is_at_its_limit_when_one_of_them_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert warnings(Shares(1.0, 1.6, 0.1, (0.95,), 0.4), cores=2)
    assert not warnings(Shares(1.0, 1.6, 0.1, (0.95,), 0.95), cores=2)


def test_a_machine_that_both_fill_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert "each took from the other" in warnings(Shares(1.0, 0.99, 0.1, (0.85,), 0.99), cores=2)[0]


def test_samples_hold_totals_and_the_latencies_of_the_interval() -> None:
    board, lines = new_board(), list[str]()
    shard = board.shard(0)
    monitor = Monitor(board, os.getpid(), [os.getpid()], lines.append)
    shard.add(Counter.OPEN, 3)
    shard.scan(b"#t=0#", 5_000_000)
    monitor.tick("testing", force=True)
    (sample,) = monitor.series.samples
    assert (sample.connections, sample.delivered, sample.missing) == (3, 1, 0)
    assert 5000 <= sample.p50_us <= 5100
    assert sample.rss_bytes > 0
    assert lines[0].startswith("testing · 3 connected")
    assert "p50 5.1 p99 5.1 ms" in lines[0]


def test_looking_again_at_once_costs_no_sample() -> None:
    monitor = Monitor(new_board(), 0, [], lambda text: None)
    monitor.tick()
    monitor.tick()
    monitor.tick(force=True)  # too close to the one before to be one of its own
    assert len(monitor.series) == 1


def test_cpu_is_measured_from_a_mark() -> None:
    monitor = Monitor(new_board(), os.getpid(), [os.getpid()], lambda text: None)
    mark = monitor.mark()
    end = os.times().user + 0.05
    while os.times().user < end:
        pass
    shares = monitor.since(mark)
    assert shares.server is not None
    assert 0 < shares.busiest < 2
    assert shares.server > 0
    assert shares.loadgen == shares.coordinator + shares.workers[0]


def test_a_progress_line_says_what_is_lost() -> None:
    board = new_board()
    monitor = Monitor(board, 0, [], lambda text: None)
    board.shard(0).scan(b"#t=0#", 1000)
    board.shard(0).add(Counter.MISSING, 7)
    board.shard(0).add(Counter.CLOSED, 2)
    monitor.tick(force=True)
    assert "7 missing · 2 closed" in describe(monitor.series, "x")


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        (Shares(1.0, 0.3, 0.1, (0.3,), 0.3, machine=1.95), True),
        (Shares(1.0, None, 0.1, (0.3,), machine=1.95), True),
        (Shares(1.0, 0.3, 0.1, (0.3,), 0.3, machine=1.2), False),
        (Shares(1.0, 0.8, 0.2, (0.7,), 0.8, machine=1.81), False),
    ],
)
def test_a_machine_busy_with_others_is_told(
    monkeypatch: pytest.MonkeyPatch, shares: Shares, told: bool
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert any("this machine was busy" in warning for warning in warnings(shares, cores=2)) == told
