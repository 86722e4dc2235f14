"""Result files: what a question answered, judged by the table. One JSON file each, ``bench/results/NAME.json``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import _harness as harness
from bench._provenance import Provenance
from bench._row import Question, Row, figure_of

FOLDER = harness.ROOT / "bench" / "results"

Document = dict[str, Any]


def judged(row: Row, figures: harness.Figures) -> Document:
    """A row's value, floor and ratio, and whether it is as required; None where there is nothing to tell.

    Raises BenchError naming the figure that the question did not report.
    """
    try:
        value = figure_of(figures, row.figure)
        floor = figure_of(figures, row.floor) if row.floor else None
        ratio = figure_of(figures, row.ratio) if row.ratio else None
    except (KeyError, TypeError, ValueError) as error:
        raise harness.BenchError(f"row {row.text!r} has no figure {error}") from error
    bound = row.required
    return {
        "row": row.text,
        "figure": row.figure,  # its name tells the unit of value and floor
        "value": value,
        "floor": floor,
        "ratio": ratio,
        "required": bound.show(row.unit) if bound else None,
        "ok": bound.is_met(value, ratio) if bound else None,
    }


def document(
    question: Question,
    figures: harness.Figures,
    provenance: Provenance,
    rounds: int,
    command: list[str],
    busy_share: float | None = None,
) -> Document:
    """Everything that is kept of an answer, in the order of the file.

    *busy_share* is which part of the machine something else used when it was asked.
    """
    rows = [judged(row, figures) for row in question.rows]
    own = {name: value for name, value in figures.items() if name not in {"question", "rounds"}}
    return {
        "question": question.name,
        "command": f"python -m {' '.join(command)}",
        "rounds": rounds or 1,
        "ok": all(row["ok"] is not False for row in rows),
        "rows": rows,
        "figures": own,
        **asdict(provenance),
        "busy_share": busy_share,
    }


def write(folder: Path, answer: Document) -> Path:
    """Store an answer in place of an older one."""
    path = folder / f"{answer['question']}.json"
    path.write_text(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
    return path


def read(folder: Path, question: Question) -> Document | None:
    """The answer that is stored, or None. Raises BenchError where the file is not one."""
    path = folder / f"{question.name}.json"
    if not path.exists():
        return None
    try:
        answer = json.loads(path.read_text())
    except ValueError as error:
        raise harness.BenchError(f"{path} is no JSON: {error}") from error
    if not isinstance(answer, dict) or answer.get("question") != question.name or "figures" not in answer:
        raise harness.BenchError(f"{path} is no answer to {question.name!r}")
    return answer


def read_all(folder: Path, questions: tuple[Question, ...]) -> dict[str, Document]:
    """Every answer that is stored, by question."""
    found = {question.name: read(folder, question) for question in questions}
    return {name: answer for name, answer in found.items() if answer is not None}


def summary(question: Question, answer: Document, *, judge: bool = True) -> list[str]:
    """One line a row, for people; without *judge* nothing about what is required."""
    lines = []
    for row, one in zip(question.rows, answer["rows"], strict=True):
        text = "not measured" if one["value"] is None else row.unit.show(one["value"])
        if one["ratio"] is not None:
            text += f", {one['ratio']:.2f} × {row.floor_is or 'floor'}"
        if judge and one["ok"] is not None:
            text += f" ({'ok' if one['ok'] else 'MISSED'}: {one['required']})"
        lines.append(f"{row.text}: {text}")
    return lines
