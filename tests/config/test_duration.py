"""Durations in Go's syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.config.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("25s", 25),
        ("-1s", -1),
        ("+1s", 1),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5.s", 5),
        ("300ms", 0.3),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("10μs", 1e-5),
        ("7ns", 7e-9),
        ("0.1ns", 0),
        ("720h", 2592000),
    ],
)
def test_text_means_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "1 s", "1d", "--1s", "1s-1s", ".s", "1,5s", "٣s"])
def test_anything_else_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="write a number with a unit"):
        parse_duration(text)


def test_what_does_not_fit_in_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration("2562048h")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (25, "25s"),
        (60, "1m0s"),
        (604800, "168h0m0s"),
        (2592000, "720h0m0s"),
        (0.3, "300ms"),
        (1.5, "1.5s"),
        (0.0015, "1.5ms"),
        (1e-6, "1µs"),
        (5e-9, "5ns"),
        (-90, "-1m30s"),
        (3600.25, "1h0m0.25s"),
    ],
)
def test_seconds_are_written_as_go_does(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(-(10**15), 10**15))
def test_what_is_written_reads_back(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds / 1e9)) == pytest.approx(nanoseconds / 1e9, abs=1e-9)
