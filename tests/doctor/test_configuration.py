"""Whether the server starts with a configuration."""

from pathlib import Path

import pytest

from centrifast.config.schema import Config
from centrifast.doctor.configuration import read_configuration
from centrifast.doctor.finding import Level


def read(tmp_path: Path, text: str) -> tuple[Config, list[tuple[Level, str]]]:
    path = tmp_path / "config.json"
    path.write_text(text)
    config, findings = read_configuration(path, {})
    return config, [(finding.level, finding.seen) for finding in findings]


def test_a_good_file_is_fine(tmp_path: Path) -> None:
    config, findings = read(tmp_path, '{"http_server.port": 9000}')
    assert config.http_server.port == 9000
    assert [level for level, _ in findings] == [Level.OK]


def test_a_missing_file_is_a_warning(tmp_path: Path) -> None:
    config, findings = read_configuration(tmp_path / "absent.json", {"CENTRIFAST_HTTP_SERVER_PORT": "9000"})
    assert config.http_server.port == 9000
    assert [finding.level for finding in findings] == [Level.WARN, Level.OK]
    assert "not found" in findings[0].seen


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ('{"http_server.port": "x"}', "http_server.port: expected a whole number"),
        ('{"http_server.port": -1}', "http_server.port must be at least 0"),
        ('{"client.ping_interval": "1s"}', "client.ping_interval must be greater than client.pong_timeout"),
        ('{"webtransport.enabled": true}', "not supported by this version: webtransport.enabled"),
    ],
)
def test_what_stops_the_server_fails(text: str, told: str, tmp_path: Path) -> None:
    _, findings = read(tmp_path, text)
    assert any(level is Level.FAIL and told in seen for level, seen in findings)
    assert not any(level is Level.OK for level, _ in findings)


def test_unknown_keys_are_warnings_with_a_guess(tmp_path: Path) -> None:
    _, findings = read(tmp_path, '{"http_server.prt": 1}')
    assert findings[0][0] is Level.WARN
    assert "`http_server.prt`" in findings[0][1]
    assert "port" in findings[0][1]
