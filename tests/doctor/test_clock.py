"""The clock."""

import ctypes

import pytest

from centrifast.doctor.clock import Skew, check_clock, read_synchronised, skew_of
from centrifast.doctor.finding import Level

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [
        (NOW + 0.4, NOW + 0.5, 0.0),
        (NOW - 3, NOW + 4, 0.0),  # a slow answer tells nothing
        (NOW + 10.4, NOW + 10.6, 10.0),
        (NOW - 9.6, NOW - 9.4, -10.0),
    ],
)
def test_the_difference_is_that_beyond_what_is_not_known(before: float, after: float, seconds: float) -> None:
    skew = skew_of(DATE, before, after, "x")
    assert skew is not None
    assert skew.source == "x"
    assert skew.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT"])
def test_what_is_no_date_gives_no_difference(date: str) -> None:
    assert skew_of(date, NOW, NOW, "x") is None


@pytest.mark.parametrize(
    ("synchronised", "level"), [(True, Level.OK), (False, Level.WARN), (None, Level.UNKNOWN)]
)
def test_the_kernel_knows_whether_the_clock_is_kept_right(synchronised: bool | None, level: Level) -> None:
    (finding,) = check_clock(synchronised, [])
    assert finding.level is level
    assert (level is Level.WARN) == any("timedatectl set-ntp true" in mend for mend in finding.mend)


def test_more_than_two_seconds_are_a_warning() -> None:
    _, good, ahead, behind = check_clock(True, [Skew("a", -2), Skew("b", 90), Skew("c", -3)])
    assert good.level is Level.OK
    assert (ahead.check, ahead.level) == ("clock of b", Level.WARN)
    assert ahead.seen == "this machine is 1 minute 30 seconds ahead of it"
    assert behind.seen == "this machine is 3 seconds behind it"


def test_the_kernel_is_asked() -> None:
    assert read_synchronised() in (True, False, None)


def test_a_kernel_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def adjtimex(self, buffer: object) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Refusing())
    assert read_synchronised() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    assert read_synchronised() is None
