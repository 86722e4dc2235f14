"""The target of the patch encoder for a bounded time; tests/fuzz/mutate.py tells how to run it longer."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_fossil
from tests.fuzz.mutate import run

ROUNDS = 5_000  # about two seconds, most of it in the model


def test_damaged_payloads() -> None:
    run(fuzz_fossil.check, fuzz_fossil.SEEDS, rounds=ROUNDS)


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    fuzz_fossil.check(data)
