"""Files read alone."""

from pathlib import Path

import pytest

from centrifast.cli.config_file import load_base, load_file
from centrifast.config.schema import Config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def test_variables_do_not_count_but_those_the_file_refers_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENTRIFAST_HTTP_SERVER_PORT", "9000")
    monkeypatch.setenv("CENTRIFUGO_VAR_WORD", "hello")
    path.write_text('{"rpc.proxy.http.static_headers": {"x": "${CENTRIFUGO_VAR_WORD}"}}')
    config = load_file(str(path)).config
    assert config.http_server.port == 8000
    assert config.rpc.proxy.http.static_headers == {"x": "hello"}


def test_a_file_that_can_not_be_used_ends_the_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_file(str(path))
    assert (caught.value.code, capsys.readouterr().out) == (1, "config file not found\n")
    path.write_text('{"http_server.port": "x"}')
    with pytest.raises(SystemExit):
        load_file(str(path))
    assert capsys.readouterr().out.startswith("error getting config: http_server.port: ")


def test_without_a_base_there_are_the_defaults() -> None:
    assert load_base("").config == Config()


def test_what_is_odd_in_a_base_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text('{"typo": 1, "client.ping_interval": 25}')
    load_base(str(path))
    assert capsys.readouterr().err.splitlines() == [
        'client.ping_interval: 25 is nanoseconds; write a unit, such as "25s"',
        "unknown key `typo` is left out",
    ]
