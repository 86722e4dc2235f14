"""Metrics of several processes as one."""

import math

import msgspec
import pytest

from centrifast._core import Drain
from centrifast.metrics import registry
from centrifast.metrics.collector import Collected, Collector, Population
from centrifast.metrics.exposition import Distribution, Row, Spread, write
from centrifast.metrics.metrics import Metrics
from centrifast.metrics.registry import Family
from centrifast.metrics.summing import Value, decode, encode, summed
from tests.fakes import FakeClock

NAN = math.nan


def value_of(processes: list[list[Collected]], family: Family, labels: tuple[str | int, ...] = ()) -> Value:
    found = dict(summed(processes))
    return {row.labels: row.value for row in found[family]}[labels]


def processes(family: Family, *values: Value) -> list[list[Collected]]:
    return [[(family, [Row(value)])] for value in values]


@pytest.mark.parametrize(
    ("family", "values", "expected"),
    [
        (registry.CLIENTS, (1, 2, 3), 6),
        (registry.CONNECTION_LIMIT, (5, 0), 5),
        (registry.RESIDENT_MEMORY, (10, 20), 30),
        (registry.DESCRIPTOR_LIMIT, (1024, 1024), 2048),
        (registry.BUILD, (1, 1, 1), 1),
        (registry.NODES, (1, 1), 1),
        (registry.QUEUE_LAG, (7, 9), 9),
        (registry.QUEUE_PENDING_AGE, (0.5, 0.25), 0.5),
        (registry.START_TIME, (200.5, 100.5, 300), 100.5),
    ],
)
def test_numbers(family: Family, values: tuple[float, ...], expected: float) -> None:
    assert value_of(processes(family, *values), family) == expected


def test_histograms_add_up_bucket_by_bucket() -> None:
    one, two = Distribution((0.1, 1.0), [1, 2, 4], 3.5), Distribution((0.1, 1.0), [0, 5, 5], 2.0)
    added = value_of(processes(registry.LOOP_LAG, one, two), registry.LOOP_LAG)
    assert added == Distribution((0.1, 1.0), [1, 7, 9], 5.5)


def test_of_quantiles_the_highest_is_shown() -> None:
    one, two, idle = Spread([1, 2, NAN], 10, 4.5), Spread([3, 1, NAN], 2, 0.5), Spread([NAN] * 3, 0, 0)
    added = value_of(processes(registry.COMMANDS, idle, one, idle, two), registry.COMMANDS)
    assert isinstance(added, Spread)
    assert (added.quantiles[:2], added.count, added.sum) == ([3, 2], 12, 5.0)
    assert math.isnan(added.quantiles[2])


def test_rows_with_other_labels_stay_apart() -> None:
    one: list[Collected] = [(registry.SERVER_DISCONNECTS, [Row(1, (3000,)), Row(2, (3008,))])]
    two: list[Collected] = [(registry.SERVER_DISCONNECTS, [Row(4, (3008,)), Row(8, ("unknown",))])]
    [(_, rows)] = summed([one, two])
    assert {row.labels: row.value for row in rows} == {(3000,): 1, (3008,): 6, ("unknown",): 8}


def test_one_process_is_left_as_it_is() -> None:
    assert summed([[(registry.CLIENTS, [Row(3)])]]) == [(registry.CLIENTS, [Row(3)])]


def test_everything_a_process_collects_travels() -> None:
    metrics = Metrics(recovered_publications=True)
    metrics.api_errors.of("http", "publish", 102).add()
    metrics.commands[1].observe(0.25)
    collector = Collector(metrics, [], Drain(lambda _: None, 1 << 20), Population, FakeClock())
    collected = collector.collect()
    assert write(decode(encode(collected))) == write(collected)
    assert write(summed([collected, decode(encode(collected))])).count(b"\n") == write(collected).count(b"\n")


def test_what_is_not_understood_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b"\xc1")
    with pytest.raises(KeyError):
        decode(msgspec.msgpack.encode([("centrifugo_of_another_version", [])]))
