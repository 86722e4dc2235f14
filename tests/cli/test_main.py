"""Dispatch: subcommands, flags, exit codes."""

import subprocess
import sys

import pytest

from centrifast.cli.main import main
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    "arguments", [["nope"], ["--nope"], ["version", "--nope"], ["--http_server.port", "x"]]
)
def test_a_wrong_command_line_exits_with_two(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_flags_and_commands(flag: str, run: Run) -> None:
    result = run(flag)
    assert result.exit_code == 0
    for word in ("--http_server.internal_port", "--client.insecure", "-p,", "checkconfig", "gentoken"):
        assert word in result.stdout


def test_without_a_subcommand_the_server_runs(run: Run) -> None:
    assert run("--config", "config.ini").exit_code == 1


def test_main_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["anything", "version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("centrifast v")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "centrifast", "version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("centrifast v")
