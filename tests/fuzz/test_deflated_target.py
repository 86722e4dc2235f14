"""The target of deflated frames for a bounded time; tests/fuzz/mutate.py tells how to run it longer."""

from tests.fuzz.fuzz_deflated_frame import SEEDS, Target
from tests.fuzz.mutate import run

ROUNDS = 1500  # each opens two connections


def test_damaged_deflated_frames() -> None:
    with Target() as target:
        run(target.check, SEEDS, rounds=ROUNDS)
