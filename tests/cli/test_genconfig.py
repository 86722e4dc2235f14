"""centrifast genconfig."""

import stat
from pathlib import Path

import pytest

from centrifast.config.loader import load
from tests.cli.conftest import Run


@pytest.mark.parametrize("name", ["config.json", "config.yaml", "config.toml"])
def test_the_file_has_random_secrets_and_is_private(name: str, run: Run, directory: Path) -> None:
    result = run("genconfig", "-c", name)
    assert (result.exit_code, result.output) == (0, "")
    assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    config = load(directory / name, {}, {}).config
    assert len(config.client.token.hmac_secret_key) == len(config.http_api.key) == 86
    assert len(config.admin.secret) == 86
    assert len(config.admin.password) == 22
    assert config.client.token.hmac_secret_key != config.http_api.key


def test_an_existing_file_is_not_touched(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text("mine")
    result = run("genconfig")
    assert result.exit_code == 1
    assert "exists already" in result.stdout
    assert (directory / "config.json").read_text() == "mine"
