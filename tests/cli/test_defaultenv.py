"""centrifast defaultenv."""

from pathlib import Path

from tests.cli.conftest import Run


def test_every_option_is_a_line_in_order(run: Run) -> None:
    lines = run("defaultenv").stdout.splitlines()
    assert lines == sorted(lines)
    assert "CENTRIFAST_HTTP_SERVER_PORT=8000" in lines
    assert 'CENTRIFAST_CLIENT_PING_INTERVAL="25s"' in lines
    assert 'CENTRIFAST_CHANNEL_NAMESPACES=""' in lines


def test_a_base_file_brings_its_items(run: Run, directory: Path) -> None:
    (directory / "base.json").write_text('{"channel.namespaces": [{"name": "chat"}]}')
    lines = run("defaultenv", "-b", "base.json", "--base-non-zero-only").stdout.splitlines()
    assert 'CENTRIFAST_CHANNEL_NAMESPACES_CHAT_NAME="chat"' in lines
    assert "CENTRIFAST_CLIENT_INSECURE=false" not in lines


def test_a_base_file_that_cannot_be_read(run: Run, directory: Path) -> None:
    (directory / "base.json").write_text("{")
    assert run("defaultenv", "-b", "base.json").exit_code == 1
