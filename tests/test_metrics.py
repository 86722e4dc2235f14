"""Tallies and histograms; tests for ``_metrics.pyx``."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast._metrics import FRAME_TYPES, Histogram, Tally, now, quantiles_of

WINDOW = 600.0


def test_a_tally_goes_up_and_down() -> None:
    tally = Tally()
    tally.add()
    tally.add(5)
    tally.add(-2)
    assert tally.value == 4


def test_kinds_of_messages_are_those_of_the_specification() -> None:
    assert len(FRAME_TYPES) == len(set(FRAME_TYPES)) == 23
    assert (FRAME_TYPES[0], FRAME_TYPES[1], FRAME_TYPES[22]) == ("server_ping", "client_pong", "unknown")


def test_an_amount_counts_at_its_bound_and_above() -> None:
    histogram = Histogram((0.1, 1.0))
    for amount in (0.05, 0.1, 0.5, 1.0, 7.0):
        histogram.observe(amount)
    assert histogram.cumulative() == [2, 4, 5]
    assert histogram.sum == pytest.approx(8.65)


@pytest.mark.parametrize("amount", [-1.0, math.nan])
def test_what_is_no_amount_counts_as_nothing(amount: float) -> None:
    histogram = Histogram((0.1,), windowed=True)
    histogram.observe(amount, 10.0)
    assert (histogram.cumulative(), histogram.sum) == ([1, 1], 0.0)
    assert histogram.quantiles((0.5,), 10.0)[0] < 1e-7


def test_bounds_must_rise() -> None:
    with pytest.raises(ValueError, match="bounds must rise"):
        Histogram((1.0, 1.0))


def test_there_may_be_no_bound() -> None:
    histogram = Histogram(())
    histogram.observe(1.0)
    assert histogram.cumulative() == [1]


def test_time_passed_is_observed_in_seconds() -> None:
    histogram = Histogram((1000.0,))
    histogram.observe_since(now() - 500.0)
    assert histogram.sum == pytest.approx(500.0, abs=60)
    histogram.observe_age(0)
    assert histogram.cumulative() == [1, 2]  # 1970 is longer ago


def test_the_future_is_as_far_away_as_the_past() -> None:
    histogram = Histogram((1.0,))
    histogram.observe_age(2**62)
    assert histogram.cumulative() == [0, 1]


def test_without_observations_there_are_no_quantiles() -> None:
    assert all(map(math.isnan, Histogram((1.0,), windowed=True).quantiles((0.5, 0.99))))
    plain = Histogram((1.0,))
    plain.observe(1.0)
    assert all(map(math.isnan, plain.quantiles((0.5, 0.99))))


@given(amounts=st.lists(st.floats(1e-6, 250.0), min_size=1, max_size=200))
def test_quantiles_are_exact_to_one_part_in_thirty_two(amounts: list[float]) -> None:
    histogram = Histogram((), windowed=True)
    for amount in amounts:
        histogram.observe(amount, 1.0)
    wanted = (0.0, 0.5, 0.99, 0.999, 1.0)
    ranked = sorted(amounts)
    found = histogram.quantiles(wanted, 1.0)
    for fraction, quantile in zip(wanted, found, strict=True):
        exact = ranked[max(math.ceil(fraction * len(ranked)), 1) - 1] if fraction else ranked[0]
        if fraction:
            assert quantile == pytest.approx(exact, rel=1 / 32 + 1e-6, abs=64e-9)
    assert all(low <= high for low, high in pairwise(found))


def test_what_is_longer_than_the_longest_counts_as_that() -> None:
    histogram = Histogram((), windowed=True)
    histogram.observe(1e9, 1.0)
    assert histogram.quantiles((1.0,), 1.0)[0] == pytest.approx(274, rel=1 / 32)
    assert histogram.sum == 1e9


def test_quantiles_forget_what_is_older_than_ten_minutes() -> None:
    histogram = Histogram((), windowed=True)
    histogram.observe(1.0, 1000.0)
    for minute in range(1, 8):
        histogram.observe(0.001, 1000.0 + 60 * minute)
        assert histogram.quantiles((1.0,), 1000.0 + 60 * minute)[0] == pytest.approx(1.0, rel=1 / 32)
    assert histogram.quantiles((1.0,), 1000.0 + WINDOW)[0] == pytest.approx(0.001, rel=1 / 32)
    assert histogram.cumulative() == [8], "totals are for ever"


def test_after_a_long_silence_nothing_old_is_left() -> None:
    histogram = Histogram((), windowed=True)
    histogram.observe(1.0, 1000.0)
    assert math.isnan(histogram.quantiles((0.5,), 1e6)[0])
    histogram.observe(0.5, 1e6)
    histogram.observe(0.5, 1e6 + WINDOW / 2)
    assert histogram.quantiles((1.0,), 1e6 + WINDOW / 2)[0] == pytest.approx(0.5, rel=1 / 32)


def test_several_histograms_have_common_quantiles() -> None:
    short, long, silent = (Histogram((), windowed=True) for _ in range(3))
    for _ in range(3):
        short.observe(0.001, 1.0)
    long.observe(1.0, 1.0)
    assert quantiles_of([short, long, silent], (0.5, 0.99), 1.0) == pytest.approx([0.001, 1.0], rel=1 / 32)
    assert all(map(math.isnan, quantiles_of([], (0.5,))))
