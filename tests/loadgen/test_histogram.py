import math

from centrifast_loadgen._board import HISTOGRAM_BUCKETS, histogram_bucket
from centrifast_loadgen.histogram import SUB_BUCKETS, bucket_limit, quantile
from hypothesis import given
from hypothesis import strategies as st

LARGEST_US = 2**32 - 1
microseconds = st.integers(0, LARGEST_US)


def filled(values: list[int]) -> list[int]:
    buckets = [0] * HISTOGRAM_BUCKETS
    for value in values:
        buckets[histogram_bucket(value)] += 1
    return buckets


@given(microseconds)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    bucket = histogram_bucket(value)
    assert bucket_limit(bucket - 1) < value <= bucket_limit(bucket) if bucket else value == 0


@given(microseconds)
def test_a_bucket_is_at_most_a_64th_of_its_values_wide(value: int) -> None:
    bucket = histogram_bucket(value)
    assert bucket_limit(bucket) - value <= value / SUB_BUCKETS


def test_the_buckets_cover_exactly_the_values() -> None:
    assert histogram_bucket(0) == 0
    assert histogram_bucket(LARGEST_US) == HISTOGRAM_BUCKETS - 1
    assert bucket_limit(HISTOGRAM_BUCKETS - 1) == LARGEST_US


def test_values_outside_the_range_go_to_its_ends() -> None:
    assert histogram_bucket(-5) == 0
    assert histogram_bucket(2**62) == HISTOGRAM_BUCKETS - 1


@given(st.lists(microseconds, min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_a_quantile_is_at_most_a_64th_too_large_and_never_too_small(values: list[int], q: float) -> None:
    true = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = quantile(filled(values), q)
    assert true <= found <= true * (1 + 1 / SUB_BUCKETS)


def test_the_quantile_of_nothing_is_0() -> None:
    assert quantile([0] * HISTOGRAM_BUCKETS, 0.99) == 0


@given(st.lists(microseconds, min_size=1, max_size=200))
def test_the_largest_quantile_is_in_the_bucket_of_the_maximum(values: list[int]) -> None:
    assert histogram_bucket(quantile(filled(values), 1.0)) == histogram_bucket(max(values))
