"""Numbers, times and foreign text in words."""

import pytest

from centrifast.doctor.wording import foreign, moment, number, size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a second"),
        (0.9, "less than a second"),
        (1, "1 second"),
        (-61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3 * 86_400 + 4 * 3600 + 5, "3 days 4 hours"),
        (3 * 86_400 + 5, "3 days"),
        (2 * 31_557_600, "2 years"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_moment_says_how_far_it_is() -> None:
    assert moment(0, 60) == "1970-01-01 00:00:00 UTC, 1 minute ago"
    assert moment(60, 0) == "1970-01-01 00:01:00 UTC, in 1 minute"
    assert moment(1e15, 0).startswith("in 31688087 years")
    assert moment(-1e300, 0).endswith("ago")


def test_numbers_and_sizes() -> None:
    assert number(1_048_576) == "1,048,576"
    assert [size(count) for count in (0, 1023, 1536, 1024**2, 3.5 * 1024**3, 5 * 1024**4)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "1 MiB",
        "3.5 GiB",
        "5.0 TiB",
    ]


def test_foreign_text_can_not_drive_the_terminal() -> None:
    assert foreign("a\n b\x1b[31m\u202e é") == r"a b\x1b[31m\u202e é"
    assert foreign("x" * 500) == "x" * 160 + "… (500 characters)"
