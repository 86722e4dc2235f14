"""The tables of README.md and bench/results/README.md, written between markers from the result files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import _harness as harness
from bench._results import Document, judged
from bench._row import Question, Row

HEAD = "| | centrifast | floor | ratio | required |\n|---|---|---|---|---|"
README_HEAD = "| | centrifast | plain C floor | required |\n|---|---|---|---|"
BUSY_LIMIT = 0.1  # of all cores: more is told beside the figures
MISSED = " **missed**"


def replaced(text: str, name: str, block: str, path: Path) -> str:
    """*text* with what stands between the markers of *name* replaced. Raises BenchError without the markers."""
    begin, end = markers(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise harness.BenchError(f"{path} lacks the markers {begin} and {end}")
    return f"{before}{begin}\n{block}\n{end}{after}"


def markers(name: str) -> tuple[str, str]:
    """Between which a table is written."""
    return f"<!-- {name}: written by python -m bench -->", f"<!-- end of {name} -->"


def short_table(questions: Sequence[Question], answers: dict[str, Document]) -> str:
    """What the README shows: the rows made for it, and where they were measured."""
    lines = [README_HEAD]
    used = []
    for question in questions:
        rows = [row for row in question.rows if row.in_readme]
        if rows and question.name in answers:
            used.append(answers[question.name])
        for row in rows:
            lines.append(_line(_cells(row, answers.get(question.name), short=True)))
    return "\n".join([*lines, "", conditions(used)])


def full_table(questions: Sequence[Question], answers: dict[str, Document]) -> str:
    """Every row, and where they were measured."""
    lines = [HEAD]
    for question in questions:
        lines += [_line(_cells(row, answers.get(question.name))) for row in question.rows]
    used = [answers[question.name] for question in questions if question.name in answers]
    return "\n".join([*lines, "", conditions(used)])


def conditions(answers: Iterable[Document]) -> str:
    """One sentence for each machine and commit that figures are from; most figures first."""
    places: dict[str, list[Document]] = {}
    for answer in answers:
        places.setdefault(_place(answer), []).append(answer)
    if not places:
        return "Not measured yet."
    first, *others = sorted(places.items(), key=lambda place: -len(place[1]))
    texts = [f"Measured {first[0]}{_busy(first[1])}."]
    for place, some in others:
        names = ", ".join(f"`{answer['question']}`" for answer in some)
        texts.append(f"{names}: {place}{_busy(some)}.")
    return "\n".join(texts)


def _busy(answers: Sequence[Document]) -> str:
    share = max(answer.get("busy_share") or 0.0 for answer in answers)
    return f", up to {share:.0%} used by something else" if share > BUSY_LIMIT else ""


def _place(answer: Document) -> str:
    machine = answer["machine"]
    build = {True: "", False: ", built without profiles", None: ""}[machine.get("python_is_optimized")]
    commit = f" at {answer['commit']}" if answer["commit"] else ""
    dirty = " with changes that are not committed" if answer["is_clean"] is False else ""
    cpu = f" of {machine['cpu']}" if machine.get("cpu") else ""
    return (
        f"{answer['date'][:10]}{commit}{dirty}: {machine['cores']} cores{cpu}, {machine['kernel']}, "
        f"{machine['python']}{build}"
    )


def _cells(row: Row, answer: Document | None, *, short: bool = False) -> list[str]:
    if answer is None:
        required = row.required.show(row.unit) if row.required else ""
        return [row.text, "not measured", *([""] if short else ["", ""]), required]
    one = judged(row, answer["figures"])
    value = "not measured" if one["value"] is None else row.unit.show(one["value"])
    floor = "" if one["floor"] is None else row.unit.show(one["floor"])
    if floor and row.floor_is:
        floor += f" ({row.floor_is})"
    required = (one["required"] or "") + (MISSED if one["ok"] is False else "")
    ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
    return [row.text, value, floor, required] if short else [row.text, value, floor, ratio, required]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
