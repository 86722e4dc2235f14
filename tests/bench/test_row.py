"""How figures are shown and judged."""

import pytest

from bench._row import NONE, Bound, Unit, figure_of
from tests.bench.questions import QUESTION


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [
        (Unit(), 6_393_327.6, "6,390,000"),
        (Unit(), 152_188.5, "152,000"),
        (Unit(), 9_996.0, "10,000"),
        (Unit(), 0.0, "0"),
        (Unit(), 7.0, "7"),
        (Unit("µs"), 5.967, "5.97 µs"),
        (Unit("µs"), 75.04, "75.0 µs"),
        (Unit("ms", 1e-3), 1501.0, "1.50 ms"),
        (Unit("KiB"), 0.034, "0.0340 KiB"),
        (Unit("ms"), 265.2, "265 ms"),
        (Unit("cores"), 0.105, "0.105 cores"),
    ],
)
def test_three_digits_are_shown(unit: Unit, value: float, shown: str) -> None:
    assert unit.show(value) == shown


@pytest.mark.parametrize(
    ("bound", "value", "ratio", "is_met"),
    [
        (Bound(10), 10.0, None, True),
        (Bound(10), 9.9, None, False),
        (Bound(10, is_upper=True), 10.0, None, True),
        (Bound(10, is_upper=True), 10.1, None, False),
        (Bound(0.9, of_floor=True), 1.0, 0.95, True),
        (Bound(0.9, of_floor=True), 1.0, 0.85, False),
        (Bound(1.1, is_upper=True, of_floor=True), 5.0, 1.05, True),
        (Bound(1.1, is_upper=True, of_floor=True), 0.5, 1.15, False),
        (Bound(0.9, of_floor=True), 1.0, None, False),
        (Bound(10, is_upper=True), None, None, False),
    ],
)
def test_a_bound_is_of_the_figure_or_of_its_ratio(
    bound: Bound, value: float | None, ratio: float | None, is_met: bool
) -> None:
    assert bound.is_met(value, ratio) is is_met


@pytest.mark.parametrize(
    ("bound", "unit", "shown"),
    [
        (Bound(3_000_000), Unit(), "≥ 3,000,000"),
        (Bound(5000, is_upper=True), Unit("ms", 1e-3), "≤ 5 ms"),
        (Bound(0.92, of_floor=True), Unit("µs"), "≥ 0.92 × floor"),
        (NONE, Unit("s"), "none"),
        (Bound(0.15, is_upper=True), Unit("cores"), "≤ 0.15 cores"),
    ],
)
def test_a_bound_is_shown_whole(bound: Bound, unit: Unit, shown: str) -> None:
    assert bound.show(unit) == shown


@pytest.mark.parametrize(
    ("rounds", "quick", "options"),
    [
        (0, False, ["--rounds", "2"]),
        (7, False, ["--rounds", "7"]),
        (0, True, ["--connections", "5", "--rounds", "1"]),
        (7, True, ["--connections", "5", "--rounds", "7"]),
    ],
)
def test_rounds_are_the_questions_own_unless_wished(rounds: int, quick: bool, options: list[str]) -> None:
    assert QUESTION.command(rounds, quick) == ["tests.bench.answering", *options]


def test_a_question_takes_its_seconds_for_each_round() -> None:
    assert QUESTION.expected_seconds() == 2
    assert QUESTION.expected_seconds(rounds=10) == 10


@pytest.mark.parametrize(("path", "value"), [("a", 1.5), ("b.c", 2.0), ("b.d", None)])
def test_a_dot_leads_into_an_object(path: str, value: float | None) -> None:
    assert figure_of({"a": 1.5, "b": {"c": 2, "d": None}}, path) == value
