"""The table and the modules of ``bench/`` fit together: what can be asked is asked, with options that exist."""

import importlib
import re
from pathlib import Path

import click
import pytest

from bench import _harness as harness
from bench.__main__ import EVERY
from bench._results import FOLDER, judged, read
from bench._row import Question
from bench.table import QUESTIONS

FULL_RUN_SECONDS = 25 * 60


def command_of(question: Question) -> click.Command:
    module = question.command()[0]
    name = f"{module}.__main__" if module == "bench.peers" else module
    command = importlib.import_module(name).main
    assert isinstance(command, click.Command)
    return command


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.name)
def test_a_question_takes_the_options_it_is_given(question: Question) -> None:
    known = {name for parameter in command_of(question).params for name in parameter.opts}
    used = {text for text in (*question.options, *question.quick) if text.startswith("--")}
    assert used <= known
    assert ("--rounds" in known) == bool(question.rounds)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.name)
def test_a_question_takes_the_values_it_is_given(question: Question, quick: bool) -> None:
    module, *options = question.command(quick=quick)
    with command_of(question).make_context(module, options) as context:
        assert context.params


def test_every_question_there_is_is_in_the_table() -> None:
    folder = Path(harness.ROOT, "bench")
    there = {f"bench.{path.stem}" for path in folder.glob("*.py") if "@click.command()" in path.read_text()}
    asked = {question.command()[0] for question in QUESTIONS}
    assert there - {"bench.__main__"} == asked, (
        "make bench asks what has rows in bench/table.py or _several.py"
    )


def test_names_are_those_of_files_and_each_is_one() -> None:
    names = [question.name for question in EVERY]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.name)
def test_what_is_required_of_the_floor_has_a_ratio(question: Question) -> None:
    assert question.rows
    for row in question.rows:
        assert row.required is None or not row.required.of_floor or row.ratio, row.text


def test_everything_that_is_asked_by_default_fits_into_half_an_hour() -> None:
    expected = sum(question.expected_seconds() for question in EVERY if question.runs == "always")
    assert expected <= FULL_RUN_SECONDS


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.name)
def test_stored_results_have_the_figures_of_the_rows(question: Question) -> None:
    answer = read(FOLDER, question)
    rows = [] if answer is None else [judged(row, answer["figures"]) for row in question.rows]
    assert all(row["value"] is not None for row in rows)
