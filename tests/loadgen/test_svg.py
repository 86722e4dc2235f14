import math
from xml.etree import ElementTree as ET

import pytest
from centrifast_loadgen._board import HISTOGRAM_BUCKETS, histogram_bucket
from centrifast_loadgen.svg import (
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Line,
    Scale,
    format_count,
    format_mib,
    format_percent,
    format_seconds,
    format_us,
    histogram_chart,
    line_chart,
    linear_ticks,
    log_ticks,
    octave_bins,
)
from hypothesis import given
from hypothesis import strategies as st


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 7, [0, 2, 4, 6]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (3, 3, [3]),
        (0, 160_000, [0, 50_000, 100_000, 150_000]),
        (0, 0.03, [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03]),
    ],
)
def test_linear_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert linear_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e9))
def test_linear_ticks_are_few_and_inside(low: float, width: float) -> None:
    ticks = linear_ticks(low, low + width)
    assert 2 <= len(ticks) <= 8
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1, 10, [1, 2, 5, 10]),
        (30, 400, [50, 100, 200]),
        (1, 1e5, [1, 10, 100, 1000, 10_000, 100_000]),
    ],
)
def test_logarithmic_ticks_are_powers_of_ten_and_some_between(
    low: float, high: float, ticks: list[float]
) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_a_linear_scale_keeps_to_its_ends() -> None:
    scale = Scale(10, 20, 100, 200)
    assert [scale(value) for value in (5, 10, 15, 20, 99)] == [100, 100, 150, 200, 200]


def test_a_logarithmic_scale_gives_every_decade_the_same_room() -> None:
    scale = Scale(1, 1000, 0, 300, log=True)
    assert [scale(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 100, 200, 300])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_count(0), "0"),
        (format_count(999), "999"),
        (format_count(1500), "1.5k"),
        (format_count(2_500_000), "2.5M"),
        (format_us(250), "250 µs"),
        (format_us(1500), "1.5 ms"),
        (format_us(2e6), "2 s"),
        (format_mib(57.25), "57.2 MiB"),
        (format_mib(2048), "2 GiB"),
        (format_percent(0.25), "25%"),
        (format_seconds(45), "45 s"),
        (format_seconds(600), "10 min"),
        (format_seconds(7200), "2 h"),
    ],
)
def test_values_have_units_that_fit(text: str, expected: str) -> None:
    assert text == expected


def test_a_chart_tells_what_it_shows_to_who_can_not_see_it() -> None:
    svg = line_chart("rate", "Rate <fast>", [Line("a & b", [(0, 1), (1, 4), (2, 3)])], format_count)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "rate-title rate-desc"
    assert root.findtext("title") == "Rate <fast>"
    assert root.findtext("desc") == "Rate <fast> over 2 s. a & b from 1 to 4, last 3."


def test_every_line_of_a_chart_is_drawn_inside_and_named() -> None:
    lines = [Line("one", [(0, 10), (5, 20)]), Line("two", [(0, 0), (5, 5)])]
    svg = line_chart("c", "t", lines, format_count)
    root = ET.fromstring(svg)
    assert {"one", "two", "time since the start"} <= set(texts(svg))
    drawn = root.findall("polyline")
    assert [line.get("class") for line in drawn] == ["line-0", "line-1"]
    for line in drawn:
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert LEFT <= x <= WIDTH - RIGHT
            assert 0 <= y <= HEIGHT


def test_a_logarithmic_chart_leaves_out_what_has_no_logarithm() -> None:
    svg = line_chart("c", "t", [Line("p50", [(0, 0), (1, 100), (2, 10_000)])], format_us, log=True)
    (line,) = ET.fromstring(svg).findall("polyline")
    assert len((line.get("points") or "").split()) == 2
    assert {"100 µs", "1 ms", "10 ms"} <= set(texts(svg))


def test_one_point_is_a_dot() -> None:
    assert ET.fromstring(line_chart("c", "t", [Line("a", [(1, 1)])], format_count)).find("circle") is not None


@pytest.mark.parametrize("lines", [[], [Line("a", [])], [Line("a", [(0, 0), (1, 0)])]])
def test_nothing_is_shown_as_no_data(lines: list[Line]) -> None:
    assert texts(line_chart("c", "t", lines, format_us, log=True)) == ["no data"]


def test_a_flat_line_at_0_has_an_axis() -> None:
    assert texts(line_chart("c", "t", [Line("a", [(0, 0), (1, 0)])], format_count))[:6] == list("012345")


def test_bins_hold_every_value_once() -> None:
    buckets = [0] * HISTOGRAM_BUCKETS
    for us in (0, 1, 100, 101, 5000, 2**31):
        buckets[histogram_bucket(us)] += 1
    bins = octave_bins(buckets)
    assert sum(count for *_, count in bins) == 6
    assert all(math.isclose(high / low, 2 ** (1 / 4)) for low, high, _ in bins)
    assert bins == sorted(bins)


def test_a_histogram_has_a_bar_per_bin_with_its_count() -> None:
    buckets = [0] * HISTOGRAM_BUCKETS
    buckets[histogram_bucket(1000)], buckets[histogram_bucket(64_000)] = 40, 2
    svg = histogram_chart("h", "Latencies", "deliveries", buckets)
    bars = ET.fromstring(svg).findall("rect")
    assert [(bar.findtext("title") or "").split(": ")[1] for bar in bars] == ["40", "2"]
    assert {"deliveries", "latency", "1", "10", "10 ms"} <= set(texts(svg))
    assert "42 values" in (ET.fromstring(svg).findtext("desc") or "")


def test_an_empty_histogram_is_shown_as_no_data() -> None:
    assert texts(histogram_chart("h", "t", "x", [0] * HISTOGRAM_BUCKETS)) == ["no data"]
