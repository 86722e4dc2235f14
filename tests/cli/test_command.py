"""What subcommands share."""

from pathlib import Path

import pytest

from centrifast.cli.command import fail, read_config


def test_a_failure_is_one_line_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail("no")
    assert caught.value.code == 1
    assert capsys.readouterr().out == "no\n"


def test_the_environment_is_read_too(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIFUGO_PID_FILE", "x")
    assert read_config("config.json").config.pid_file == "x"


def test_a_configuration_that_cannot_be_read_ends_the_command(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_config("config.ini")
    assert capsys.readouterr().out.startswith("error getting config: config.ini")
