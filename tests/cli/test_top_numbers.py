"""Rates out of counters, sums out of processes, and what happens when one of them begins anew."""

import pytest

from centrifast.cli.top_numbers import MOST_SAMPLES, Meter, Rates, rates_between
from tests.cli.snapshots import later, node

FIRST = node()
SECOND = later(
    FIRST,
    2.0,
    messages_sent=400,
    bytes_sent=8000,
    messages_received=20,
    bytes_received=600,
    publications=6,
    cpu_seconds=1.0,
)
RATES = Rates(200, 10, 4000, 300, 3, 0.5)


def test_rates_are_per_second_of_the_servers_own_time() -> None:
    assert rates_between(FIRST, SECOND) == RATES


def test_a_process_that_was_not_there_has_no_rates() -> None:
    assert rates_between(None, FIRST) is None


def test_counters_that_have_begun_anew_make_no_rate() -> None:
    assert rates_between(SECOND, later(SECOND, messages_sent=-1)) is None
    assert rates_between(SECOND, {**SECOND, "uptime": 0.5}) is None
    assert rates_between(SECOND, SECOND) is None


def test_all_processes_are_summed_and_the_worst_latency_counts() -> None:
    meter = Meter()
    other = node(
        "u2", name="web-0", loop_lag={"p50": 0.001, "p99": 0.002, "p999": 0.003}, open_descriptors=-1
    )
    assert meter.read([FIRST, other]).total.rates is None
    view = meter.read([SECOND, later(other, 2.0, publications=2)])
    assert [row.name for row in view.rows] == ["web-0", "web-1"]
    assert view.total.rates == Rates(200, 10, 4000, 300, 4, 0.5)
    assert view.total.numbers["num_clients"] == 24_600
    assert view.total.numbers["open_descriptors"] == 12_345
    assert view.total.latencies["loop_lag"] == {"p50": 0.001, "p99": 0.0021, "p999": 0.034}
    assert view.time == SECOND["time"]


def test_a_restarted_process_does_not_spoil_the_others() -> None:
    meter = Meter()
    meter.read([FIRST, node("u2")])
    view = meter.read([SECOND, node("u3")])
    assert [row.rates for row in view.rows] == [RATES, None]
    assert view.total.rates == RATES


def test_the_slowest_of_all_processes_come_first() -> None:
    slow = [{"client": str(number), "user": "u", "bytes": number} for number in (5, 3, 9)]
    view = Meter().read([node(slow=slow[:2]), node("u2", slow=slow[2:])], most_slow=2)
    assert [client.bytes for client in view.slow] == [9, 5]


@pytest.mark.parametrize(("interval", "samples"), [(1.0, 60), (0.1, MOST_SAMPLES), (30.0, 2), (600.0, 2)])
def test_the_last_minute_is_remembered(interval: float, samples: int) -> None:
    meter = Meter(interval)
    snapshot = FIRST
    for _ in range(150):
        snapshot = later(snapshot, publications=1)
        view = meter.read([snapshot])
    assert len(view.minute) == samples


def test_nobody_there_is_a_view_of_nothing() -> None:
    view = Meter().read([])
    assert (view.rows, view.time, view.total.numbers["num_clients"]) == ([], 0.0, 0)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(KeyError):
        Meter().read([{"name": "web-1"}])
