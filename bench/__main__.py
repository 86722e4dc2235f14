"""``python -m bench``: ask every question of the table, store the answers, write the tables. ``make bench`` runs it."""

import sys
from pathlib import Path

import click

from bench import _harness as harness
from bench import _provenance, _results, _tables
from bench._row import Question
from bench._run import Plan, ask_all
from bench.peers import QUESTIONS as PEERS
from bench.table import QUESTIONS

README = harness.ROOT / "README.md"
EVERY = (*QUESTIONS, *PEERS)


def chosen(names: tuple[str, ...], *, peers: bool) -> list[Question]:
    """Those of these names, or all but those that are asked for only; in the order of the table."""
    if names:
        return [question for question in EVERY if question.name in names]
    return [
        question for question in EVERY if question.runs == "always" or (peers and question.runs == "peers")
    ]


def write_tables(folder: Path = _results.FOLDER, readme: Path = README) -> None:
    """Bring the tables of both READMEs in line with the stored results. Raises BenchError without their markers."""
    answers = _results.read_all(folder, EVERY)
    tables = {
        (readme, "numbers"): _tables.short_table(QUESTIONS, answers),
        (folder / "README.md", "results"): _tables.full_table(QUESTIONS, answers),
        (folder / "README.md", "peers"): _tables.full_table(PEERS, answers),
    }
    for (path, name), block in tables.items():
        path.write_text(_tables.replaced(path.read_text(), name, block, path))


def list_questions() -> None:
    """Print what can be asked."""
    for question in EVERY:
        when = {"always": "", "peers": " (with --peers)", "alone": " (only by --only)"}[question.runs]
        click.echo(f"{question.name:<20} {question.expected_seconds():>4.0f} s  {question.asks}{when}")


@click.command()
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    type=click.Choice([question.name for question in EVERY]),
    help="Ask this question; may be repeated.",
)
@click.option("--peers", is_flag=True, help="Measure other servers as well; see bench/peers/README.md.")
@click.option(
    "--rounds", default=0, type=click.IntRange(0, 100), help="Of each question.  [default: its own]"
)
@click.option(
    "--quick", is_flag=True, help="Few connections, one round: to see that all works. Stores nothing."
)
@click.option("--list", "list_only", is_flag=True, help="Show the questions and how long they take.")
@click.option("--tables", is_flag=True, help="Measure nothing: write the tables from the stored results.")
def main(only: tuple[str, ...], peers: bool, rounds: int, quick: bool, list_only: bool, tables: bool) -> None:
    """Measure the whole table against the floor, in turn in the same run, and store what was found.

    Exit code 0: everything was measured and is as required. 1: something could not be measured here, or missed what
    is required; the end says what.
    """
    if list_only:
        list_questions()
        return
    if tables:
        write_tables()
        return
    plan = Plan(chosen(only, peers=peers), rounds, quick)
    try:
        outcome = ask_all(plan, _provenance.look(), _results.FOLDER)
    finally:  # what was stored before an interruption counts
        if quick:
            click.echo("nothing was stored: these are not the sizes of the table", err=True)
        else:
            write_tables()
    for text in outcome.problems():
        click.echo(text, err=True)
    sys.exit(1 if outcome.problems() else 0)


if __name__ == "__main__":
    main()
