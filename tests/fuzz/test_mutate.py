import random

import pytest

from tests.fuzz.mutate import mutate, run

SEEDS = [b"one seed", b"another", b""]


def test_the_same_seed_damages_in_the_same_way() -> None:
    first, second = random.Random(7), random.Random(7)
    assert [mutate(b"data", SEEDS, first) for _ in range(50)] == [
        mutate(b"data", SEEDS, second) for _ in range(50)
    ]


def test_seeds_come_first_and_as_they_are() -> None:
    seen: list[bytes] = []
    assert run(seen.append, SEEDS, rounds=20) == len(seen) == 23
    assert seen[:3] == SEEDS


def test_without_rounds_the_time_decides() -> None:
    assert run(lambda data: None, SEEDS, seconds=0) == 3


def test_a_failure_shows_its_input() -> None:
    def check(data: bytes) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken") as caught:
        run(check, SEEDS, rounds=1)
    assert caught.value.__notes__ == ["input: b'one seed'"]
