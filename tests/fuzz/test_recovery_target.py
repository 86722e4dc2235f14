"""The target of the recovery decisions for a bounded time; tests/fuzz/mutate.py tells how to run it longer."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_recovery
from tests.fuzz.mutate import run

ROUNDS = 50_000  # about a second


def test_damaged_histories() -> None:
    run(fuzz_recovery.check, fuzz_recovery.SEEDS, rounds=ROUNDS)


@given(data=st.lists(st.integers(0, 63), max_size=40).map(bytes))
def test_arbitrary_histories(data: bytes) -> None:
    fuzz_recovery.check(data)
