"""centrifast healthcheck."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from centrifast.cli.healthcheck import health_url
from tests.cli.conftest import Run
from tests.config.building import config_of

PEM = "-----BEGIN X-----"


class Health(http.server.BaseHTTPRequestHandler):
    """Healthy at ``/health``, nothing anywhere else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_healthy_server_is_silence_and_zero(run: Run, directory: Path, port: int) -> None:
    (directory / "config.json").write_text(f'{{"health.enabled": true, "http_server.port": {port}}}')
    result = run("healthcheck")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("path", ["/nope", ""])
def test_anything_but_success_is_one(path: str, run: Run, port: int) -> None:
    result = run("healthcheck", "--url", f"http://127.0.0.1:{port}{path}")
    assert result.exit_code == 1
    assert result.stdout.startswith("unhealthy: http://127.0.0.1")


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/hostname", "data:,ok", "http://[", "http://a b/"])
def test_what_is_no_url_of_a_server_is_one(url: str, run: Run) -> None:
    result = run("healthcheck", "--url", url)
    assert result.exit_code == 1
    assert result.stdout.startswith("unhealthy: ")


def test_a_proxy_of_the_environment_is_not_asked(
    run: Run, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert run("healthcheck", "--url", f"http://127.0.0.1:{port}/health").exit_code == 0


def test_an_answer_that_is_no_http_is_one(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_nonsense, args=(listener,))
        thread.start()
        result = run("healthcheck", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert result.exit_code == 1
    assert result.stdout.startswith("unhealthy: ")


def answer_nonsense(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-x\r\n")


def test_without_a_health_endpoint_there_is_nothing_to_ask(run: Run) -> None:
    result = run("healthcheck")
    assert result.exit_code == 1
    assert "health.enabled is off" in result.stdout


@pytest.mark.parametrize(
    ("tree", "url"),
    [
        ({}, "http://127.0.0.1:8000/health"),
        ({"http_server.address": "0.0.0.0", "health.handler_prefix": "live"}, "http://127.0.0.1:8000/live"),
        ({"http_server.address": "::"}, "http://[::1]:8000/health"),
        ({"http_server": {"address": "a", "internal_address": "b"}}, "http://b:8000/health"),
        ({"http_server.internal_port": 9000}, "http://127.0.0.1:9000/health"),
        ({"http_server.tls.enabled": True}, "https://127.0.0.1:8000/health"),
        (
            {"http_server": {"tls": {"enabled": True}, "tls_external": True}},
            "https://127.0.0.1:8000/health",
        ),
        (
            {"http_server": {"tls": {"enabled": True}, "tls_external": True, "internal_port": "9000"}},
            "http://127.0.0.1:9000/health",
        ),
        (
            {"http_server": {"internal_tls": {"enabled": True}, "internal_port": "9000"}},
            "https://127.0.0.1:9000/health",
        ),
    ],
)
def test_the_endpoint_is_where_the_configuration_says(tree: dict[str, object], url: str) -> None:
    assert health_url(config_of({"health.enabled": True, **tree})) == url
