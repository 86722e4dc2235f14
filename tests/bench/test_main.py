"""The command: what it asks by default and by name."""

import pytest
from click.testing import CliRunner

from bench.__main__ import EVERY, chosen, main


def test_by_default_everything_is_asked_but_what_is_its_own_run() -> None:
    assert [question.name for question in chosen((), peers=False)] == [
        question.name for question in EVERY if question.runs == "always"
    ]
    assert {"fanout", "memory", "publish", "recover", "presence", "idle", "pause", "channels", "slow"} <= {
        question.name for question in chosen((), peers=False)
    }


def test_peers_come_last() -> None:
    names = [question.name for question in chosen((), peers=True)]
    assert names[-3:] == ["peer-nchan", "peer-ws", "peer-socketify"]
    assert "100000-connections" not in names


def test_by_name_anything_is_asked_in_the_order_of_the_table() -> None:
    names = ("peer-ws", "memory", "fanout", "100000-connections")
    assert [question.name for question in chosen(names, peers=False)] == [
        "fanout", "memory", "100000-connections", "peer-ws",
    ]  # fmt: skip


def test_the_list_names_every_question_and_when_it_is_asked() -> None:
    result = CliRunner().invoke(main, ["--list"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert list(lines) == [question.name for question in EVERY]
    assert lines["peer-nchan"].endswith("(with --peers)")
    assert lines["100000-connections"].endswith("(only by --only)")


@pytest.mark.parametrize("options", [["--only", "nothing"], ["--rounds", "-1"]])
def test_what_is_not_there_is_refused(options: list[str]) -> None:
    assert CliRunner().invoke(main, options).exit_code == 2
