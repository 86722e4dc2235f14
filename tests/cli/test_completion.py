"""centrifast completion: the shells themselves run the scripts."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from centrifast.cli.completion import complete_option_path
from tests.cli.conftest import Run

BASH = """
source "$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_centrifast_completion centrifast "${@: -1}"
printf '%s\\n' "${COMPREPLY[@]}"
complete -p centrifast
"""
ZSH = """
compdef() { registered=$2 }
compadd() { print -rl -- $completions }
_describe() { print -rl -- $completions_with_descriptions }
words=("$@") CURRENT=$#
source "$SCRIPT"
_centrifast_completion
print -r -- "registered for $registered"
"""


@pytest.fixture
def environment(run: Run, directory: Path) -> dict[str, str]:
    """A machine on which the command and the scripts of all shells are installed."""
    command = directory / "centrifast"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m centrifast "$@"\n')
    command.chmod(0o755)
    for shell in ("bash", "zsh", "fish"):
        result = run("completion", shell)
        assert (result.exit_code, result.stderr) == (0, "")
        (directory / shell).write_text(result.stdout)
    root = Path(__file__).resolve().parents[2]
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(root)}


def ask(shell: Sequence[str], environment: dict[str, str], script: Path) -> list[str]:
    done = subprocess.run(
        shell,
        env={**environment, "SCRIPT": str(script)},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_bash(environment: dict[str, str], directory: Path, *words: str) -> list[str]:
    *offers, registered = ask(["bash", "-c", BASH, "bash", *words], environment, directory / "bash")
    assert registered.endswith("-F _centrifast_completion centrifast")
    return offers


def test_bash_completes_commands(environment: dict[str, str], directory: Path) -> None:
    assert in_bash(environment, directory, "centrifast", "check") == [
        "checkconfig",
        "checksubtoken",
        "checktoken",
    ]


def test_bash_completes_flags(environment: dict[str, str], directory: Path) -> None:
    assert in_bash(environment, directory, "centrifast", "gensubtoken", "--c") == ["--config", "--channel"]
    assert "--http_server.port" in in_bash(environment, directory, "centrifast", "--http_server.")


def test_bash_completes_option_paths(environment: dict[str, str], directory: Path) -> None:
    words = ("centrifast", "config", "explain", "client.ping_")
    assert in_bash(environment, directory, *words) == ["client.ping_interval"]


def test_bash_completes_commands_of_a_group(environment: dict[str, str], directory: Path) -> None:
    assert in_bash(environment, directory, "centrifast", "token", "") == ["explain"]


def test_bash_completes_shells(environment: dict[str, str], directory: Path) -> None:
    assert in_bash(environment, directory, "centrifast", "completion", "") == ["bash", "zsh", "fish"]


def test_zsh_completes_commands(environment: dict[str, str], directory: Path) -> None:
    lines = ask(["zsh", "-f", "-c", ZSH, "zsh", "centrifast", "check"], environment, directory / "zsh")
    assert [line.partition(":")[0] for line in lines] == [
        "checkconfig",
        "checksubtoken",
        "checktoken",
        "registered for centrifast",
    ]
    assert lines[0].startswith("checkconfig:Check the configuration")


def test_zsh_completes_option_paths(environment: dict[str, str], directory: Path) -> None:
    words = ("centrifast", "config", "explain", "client.ping_")
    first, *_ = ask(["zsh", "-f", "-c", ZSH, "zsh", *words], environment, directory / "zsh")
    assert first.startswith("client.ping_interval:Period of pings")


def test_fish_completes_option_paths(environment: dict[str, str], directory: Path) -> None:
    question = 'source "$SCRIPT"; complete -C "centrifast config explain client.ping_"'
    (line,) = ask(["fish", "--no-config", "-c", question], environment, directory / "fish")
    assert line.startswith("client.ping_interval\tPeriod of pings")


def test_fish_completes_commands(environment: dict[str, str], directory: Path) -> None:
    question = 'source "$SCRIPT"; complete -C "centrifast check"'
    lines = ask(["fish", "--no-config", "-c", question], environment, directory / "fish")
    assert [line.split("\t")[0] for line in lines] == ["checkconfig", "checksubtoken", "checktoken"]
    assert "Check the configuration" in lines[0]


def test_another_shell_is_a_wrong_command_line(run: Run) -> None:
    assert run("completion", "ksh").exit_code == 2


def test_option_paths_are_offered_with_their_help() -> None:
    command = click.Command("explain")
    offers = complete_option_path(click.Context(command), click.Argument(["key"]), "client.ping_")
    assert [(offer.value, offer.help) for offer in offers] == [
        ("client.ping_interval", "Period of pings to the client; negative = never.")
    ]
