"""Listeners of the real daemon and how they speak HTTP (server specification 2.1 and 2.2)."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess, free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


def exchange(port: int, data: bytes) -> bytes:
    """Send *data*, half-close, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        received = b""
        while more := peer.recv(65536):
            received += more
        return received


def starts(server: ServerProcess) -> list[str]:
    """What the log says is served where."""
    messages = [json.loads(line)["message"] for line in server.log().splitlines()]
    return [message for message in messages if message.startswith("serving ")]


# ---------------------------------------------------------------- listeners


def test_one_line_tells_what_one_listener_serves(server: ServerProcess) -> None:
    assert starts(server) == [
        f"serving websocket, api, health, debug, quickstart endpoints on :{server.port}"
    ]


def test_each_of_two_listeners_has_its_line(tmp_path: Path) -> None:
    external = free_port()
    server = ServerProcess(
        tmp_path, {"http_server": {"address": "127.0.0.1"}, "quickstart": {"enabled": False}}
    )
    server.config["http_server"] |= {"port": external, "internal_port": str(server.port)}
    with server:
        assert starts(server) == [
            f"serving websocket endpoints on 127.0.0.1:{external}",
            f"serving api, health, debug endpoints on 127.0.0.1:{server.port}",
        ]


def test_a_listener_without_endpoints_is_not_opened(tmp_path: Path) -> None:
    external = free_port()
    nothing = {"websocket": {"disabled": True}, "quickstart": {"enabled": False}}
    server = ServerProcess(tmp_path, nothing)
    server.config["http_server"] = {"port": external, "internal_port": str(server.port)}
    with server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", external), timeout=20)
        assert len(starts(server)) == 1


def test_who_connects_faster_than_the_rate_waits_and_the_internal_port_does_not(tmp_path: Path) -> None:
    external = free_port()
    changes = {"http_server": {"address": "127.0.0.1"}, "client": {"connect_rate": 1}}
    server = ServerProcess(tmp_path, changes)
    server.config["http_server"] |= {"port": external, "internal_port": str(server.port)}
    with server, ExitStack() as stack:
        # At this rate the last of them would be answered after the test has given up.
        questions = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(40)]
        for question in questions:
            stack.enter_context(question).sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        for question in questions:
            assert question.recv(100).startswith(b"HTTP/1.1 200 OK")
        for _ in range(3):  # the second and the third wait for a second each
            client = stack.enter_context(RawWebSocket(external))
            client.connect()
        assert "rror" not in server.log()


def test_an_internal_address_of_its_own_is_enough_for_two(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path, {"http_server": {"address": "127.0.0.2", "internal_address": "127.0.0.1"}}
    )
    with server:
        assert server.get("/connection/websocket")[0] == 404
        with RawWebSocket(server.port, host="127.0.0.2") as client:
            client.connect()


def test_two_endpoints_on_one_path_are_named(tmp_path: Path) -> None:
    taken = "/connection/websocket"
    config = {"http_server": {"port": free_port()}, "health": {"enabled": True, "handler_prefix": taken}}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "centrifast", "-c", str(file)]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert ended.returncode == 1
    for name in ("health", "websocket", taken):
        assert name in ended.stderr.decode()


def test_the_root_takes_what_nobody_else_has(tmp_path: Path) -> None:
    changes = {"websocket": {"handler_prefix": "/"}, "quickstart": {"enabled": False}}
    with ServerProcess(tmp_path, changes) as server:
        for path in ("/", "/anything/at/all"):
            with RawWebSocket(server.port, path) as client:
                client.connect()
        assert server.get("/health") == (200, b"{}")


# -------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    "path",
    [
        "/connection/websocket/",
        "/connection/websocke",
        "/connection//websocket",
        "/CONNECTION/websocket",
        "/connection/./websocket",
        "/x/../connection/websocket",
        "/health/x",
        "/api/",
        "/api/unknown",
        "/metrics",
    ],
)
def test_paths_match_exactly(server: ServerProcess, path: str) -> None:
    with RawWebSocket(server.port, path) as client:
        assert client.status == 404
    assert server.get(path) == (404, b"404 page not found")


def test_a_query_is_no_part_of_the_path(server: ServerProcess) -> None:
    assert server.get("/health?x=/connection/websocket") == (200, b"{}")
    with RawWebSocket(server.port, "/connection/websocket?format=json") as client:
        client.connect()


def test_an_absolute_target_is_understood(server: ServerProcess) -> None:
    answer = exchange(server.port, b"GET http://example.com/health HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


# --------------------------------------------------------------------- HTTP


@pytest.mark.parametrize(("path", "status"), [("/health", b"200 OK"), ("/nowhere", b"404 Not Found")])
def test_head_is_answered_without_a_body(server: ServerProcess, path: str, status: bytes) -> None:
    request = f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answers = exchange(server.port, request * 2).split(b"\r\n\r\n")
    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 " + status] * 2 + [b""]
    assert b"Content-Length: " in answers[0]


@pytest.mark.parametrize("headers", [b"", b"Host: x\r\n", b"Connection: keep-alive\r\n"])
def test_http_1_0_gets_one_answer(server: ServerProcess, headers: bytes) -> None:
    request = b"GET /health HTTP/1.0\r\n" + headers + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as peer:
        peer.sendall(request)
        answer = b""
        while more := peer.recv(65536):  # the server closes by itself
            answer += more
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer


def test_one_connection_takes_many_requests(server: ServerProcess) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    assert exchange(server.port, request * 100).count(b"HTTP/1.1 200 OK\r\n") == 100


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03", b"400"),
        (b"GET /health HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", b"431"),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"413"),
    ],
    ids=["HTTP/2", "TLS", "no host", "large head", "large body"],
)
def test_what_is_not_spoken_is_answered_in_words(server: ServerProcess, data: bytes, status: bytes) -> None:
    answer = exchange(server.port, data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/api/info", "POST"), ("DELETE", "/api", "POST"), ("PUT", "/", "GET, HEAD")],
)
def test_a_method_that_is_not_served_is_405(
    server: ServerProcess, method: str, path: str, allowed: str
) -> None:
    answer = exchange(server.port, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert f"\r\nAllow: {allowed}\r\n".encode() in answer
