"""centrifast defaultenv."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_every_option_is_a_line_in_order(run: Run) -> None:
    lines = run("defaultenv").stdout.splitlines()
    assert lines == sorted(lines)
    assert "CENTRIFAST_HTTP_SERVER_PORT=8000" in lines
    assert 'CENTRIFAST_CLIENT_PING_INTERVAL="25s"' in lines
    assert 'CENTRIFAST_CHANNEL_NAMESPACES=""' in lines


def test_a_base_file_brings_its_items(run: Run, directory: Path) -> None:
    (directory / "base.json").write_text('{"channel.namespaces": [{"name": "chat"}]}')
    lines = run("defaultenv", "-b", "base.json").stdout.splitlines()
    assert 'CENTRIFAST_CHANNEL_NAMESPACES="chat"' in lines
    assert 'CENTRIFAST_CHANNEL_NAMESPACES_CHAT_NAME="chat"' in lines
    assert "CENTRIFAST_CLIENT_INSECURE=false" in lines


def test_what_the_base_file_sets_can_stand_alone(run: Run, directory: Path) -> None:
    tree = {
        "client": {"allowed_origins": ["http://localhost:3000"]},
        "engine": {"type": "redis", "redis": {"address": "redis://localhost:6379"}},
        "admin": {"enabled": False},
        "http_server": {"port": 8000},
        "channel": {"namespaces": [{"name": "chat", "presence": True, "history_size": 0}]},
    }
    (directory / "base.json").write_text(json.dumps(tree))
    assert run("defaultenv", "--base", "base.json", "--base-non-zero-only").stdout.splitlines() == [
        'CENTRIFAST_CHANNEL_NAMESPACES="chat"',
        'CENTRIFAST_CHANNEL_NAMESPACES_CHAT_NAME="chat"',
        "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE=true",
        'CENTRIFAST_CLIENT_ALLOWED_ORIGINS="http://localhost:3000"',
        'CENTRIFAST_ENGINE_REDIS_ADDRESS="redis://localhost:6379"',
        'CENTRIFAST_ENGINE_TYPE="redis"',
        "CENTRIFAST_HTTP_SERVER_PORT=8000",
    ]


def test_without_a_base_file_all_lines_stand(run: Run) -> None:
    assert run("defaultenv", "--base-non-zero-only").stdout == run("defaultenv").stdout


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "error getting config: "), (None, "config file not found")]
)
def test_a_base_file_that_cannot_be_read(text: str | None, problem: str, run: Run, directory: Path) -> None:
    if text is not None:
        (directory / "base.json").write_text(text)
    result = run("defaultenv", "-b", "base.json")
    assert result.exit_code == 1
    assert result.stdout.startswith(problem)
