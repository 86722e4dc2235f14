"""centrifast checkconfig."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_valid_file_passes_in_silence(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"http_server.port": 9000}')
    result = run("checkconfig")
    assert (result.exit_code, result.output) == (0, "")


def test_a_missing_file_fails(run: Run) -> None:
    result = run("checkconfig", "-c", "other.yaml")
    assert (result.exit_code, result.stdout) == (1, "config file not found\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "error getting config: config.json: cannot be read"),
        ('{"http_server.port": "x"}', "error getting config: http_server.port: expected a whole number"),
        ('{"http_server.port": -1}', "error validating config: http_server.port must be at least 0"),
        ('{"sse.enabled": true}', "error validating config: not supported by this version: sse.enabled"),
    ],
)
def test_what_is_wrong_is_told(text: str, message: str, run: Run, directory: Path) -> None:
    (directory / "config.json").write_text(text)
    result = run("checkconfig")
    assert result.exit_code == 1
    assert result.stdout.startswith(message)


def test_unknown_keys_are_hints(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"http_server.prt": 1}')
    result = run("checkconfig")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "unknown key `http_server.prt` (did you mean `http_server.port`?)\n"


def test_unknown_keys_fail_a_strict_check(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"a": 1, "b": 1}')
    result = run("checkconfig", "--strict")
    assert (result.exit_code, result.stdout) == (1, "unknown keys in config: a, b\n")
