"""centrifast defaultconfig."""

import json
from pathlib import Path

from centrifast.config.loader import load
from centrifast.config.schema import Config
from tests.cli.conftest import Run


def test_the_file_holds_every_default(run: Run, directory: Path) -> None:
    result = run("defaultconfig")
    assert (result.exit_code, result.output) == (0, "")
    assert load(directory / "config.json", {}, {}).config == Config()
    assert json.loads((directory / "config.json").read_text())["client"]["ping_interval"] == "25s"


def test_a_dry_run_prints(run: Run, directory: Path) -> None:
    result = run("defaultconfig", "--dry-run", "-c", "x.toml")
    assert "[http_server]" in result.stdout
    assert not (directory / "x.toml").exists()


def test_a_base_file_is_laid_over(run: Run, directory: Path) -> None:
    (directory / "base.yaml").write_text("http_server: {port: 9000}")
    tree = json.loads(run("defaultconfig", "-b", "base.yaml", "-d").stdout)
    assert tree["http_server"]["port"] == 9000


def test_an_existing_file_is_refused(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text("{}")
    result = run("defaultconfig")
    assert result.exit_code == 1
    assert result.stdout.startswith("error: config.json exists already")
