from dataclasses import replace

import pytest
from centrifast_loadgen.series import LIMIT, Sample, Series, merge
from hypothesis import given
from hypothesis import strategies as st

ZERO = Sample(0.0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0)


def filled(count: int, limit: int = LIMIT) -> Series:
    series = Series(limit)
    for index in range(count):
        series.append(replace(ZERO, seconds=float(index), delivered=10 * index, p99_us=index % 7))
    return series


@given(st.integers(1, 3000), st.sampled_from([4, 10, 600]))
def test_a_series_is_bounded_and_keeps_its_ends(count: int, limit: int) -> None:
    series = filled(count, limit)
    assert len(series) < limit
    assert series.samples[0].seconds == 0
    assert series.samples[-1].seconds == count - 1
    assert [sample.seconds for sample in series] == sorted(sample.seconds for sample in series)


def test_halving_tells_to_sample_half_as_often() -> None:
    series = Series(4)
    assert [series.append(replace(ZERO, seconds=float(index))) for index in range(4)] == [False] * 3 + [True]
    assert series.step == 2


def test_rates_are_the_same_after_halving() -> None:
    assert {rate for _, rate in filled(1000, 10).rates(lambda sample: sample.delivered)} == {10.0}


def test_a_total_that_falls_has_no_negative_rate() -> None:
    series = Series()
    series.append(replace(ZERO, delivered=5))
    series.append(replace(ZERO, seconds=1.0, delivered=3))
    assert series.rates(lambda sample: sample.delivered) == [(1.0, 0.0)]


def test_no_time_has_no_rate() -> None:
    series = Series()
    series.append(ZERO)
    series.append(ZERO)
    assert series.rates(lambda sample: sample.delivered) == []


def test_merging_keeps_the_worse_latency_and_the_later_totals() -> None:
    earlier = replace(ZERO, p50_us=5, p99_us=90, delivered=1, rss_bytes=8, seconds=1.0)
    later = replace(ZERO, p50_us=7, p99_us=10, delivered=4, rss_bytes=6, seconds=2.0)
    assert merge(earlier, later) == replace(later, p99_us=90, rss_bytes=8)


def test_a_peak_survives_any_number_of_halvings() -> None:
    series = Series(6)
    for index in range(500):
        series.append(replace(ZERO, seconds=float(index), p99_us=9999 if index == 123 else 1))
    assert max(sample.p99_us for sample in series) == 9999


def test_values_are_pairs_with_time() -> None:
    assert filled(3).values(lambda sample: sample.delivered) == [(0.0, 0), (1.0, 10), (2.0, 20)]


@pytest.mark.parametrize("count", [599, 600, 601, 1199])
def test_never_more_than_600_points(count: int) -> None:
    assert len(filled(count)) <= 600
