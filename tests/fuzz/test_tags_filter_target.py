"""The target of tags filters for a bounded time; tests/fuzz/mutate.py tells how to run it longer."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_tags_filter
from tests.fuzz.mutate import ROUNDS_IN_CI, run


def test_damaged_filters_and_tags() -> None:
    run(fuzz_tags_filter.check, fuzz_tags_filter.SEEDS, rounds=ROUNDS_IN_CI)


@given(data=st.binary())
def test_arbitrary_bytes(data: bytes) -> None:
    fuzz_tags_filter.check(data)
