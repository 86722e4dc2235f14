"""Result files: what is kept of an answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import _results
from bench._harness import BenchError
from bench._results import Document
from bench._row import Row
from tests.bench.questions import FIGURES, MEMORY, PROVENANCE, QUESTION, SPEED


def document(**figures: object) -> Document:
    reported = {"question": "answering", "rounds": 2, **FIGURES, **figures}
    return _results.document(QUESTION, reported, PROVENANCE, 2, QUESTION.command())


def test_a_file_says_what_was_measured_how_and_where() -> None:
    answer = document()
    assert list(answer) == [
        "question", "command", "rounds", "ok", "rows", "figures", "date", "commit", "is_clean", "machine",
        "busy_share",
    ]  # fmt: skip
    assert answer["command"] == "python -m tests.bench.answering --rounds 2"
    assert answer["figures"] == FIGURES
    assert answer["machine"]["cores"] == 2
    assert answer["rows"][0] == {
        "row": "speed: deliveries/s",
        "figure": "per_s",
        "value": 152_188.5,
        "floor": 160_000,
        "ratio": 0.951,
        "required": "≥ 0.9 × floor",
        "ok": True,
    }


@pytest.mark.parametrize(
    ("figures", "ok"),
    [({}, [True, True]), ({"ratio": 0.89}, [False, True]), ({"inner": {"kib": 11}}, [True, False])],
)
def test_each_row_is_judged_and_the_whole_is_as_good_as_the_worst(
    figures: dict[str, object], ok: list[bool]
) -> None:
    answer = document(**figures)
    assert [row["ok"] for row in answer["rows"]] == ok
    assert answer["ok"] is all(ok)


def test_a_row_without_a_requirement_is_neither_kept_nor_missed() -> None:
    row = _results.judged(replace(MEMORY, required=None), FIGURES)
    assert (row["required"], row["ok"]) == (None, None)


@pytest.mark.parametrize(
    "row", [SPEED, MEMORY, replace(MEMORY, figure="per_s.kib")], ids=lambda row: row.figure
)
def test_a_figure_that_is_not_reported_is_named(row: Row) -> None:
    with pytest.raises(BenchError, match="has no figure"):
        _results.judged(row, {"per_s": 1.0})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = _results.write(tmp_path, document())
    assert path.name == "answering.json"
    assert _results.read(tmp_path, QUESTION) == document()
    assert _results.read_all(tmp_path, (QUESTION, replace(QUESTION, name="other"))) == {
        "answering": document()
    }


def test_the_same_answer_is_the_same_file(tmp_path: Path) -> None:
    first = _results.write(tmp_path, document()).read_bytes()
    assert _results.write(tmp_path, document()).read_bytes() == first
    assert first.endswith(b"\n}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "no JSON"), ("[]", "no answer"), (json.dumps({"question": "other", "figures": {}}), "no answer")],
)
def test_a_file_that_is_no_answer_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "answering.json").write_text(text)
    with pytest.raises(BenchError, match=why):
        _results.read(tmp_path, QUESTION)


def test_people_are_told_what_was_missed() -> None:
    lines = _results.summary(QUESTION, document(ratio=0.5))
    assert lines[0] == "speed: deliveries/s: 152,000, 0.50 × floor (MISSED: ≥ 0.9 × floor)"
    assert lines[1] == "memory: 5.42 KiB (ok: ≤ 10 KiB)"


def test_a_quick_answer_is_not_judged() -> None:
    assert _results.summary(QUESTION, document(), judge=False)[1] == "memory: 5.42 KiB"
