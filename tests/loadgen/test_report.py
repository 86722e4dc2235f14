import json
from dataclasses import replace
from typing import Any

import pytest
from centrifast_loadgen._board import HISTOGRAM_BUCKETS, histogram_bucket
from centrifast_loadgen.report import Latency, Report

GOOD = Report(connections=10, processes=1, connected=10, published=2, delivered=20, expected=20, seconds=1.0)


@pytest.mark.parametrize(
    "fault",
    [
        {"connected": 9},
        {"failed": 1},
        {"closed": 1},
        {"publish_errors": 1},
        {"lost": 1},
        {"surplus": 1},
        {"delivered": 19},
        {"delivered": 21},
    ],
)
def test_any_fault_makes_a_run_incomplete(fault: dict[str, Any]) -> None:
    assert GOOD.complete
    report = replace(GOOD, **fault)
    assert not report.complete
    assert "INCOMPLETE" in report.as_table()
    assert report.as_dict()["complete"] is False


def test_the_table_shows_what_was_measured_and_nothing_else() -> None:
    assert "server CPU" not in GOOD.as_table()
    measured = replace(GOOD, connect_cpu_us=1.0, rss_per_connection=2048.0, rss=1 << 20, delivery_cpu_us=0.5)
    table = measured.as_table()
    assert "2.00 KiB of 1.0 MiB" in table
    assert "0.500 us" in table


def test_a_run_that_only_connects_shows_no_deliveries() -> None:
    assert "delivered" not in Report(connections=1, processes=1, connected=1).as_table()


def test_reasons_of_failures_are_shown() -> None:
    assert "Connection refused" in replace(GOOD, reasons={"Connection refused": 3}).as_table()


def test_json_has_plain_values() -> None:
    values = json.loads(json.dumps(GOOD.as_dict()))
    assert values["latency_us"]["p50"] == 0
    assert values["complete"] is True


def test_no_quantile_exceeds_the_maximum() -> None:
    buckets = [0] * HISTOGRAM_BUCKETS
    buckets[histogram_bucket(1_000_001)] = 1
    assert Latency.of(buckets, 1_000_001) == Latency(*[1_000_001] * 5)
