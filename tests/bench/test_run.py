"""The driver: every question is asked, whatever becomes of the others, and a quick run leaves no trace."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import _run
from bench._row import Question
from bench._run import Outcome, Plan, ask_all
from tests.bench.questions import FIGURES, PROVENANCE, QUESTION
from tests.integration.daemon import eventually
from tests.integration.workers import gone


def answering(*, name: str = "answering", **figures: object) -> Question:
    return replace(QUESTION, name=name, options=("--answer", json.dumps({**FIGURES, **figures})))


def failing(text: str = "there is no compiler") -> Question:
    return replace(QUESTION, name="failing", options=("--fail", text))


def test_an_answer_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ask_all(Plan([answering()]), PROVENANCE, tmp_path)
    assert outcome == Outcome()
    stored = json.loads((tmp_path / "answering.json").read_text())
    assert (stored["ok"], stored["rounds"], stored["commit"]) == (True, 2, "0123456789ab")
    assert 0 <= stored["busy_share"] <= 1
    assert stored["figures"]["per_s"] == FIGURES["per_s"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "[1/1] answering: nothing of interest" in captured.err
    assert "speed: deliveries/s: 152,000, 0.95 × floor (ok: ≥ 0.9 × floor)" in captured.err


def test_rounds_that_are_wished_are_made_and_stored(tmp_path: Path) -> None:
    ask_all(Plan([answering()], rounds=7), PROVENANCE, tmp_path)
    stored = json.loads((tmp_path / "answering.json").read_text())
    assert stored["rounds"] == 7
    assert stored["command"].endswith("--rounds 7")


def test_a_quick_run_stores_and_judges_nothing(tmp_path: Path) -> None:
    before = tmp_path / "answering.json"
    before.write_text("as it was")
    outcome = ask_all(Plan([answering(ratio=0.1), answering(name="other")], quick=True), PROVENANCE, tmp_path)
    assert outcome == Outcome()
    assert [path.name for path in tmp_path.iterdir()] == ["answering.json"]
    assert before.read_text() == "as it was"


def test_what_can_not_be_measured_is_told_and_the_others_are_asked(tmp_path: Path) -> None:
    outcome = ask_all(Plan([failing(), answering()]), PROVENANCE, tmp_path)
    assert outcome.problems() == ["not measured: failing: there is no compiler"]
    assert [path.name for path in tmp_path.iterdir()] == ["answering.json"]


def test_what_misses_is_stored_and_told(tmp_path: Path) -> None:
    outcome = ask_all(Plan([answering(ratio=0.1)]), PROVENANCE, tmp_path)
    assert outcome.problems() == ["missed: answering: speed: deliveries/s"]
    assert json.loads((tmp_path / "answering.json").read_text())["ok"] is False


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (replace(QUESTION, options=("--answer", "{}")), "has no figure"),
        (replace(QUESTION, options=("--answer", "no JSON")), "JSONDecodeError"),
        (answering(complete=False), "something was lost"),
        (replace(QUESTION, module="bench.nowhere"), r"there is no bench\.nowhere"),
        (replace(QUESTION, connections=1 << 40), "needs 1,099,511,628,076 descriptors a process"),
    ],
)
def test_the_reason_is_named(tmp_path: Path, question: Question, reason: str) -> None:
    (problem,) = ask_all(Plan([question]), PROVENANCE, tmp_path).problems()
    assert re.search(reason, problem)
    assert not list(tmp_path.iterdir())


def test_few_descriptors_are_enough_for_a_quick_run(tmp_path: Path) -> None:
    question = replace(answering(), connections=1 << 40)
    assert ask_all(Plan([question], quick=True), PROVENANCE, tmp_path) == Outcome()


def test_a_question_that_hangs_is_interrupted() -> None:
    command = [sys.executable, "-m", QUESTION.command()[0], "--hang"]
    assert _run.run(command, limit=0.5) is None


def test_a_question_that_can_not_be_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_run, "END_TIMEOUT", 0.1)
    noted = tmp_path / "pids"
    script = f"trap '' INT; sleep 600 & echo $$ $! > {noted}; wait"
    assert _run.run(["sh", "-c", script], limit=0.5) is None
    pids = [int(pid) for pid in eventually(noted.read_text, "the processes").split()]
    eventually(lambda: gone(pids), "the end of both")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("note\nError: the load was incomplete\n\n", "the load was incomplete"),
        ("Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        (" \n", "ended with code 3 and said nothing"),
    ],
)
def test_the_last_words_are_the_reason(said: str, reason: str) -> None:
    assert _run.reason_of(said, 3) == reason


def test_a_plan_knows_how_long_it_takes() -> None:
    assert Plan([QUESTION, QUESTION]).seconds() == 4
    assert Plan([QUESTION, QUESTION], rounds=10).seconds() == 20
    assert _run.clock(125.4) == "2:05"
