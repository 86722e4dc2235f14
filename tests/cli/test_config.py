"""centrifast config explain, centrifast config diff."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def file(directory: Path) -> Path:
    path = directory / "config.json"
    path.write_text(
        """{
  "client": {"token": {"hmac_secret_key": "hush"}, "insecur": true},
  "channel": {"namespaces": [{"name": "chat", "history_size": 5}]}
}"""
    )
    return path


def test_an_option_is_explained(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIFUGO_HTTP_SERVER_PORT", "9000")
    result = run("config", "explain", "http_server.port")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "http_server.port",
        "  External port.",
        "  type       int",
        "  default    8000",
        "  bounds     at least 0, at most 65535",
        "  support    works",
        "  variables  CENTRIFAST_HTTP_SERVER_PORT or CENTRIFUGO_HTTP_SERVER_PORT",
        "  flag       --http_server.port, -p",
        "  value      9000",
        "  from       variable CENTRIFUGO_HTTP_SERVER_PORT",
    ]


def test_an_option_of_an_item_is_explained(run: Run, file: Path) -> None:
    lines = run("config", "explain", "channel.namespaces.chat.history_size").stdout.splitlines()
    assert lines[-2:] == ["  value      5", "  from       config.json, line 3"]


def test_flags_before_the_command_count(run: Run, file: Path) -> None:
    lines = run("--client.insecure", "config", "explain", "client.insecure").stdout.splitlines()
    assert lines[-2:] == ["  value      true", "  from       flag --client.insecure"]


def test_a_section_lists_its_options(run: Run, file: Path) -> None:
    result = run("config", "explain", "channel")
    assert "  options    without_namespace, namespaces, " in result.stdout
    assert "default" not in [line.split()[0] for line in result.stdout.splitlines()]


def test_the_facts_come_as_json(run: Run, file: Path) -> None:
    found = json.loads(run("config", "explain", "--json", "client.token.hmac_secret_key").stdout)
    assert (found["value"], found["source"], found["type"]) == ("***", "config.json, line 2", "str")


@pytest.mark.parametrize("arguments", [("explain", "client.token.hmac_secret_key"), ("diff", "config.json")])
def test_secrets_do_not_show(arguments: tuple[str, ...], run: Run, file: Path) -> None:
    for result in (run("config", *arguments), run("config", *arguments, "--json")):
        assert "***" in result.output
        assert "hush" not in result.output


def test_an_unknown_option_fails(run: Run, file: Path) -> None:
    result = run("config", "explain", "client.insecur")
    assert result.exit_code == 1
    assert result.stdout == "error: there is no option `client.insecur` (did you mean `client.insecure`?)\n"


def test_a_file_that_can_not_be_used_fails(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"http_server.port": "x"}')
    assert run("config", "explain", "client").exit_code == 1
    result = run("config", "diff", "config.json")
    assert (result.exit_code, result.stdout) == (
        1,
        "error getting config: http_server.port: expected a whole number, got 'x'\n",
    )
    assert run("config", "diff", "absent.json").stdout == "config file not found\n"


def test_a_file_is_compared_with_the_defaults(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIFUGO_HTTP_SERVER_PORT", "9000")
    result = run("config", "diff", "config.json")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        'client.token.hmac_secret_key: "" → ***',
        'channel.namespaces: [] → ["chat"]',
        "channel.namespaces.chat.history_size: 0 → 5",
        "unknown key `client.insecur` (did you mean `client.insecure`?)",
    ]


def test_differences_come_as_json(run: Run, file: Path) -> None:
    found = json.loads(run("config", "diff", "--json", "config.json").stdout)
    assert found["differences"][-1] == {
        "path": "channel.namespaces.chat.history_size",
        "default": 0,
        "value": 5,
    }
    assert found["unknown"] == [{"key": "client.insecur", "advice": "did you mean `client.insecure`?"}]


def test_what_a_file_refers_to_is_read_from_the_environment(
    run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENTRIFAST_VAR_REALM", "hush")
    tree = {"rpc": {"proxy": {"http": {"static_headers": {"x": "${CENTRIFAST_VAR_REALM}"}}}}}
    (directory / "config.json").write_text(json.dumps(tree))
    result = run("config", "diff", "config.json")
    assert result.stdout == "rpc.proxy.http.static_headers: {} → ***\n"
