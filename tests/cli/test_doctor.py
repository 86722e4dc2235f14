"""centrifast doctor, on this machine, with real servers and a real proxy."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cli.conftest import Run
from tests.deploy.proxies import nginx
from tests.server_process import ServerProcess, free_port

SECRET = "a secret of more than thirty-two bytes"
QUICK_PINGS = {
    "client": {"token": {"hmac_secret_key": SECRET}, "ping_interval": "1s", "pong_timeout": "500ms"}
}


def write_config(directory: Path, tree: Mapping[str, object]) -> None:
    (directory / "config.json").write_text(json.dumps(tree))


def findings_of(text: str) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in json.loads(text)["findings"]}


def look(run: Run, directory: Path, url: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """Look at a URL with the configuration of the servers of this module."""
    write_config(directory, {"http_server": {"port": free_port()}, **QUICK_PINGS})
    return findings_of(run("doctor", "--connections", "1", "--json", "--url", url, *arguments).stdout)


def test_what_is_looked_at_is_printed_as_text(run: Run, directory: Path) -> None:
    write_config(directory, {"http_server": {"port": free_port(), "address": "127.0.0.1"}})
    result = run("doctor", "--connections", "1")
    assert result.exit_code == 0
    for word in ("configuration", "descriptor limit", "net.core.somaxconn", "memory", "clock", "port "):
        assert f"{word}" in result.stdout
    assert "0 failed, " in result.stdout
    assert "... looking at the machine, for 1 connections" in result.stderr


def test_something_that_fails_exits_with_one(run: Run, directory: Path) -> None:
    write_config(directory, {"http_api": {"insecure": True}})
    result = run("doctor", "--connections", "1", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["summary"].endswith(" fine")
    assert findings_of(result.stdout)["http_api.key"]["level"] == "FAIL"


def test_a_wrong_command_line_exits_with_two(run: Run) -> None:
    assert run("doctor", "--connections", "0").exit_code == 2
    assert run("doctor", "extra").exit_code == 2


def test_a_limit_of_1024_descriptors_is_told_with_what_to_do(directory: Path) -> None:
    def lower_limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    write_config(directory, {"http_server": {"port": free_port()}})
    done = subprocess.run(
        [sys.executable, "-m", "centrifast", "doctor", "--connections", "10000"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        preexec_fn=lower_limit,
    )
    assert done.returncode == 1, done.stderr
    assert "FAIL    descriptor limit              soft 1,024, hard 1,024" in done.stdout
    assert "needed: 10,100: 10,000 connections and 100 for the server itself" in done.stdout
    assert "LimitNOFILE=65536" in done.stdout
    assert "ulimit -n 65536" in done.stdout
    assert "docker run --ulimit nofile=65536:65536" in done.stdout


def test_a_running_server_is_looked_at_from_outside(run: Run, directory: Path) -> None:
    with ServerProcess(directory, QUICK_PINGS) as server:
        found = look(run, directory, server.url)
        assert found["url handshake"]["level"] == "OK"
        assert found["url frames"]["level"] == "OK"
        assert found["url pings"]["level"] == "OK"
        assert found["url pings"]["seen"].endswith("every 1 s")
        assert found["url origin"]["level"] == "WARN"  # allowed_origins is empty
        assert found[f"clock of 127.0.0.1:{server.port}"]["level"] == "OK"


def test_the_limits_of_a_running_server_count(run: Run, directory: Path) -> None:
    with ServerProcess(directory, descriptors=1024) as server:
        write_config(directory, {"http_server": {"port": server.port}})
        found = findings_of(run("doctor", "--connections", "10000", "--json").stdout)
        assert f"of the running server, process {server.pid}" in found["descriptor limit"]["seen"]
        assert found["descriptor limit"]["level"] == "FAIL"
        assert found[f"port {server.port}"]["level"] == "OK"
        assert "a running server is there" in found[f"port {server.port}"]["seen"]


def test_a_token_opens_what_the_configuration_does_not(run: Run, directory: Path) -> None:
    closed = {
        "client": {"token": {"hmac_secret_key": "another"}, "allow_anonymous_connect_without_token": False}
    }
    with ServerProcess(directory, closed) as server:
        pings = look(run, directory, server.url)["url pings"]
        assert pings["level"] == "UNKNOWN"
        assert "3500" in pings["seen"]


def test_a_proxy_that_passes_everything_is_fine(run: Run, directory: Path) -> None:
    changes = {**QUICK_PINGS, "client": {**QUICK_PINGS["client"], "allowed_origins": ["https://a.example"]}}
    with ServerProcess(directory, changes) as server, nginx(directory, server.port) as proxy:
        found = look(run, directory, proxy.url, "--origin", "https://a.example")
    assert "101: the upgrade passes, by nginx" in found["url handshake"]["seen"]
    assert {found[name]["level"] for name in ("url handshake", "url origin", "url frames", "url pings")} == {
        "OK"
    }


def test_a_proxy_that_drops_the_upgrade_is_told_the_lines(run: Run, directory: Path) -> None:
    dropped = {
        "    proxy_set_header Upgrade $http_upgrade;\n": "",
        "proxy_set_header Connection $connection_upgrade;": "",
    }
    with ServerProcess(directory) as server, nginx(directory, server.port, dropped) as proxy:
        handshake = look(run, directory, proxy.url)["url handshake"]
    assert handshake["level"] == "FAIL"
    assert handshake["seen"].startswith("HTTP 400, by nginx")
    assert "proxy_set_header Upgrade $http_upgrade;" in handshake["mend"][0]


def test_a_proxy_that_cuts_quiet_connections_is_told(run: Run, directory: Path) -> None:
    impatient = {"proxy_read_timeout 60s;": "proxy_read_timeout 3s;"}
    changes = {"client": {"token": {"hmac_secret_key": SECRET}}}
    with ServerProcess(directory, changes) as server, nginx(directory, server.port, impatient) as proxy:
        pings = look(run, directory, proxy.url)["url pings"]
    assert pings["level"] == "FAIL"
    assert "the connection was cut after" in pings["seen"]
    assert pings["mend"][0].startswith("proxy_read_timeout 60s;")


def test_a_proxy_without_a_server_is_told(run: Run, directory: Path) -> None:
    with nginx(directory, free_port()) as proxy:
        handshake = look(run, directory, proxy.url)["url handshake"]
    assert handshake["seen"].startswith("HTTP 502, by nginx")
    assert any("curl -i" in command for command in handshake["mend"])


def test_a_wrong_path_is_told(run: Run, directory: Path) -> None:
    with ServerProcess(directory, {"quickstart": {"enabled": False}}) as server:
        for path, seen in (
            ("/nowhere", "HTTP 404"),
            ("/connection/websocket/x", "HTTP 404"),
            ("/api", "HTTP 4"),
        ):
            handshake = look(run, directory, f"ws://127.0.0.1:{server.port}{path}")["url handshake"]
            assert handshake["level"] == "FAIL"
            assert handshake["seen"].startswith(seen)
