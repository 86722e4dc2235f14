"""Tables of the READMEs: what they show of the stored results, and that they show those."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as driver
from bench import _results, _tables
from bench._harness import BenchError
from bench._results import Document
from tests.bench.questions import ELSEWHERE, FIGURES, MEMORY, PROVENANCE, QUESTION, SPEED

OTHER = replace(QUESTION, name="other", rows=(replace(SPEED, text="other", floor_is="bare echo"),))
SPEED_LINE = "| speed: deliveries/s | 152,000 | 160,000 | ≥ 0.9 × floor |"
FULL_SPEED_LINE = "| speed: deliveries/s | 152,000 | 160,000 | 0.95 | ≥ 0.9 × floor |"
PLACE = "2026-01-02 at 0123456789ab: 2 cores of A CPU, Linux 6.1, CPython 3.11.2"


def answers(**figures: object) -> dict[str, Document]:
    measured = {**FIGURES, **figures}
    return {"answering": _results.document(QUESTION, measured, PROVENANCE, 2, QUESTION.command())}


def test_the_readme_shows_the_rows_made_for_it() -> None:
    table = _tables.short_table((QUESTION,), answers())
    assert table == f"{_tables.README_HEAD}\n{SPEED_LINE}\n\nMeasured {PLACE}."


def test_the_results_show_every_row() -> None:
    lines = _tables.full_table((QUESTION,), answers()).splitlines()
    assert lines[2:4] == [FULL_SPEED_LINE, "| memory | 5.42 KiB |  |  | ≤ 10 KiB |"]


def test_what_was_missed_is_marked() -> None:
    assert _tables.short_table((QUESTION,), answers(ratio=0.5)).splitlines()[2].endswith("**missed** |")


def test_a_question_without_an_answer_is_shown_as_not_measured() -> None:
    lines = _tables.full_table((QUESTION, OTHER), answers()).splitlines()
    assert lines[4] == "| other | not measured |  |  | ≥ 0.9 × floor |"


def test_a_floor_that_is_not_the_plain_server_is_named() -> None:
    answer = _results.document(OTHER, FIGURES, PROVENANCE, 2, OTHER.command())
    assert "| 160,000 (bare echo) |" in _tables.short_table((OTHER,), {"other": answer})


def test_figures_of_another_day_machine_or_commit_are_told_apart() -> None:
    other = _results.document(OTHER, FIGURES, ELSEWHERE, 2, OTHER.command())
    first, second = _tables.conditions([*answers().values(), *answers().values(), other]).splitlines()
    assert first == f"Measured {PLACE}."
    assert second.startswith(
        "`other`: 2026-02-03 at fedcba987654 with changes that are not committed: 2 cores"
    )


def test_a_slow_build_of_python_is_told() -> None:
    machine = {**PROVENANCE.machine, "python_is_optimized": False}
    provenance = replace(PROVENANCE, machine=machine)
    answer = _results.document(QUESTION, FIGURES, provenance, 2, QUESTION.command())
    assert "CPython 3.11.2, built without profiles" in _tables.conditions([answer])


@pytest.mark.parametrize(("share", "is_told"), [(None, False), (0.1, False), (0.35, True)])
def test_a_machine_that_was_busy_otherwise_is_told(share: float | None, is_told: bool) -> None:
    some = [
        _results.document(QUESTION, FIGURES, PROVENANCE, 2, QUESTION.command(), each)
        for each in (0.05, share)
    ]
    assert _tables.conditions(some).endswith(", up to 35% used by something else.") == is_told
    assert len(_tables.conditions(some).splitlines()) == 1


def test_without_answers_nothing_is_claimed() -> None:
    assert "Not measured yet" in _tables.full_table((replace(QUESTION, rows=(MEMORY,)),), {})


def test_only_what_is_between_the_markers_changes() -> None:
    begin, end = _tables.markers("numbers")
    text = f"before\n{begin}\nold\n{end}\nafter\n"
    written = _tables.replaced(text, "numbers", "new", Path("README.md"))
    assert written == f"before\n{begin}\nnew\n{end}\nafter\n"
    assert _tables.replaced(written, "numbers", "new", Path("README.md")) == written


@pytest.mark.parametrize("keep", [0, 1])
def test_a_file_without_the_markers_is_refused(keep: int) -> None:
    text = _tables.markers("numbers")[0] if keep else "nothing"
    with pytest.raises(BenchError, match=r"README\.md lacks the markers"):
        _tables.replaced(text, "numbers", "new", Path("README.md"))


def test_the_readmes_show_what_is_stored(tmp_path: Path) -> None:
    for path in _results.FOLDER.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copies = {driver.README: tmp_path / "project.md", _results.FOLDER / "README.md": tmp_path / "README.md"}
    for path, copy in copies.items():
        copy.write_text(path.read_text())
    driver.write_tables(tmp_path, tmp_path / "project.md")
    for path, copy in copies.items():
        assert copy.read_text() == path.read_text(), f"{path.name}: python -m bench --tables"
