"""How many connections may be accepted in which time."""

import pytest

from centrifast.server.pace import PACE_INTERVAL, Pace
from tests.fakes import FakeClock


def accept_for(seconds: float, rate: float, late: float = 0.0) -> list[int]:
    """How many were accepted at each look, with always more who wait and looks that come *late* seconds after time."""
    clock = FakeClock()
    pace = Pace(rate, clock)
    end = clock.monotonic() + seconds
    groups = []
    while clock.monotonic() < end:
        group = 0
        while not (wait := pace.wait()):
            pace.count()
            group += 1
        groups.append(group)
        clock.advance(wait + late)
    return groups


@pytest.mark.parametrize("rate", [0.5, 1, 7, 50, 333, 1000, 20_000])
def test_as_many_are_accepted_as_the_rate_says(rate: float) -> None:
    seconds = 100.0
    groups = accept_for(seconds, rate)
    assert sum(groups) == pytest.approx(seconds * rate, abs=2 + 2 * PACE_INTERVAL * rate)
    assert max(groups) <= 1 + 2 * PACE_INTERVAL * rate


def test_looks_that_come_late_do_not_lower_the_rate() -> None:
    assert sum(accept_for(100.0, 1000, late=0.9 * PACE_INTERVAL)) == pytest.approx(100_000, rel=0.01)


def test_nobody_waits_for_less_than_an_interval_or_longer_than_for_one_connection() -> None:
    for rate, longest in ((1000, PACE_INTERVAL), (4, 0.25)):
        pace = Pace(rate, FakeClock())
        while not (wait := pace.wait()):
            pace.count()
        assert wait == pytest.approx(longest)


def test_time_without_arrivals_saves_up_no_more_than_two_intervals() -> None:
    clock = FakeClock()
    pace = Pace(1000, clock)
    clock.advance(3600)
    group = 0
    while not pace.wait():
        pace.count()
        group += 1
    assert group == 2 * PACE_INTERVAL * 1000


def test_without_a_rate_nobody_waits() -> None:
    clock = FakeClock()
    pace = Pace(0, clock)
    for _ in range(10_000):
        assert pace.wait() == 0
        pace.count()
