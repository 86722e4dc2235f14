"""The HTTP target for a bounded time; tests/fuzz/mutate.py tells how to run it longer."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_http_head
from tests.fuzz.mutate import run


def test_damaged_requests() -> None:
    run(fuzz_http_head.check, fuzz_http_head.SEEDS, rounds=20_000)


@given(data=st.binary())
def test_arbitrary_bytes(data: bytes) -> None:
    fuzz_http_head.check(data)
