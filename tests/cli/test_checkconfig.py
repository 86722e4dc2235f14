"""centrifast checkconfig."""

import json
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
        ('{\n"a": }', "error getting config: config.json: cannot be read: Expecting value: line 2 column 6"),
        ("[]", "error getting config: config.json: expected an object with options at the top"),
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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.ini", "", "config.ini: unknown kind of file; use .json, .yaml, .yml or .toml"),
        ("config.yaml", "a: [1\nb: 2", "config.yaml: cannot be read: while parsing a flow sequence"),
        ("config.toml", "a = 1\nb = = 2", "config.toml: cannot be read: Invalid value (at line 2, column 5)"),
        ("config", "", "config: unknown kind of file"),
    ],
)
def test_a_file_that_can_not_be_read_is_told(
    name: str, text: str, message: str, run: Run, directory: Path
) -> None:
    (directory / name).write_text(text)
    result = run("checkconfig", "-c", name)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"error getting config: {message}")


def test_an_old_file_gets_the_new_name_of_each_option(run: Run, directory: Path) -> None:
    old = {
        "token_hmac_secret_key": "k",
        "api_key": "k",
        "allowed_origins": ["*"],
        "history_size": 5,
        "publish": True,
        "namespaces": [{"name": "chat", "history_lifetime": 60, "presence": True}],
        "redis_address": "localhost:6379",
        "admin_password": "p",
        "client_channel_limit": 5,
        "sockjs": True,
    }
    (directory / "config.json").write_text(json.dumps(old))
    result = run("checkconfig")
    assert (result.exit_code, result.stdout) == (0, "")
    older = "an option of an older version; use"
    assert result.stderr.splitlines() == [
        f"unknown key `token_hmac_secret_key` ({older} `client.token.hmac_secret_key`)",
        f"unknown key `api_key` ({older} `http_api.key`)",
        f"unknown key `allowed_origins` ({older} `client.allowed_origins`)",
        f"unknown key `history_size` ({older} `channel.without_namespace.history_size`)",
        f"unknown key `publish` ({older} `channel.without_namespace.allow_publish_for_client`)",
        f"unknown key `namespaces` ({older} `channel.namespaces`)",
        f"unknown key `namespaces.[0].history_lifetime` ({older} `channel.namespaces.[0].history_ttl`)",
        f"unknown key `redis_address` ({older} `engine.redis.address`)",
        "unknown key `admin_password` (did you mean `admin.password`?)",
        "unknown key `client_channel_limit` (did you mean `client.channel_limit`?)",
        "unknown key `sockjs` (an option of an older version; SockJS is gone; use `http_stream.enabled` and "
        "`sse.enabled`)",
    ]
    assert run("checkconfig", "--strict").exit_code == 1


def test_an_old_single_value_is_an_error_beside_the_hints(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"engine": "redis", "prometheus": true, "redis_db": 1}')
    result = run("checkconfig")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error getting config: engine: expected an object with options, got 'redis'; "
        "older versions had a single value here, use `engine.type`",
        "prometheus: expected an object with options, got True; "
        "older versions had a single value here, use `prometheus.enabled`",
    ]
    assert "use `engine.redis.db`" in result.stderr


def test_unknown_variables_are_hints_also_when_strict(
    run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "config.json").write_text('{"channel.namespaces": [{"name": "chat"}]}')
    monkeypatch.setenv("CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENSE", "1")
    monkeypatch.setenv("CENTRIFUGO_QQQQ", "1")
    result = run("checkconfig", "--strict")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "unknown variable `CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENSE` "
        "(did you mean `CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE`?)",
        "unknown variable `CENTRIFUGO_QQQQ`",
    ]


def test_dotenv_is_for_the_server_alone(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text("{}")
    (directory / ".env").write_text("CENTRIFUGO_HTTP_SERVER_PORT=many\n")
    assert run("checkconfig").exit_code == 0
