import json
from typing import Any

import pytest
from centrifast_loadgen import compare

FIRST: dict[str, Any] = {
    "connections": 10,
    "deliveries_per_s": 1000.0,
    "lost": 0,
    "rss": None,
    "complete": True,
    "latency_us": {"p50": 200, "p99": 400},
    "reasons": {"odd": 1},
    "settings": {"rate": 5.0, "protocol": "json"},
    "storm": {"waves": [{"seconds": 2.0}]},
}
SECOND = {
    **FIRST,
    "deliveries_per_s": 2500.0,
    "lost": 3,
    "latency_us": {"p50": 202, "p99": 800},
    "settings": {"rate": 5.0, "protocol": "protobuf"},
    "storm": {"waves": [{"seconds": 1.0}]},
}


def rows(table: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}


def test_figures_stand_side_by_side_with_their_ratio_and_the_better_one() -> None:
    found = rows(compare.as_table(FIRST, SECOND, ("a.json", "b.json")))
    assert found["deliveries_per_s"] == ["1,000.000", "2,500.000", "2.50", "b.json"]
    assert found["latency_us.p99"] == ["400", "800", "2.00", "a.json"]
    assert found["lost"] == ["0", "3", "-", "a.json"]
    assert found["storm.waves.1.seconds"] == ["2.000", "1.000", "0.50", "b.json"]


def test_a_small_difference_is_none_and_what_is_no_merit_gets_no_verdict() -> None:
    found = rows(compare.as_table(FIRST, SECOND, ("a", "b")))
    assert found["latency_us.p50"][-1] == "equal"
    assert found["complete"] == ["yes", "yes", "1.00", "equal"]
    assert found["connections"] == ["10", "10", "1.00"]


def test_what_only_one_has_is_left_out() -> None:
    table = compare.as_table({**FIRST, "pings": 4}, SECOND, ("a", "b"))
    assert not {"pings", "rss", "reasons.odd"} & set(rows(table))


def test_settings_that_differ_are_told() -> None:
    table = compare.as_table(FIRST, SECOND, ("a", "b"))
    assert "protocol: json / protobuf" in table
    assert "rate" not in table.split("settings that differ")[1]
    assert "settings that differ" not in compare.as_table(FIRST, FIRST, ("a", "b"))


@pytest.mark.parametrize("text", ["", "x", "[]", "{}"])
def test_what_is_no_output_of_a_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the output of a run with --json"):
        compare.load(text)


def test_a_line_of_a_run_is_read() -> None:
    assert compare.load(json.dumps(FIRST)) == FIRST
