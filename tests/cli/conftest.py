"""A command line that runs in an empty directory with a clean environment."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from centrifast.cli.main import cli

Run = Callable[..., Result]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("CENTRIFUGO_", "CENTRIFAST_")):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def run(directory: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments, prog_name="centrifast")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


@pytest.fixture
def secret(directory: Path) -> str:
    """The HMAC secret of the configuration in the directory."""
    key = "a secret of more than thirty-two bytes"
    (directory / "config.json").write_text(f'{{"client.token.hmac_secret_key": "{key}"}}')
    return key
