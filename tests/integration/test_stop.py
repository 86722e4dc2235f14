"""The graceful stop of the real daemon, and what is left of a process (server specification 12.3, 12.4)."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.daemon import WAIT, Daemon
from tests.raw_websocket import RawWebSocket
from tests.server_process import free_port


@contextmanager
def half_a_request(server: Daemon, head: str, body: bytes) -> Iterator[socket.socket]:
    """A request of which all but the last byte has been read by the server."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as peer:
        lines = [head, "Host: x", "X-API-Key: key", "Expect: 100-continue", f"Content-Length: {len(body)}"]
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        assert peer.recv(1000).startswith(b"HTTP/1.1 100")
        peer.sendall(body[:-1])
        yield peer


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("POST /api HTTP/1.1", b'{"method": "info", "params": {}}', 503),
        ("POST /api/info HTTP/1.1", b"{}", 200),
        ("POST /health HTTP/1.1", b"{}", 200),
        ("POST /health/ready HTTP/1.1", b"{}", 503),
    ],
)
def test_a_request_that_has_begun_is_finished(tmp_path: Path, head: str, body: bytes, status: int) -> None:
    with Daemon(tmp_path) as server, half_a_request(server, head, body) as peer:
        server.signal(signal.SIGTERM)
        server.event("shutting down ...")
        peer.sendall(body[-1:])
        answer = peer.recv(65536)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"connection: close" in answer.lower()
        assert server.wait() == 0


def test_a_request_that_hangs_ends_the_stop_with_1(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    changes = {"shutdown": {"timeout": "500ms"}, "pid_file": str(pid_file)}
    with (
        Daemon(tmp_path, changes) as server,
        half_a_request(server, "POST /api/info HTTP/1.1", b"{}"),
        RawWebSocket(server.port) as client,
    ):
        client.connect()
        server.signal(signal.SIGTERM)
        assert client.receive_close().close_code == 3001
        assert server.wait() == 1
        assert server.event("shutdown timeout reached")["level"] == "fatal"
        assert not pid_file.exists()


def test_disconnects_are_spread_and_the_rest_gets_messages(tmp_path: Path) -> None:
    clients_count = 3  # two seconds between them: more than a busy machine needs
    with Daemon(tmp_path, {"shutdown": {"disconnect_spread": "6s"}}) as server, ExitStack() as stack:
        clients = [stack.enter_context(RawWebSocket(server.port)) for _ in range(clients_count)]
        for client in clients:
            client.connect()
            client.subscribe("news")
        server.signal(signal.SIGTERM)
        for left in range(clients_count, 0, -1):
            leaving, *staying = clients[-left:]
            received = leaving.receive_close()
            assert received.close_code == 3001
            leaving.send_frame(8, received.payload[:2])
            if staying:  # publishes to itself and to the others who are left
                staying[-1].command(publish={"channel": "news", "data": left})
                push = staying[-1].push()["pub"]
                assert push["data"] == left
        assert server.wait() == 0


def test_a_second_signal_removes_the_pid_file_too(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with Daemon(tmp_path, {"pid_file": str(pid_file)}) as server, RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        client.receive_close()
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
    assert not pid_file.exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_signals_without_a_meaning_are_ignored(tmp_path: Path, number: signal.Signals) -> None:
    with Daemon(tmp_path) as server:
        server.signal(number)
        server.reload()
        assert server.get("/health")[0] == 200


def test_a_reload_during_a_stop_means_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path) as server, RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        client.receive_close()
        server.signal(signal.SIGHUP)
        assert client.is_closed_by_peer()
        assert server.wait() == 0
        assert server.events("configuration reloaded") == []


# ------------------------------------------------------------------ PID file, exit codes


def run(folder: Path, config: dict[str, object], *arguments: str) -> tuple[int, list[dict[str, str]]]:
    """Exit code and events of a daemon that ends by itself."""
    path = folder / "config.json"
    path.write_text(json.dumps({"http_server": {"port": free_port()}, **config}))
    ended = subprocess.run(
        [sys.executable, "-m", "centrifast", "-c", str(path), *arguments],
        capture_output=True,
        cwd=folder,
        timeout=WAIT,
        check=False,
    )
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines() if line[:1] == b"{"]


def test_what_a_dead_process_has_left_is_overwritten(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text("999999\n")
    with Daemon(tmp_path, {"pid_file": str(pid_file)}) as server:
        assert int(pid_file.read_text()) == server.pid
        assert pid_file.stat().st_mode & 0o777 == 0o600


def test_a_pid_file_that_another_process_has_taken_over_stays(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with Daemon(tmp_path, {"pid_file": str(pid_file)}):
        pid_file.write_text(f"{os.getpid()}\n")
    assert int(pid_file.read_text()) == os.getpid()


def test_a_pid_file_that_can_not_be_written_is_fatal(tmp_path: Path) -> None:
    code, events = run(tmp_path, {"pid_file": "absent/pid"})
    assert code == 1
    assert events[-1]["level"] == "fatal"
    assert events[-1]["path"] == "absent/pid"


def test_a_wrong_configuration_leaves_no_pid_file(tmp_path: Path) -> None:
    code, events = run(tmp_path, {"pid_file": "pid", "client": {"channel_limit": -1}})
    assert code == 1
    assert "client.channel_limit" in events[-1]["error"]
    assert not (tmp_path / "pid").exists()


def test_a_port_in_use_leaves_no_pid_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http_server = {"address": "127.0.0.1", "port": taken.getsockname()[1]}
        code, events = run(tmp_path, {"pid_file": "pid", "http_server": http_server})
    assert code == 1
    assert "already in use" in events[-1]["error"]
    assert not (tmp_path / "pid").exists()


def test_a_wrong_command_line_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path, {}, "--no-such-flag")[0] == 2


def test_a_stop_before_the_start_is_done_is_a_clean_one(tmp_path: Path) -> None:
    """The file is a pipe: the daemon waits for it while the signal comes."""
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)
    with (
        subprocess.Popen([sys.executable, "-m", "centrifast", "-c", str(pipe)], cwd=tmp_path) as process,
        pipe.open("w"),  # waits until it is read
    ):
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
