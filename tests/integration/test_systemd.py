"""The real daemon as a service of systemd, which the test stands in for."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon import WAIT, Daemon
from tests.raw_websocket import RawWebSocket
from tests.server_process import free_port


class Manager:
    """The socket that services tell their state to."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(WAIT)

    def told(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def told_something_besides(self, name: str) -> dict[str, str]:
        while name in (told := self.told()):
            pass
        return told


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@centrifast-test-{os.getpid()}"


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    made = Manager(address)
    yield made
    made.socket.close()


def test_start_reload_and_stop_are_told(address: str, manager: Manager, tmp_path: Path) -> None:
    with Daemon(tmp_path, environ={"NOTIFY_SOCKET": address}) as server:
        ready = manager.told()
        assert ready["READY"] == "1"
        assert ready["STATUS"] == f"serving on :{server.port}"
        server.signal(signal.SIGHUP)
        reloading = manager.told()
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert manager.told() == {"READY": "1", "STATUS": "configuration reloaded"}
        server.config_file.write_text("{")
        server.signal(signal.SIGHUP)
        assert "RELOADING" in manager.told()
        failed = manager.told()
        assert failed["READY"] == "1"
        assert failed["STATUS"].startswith("configuration was not reloaded: ")
        server.signal(signal.SIGTERM)
        assert manager.told()["STOPPING"] == "1"
        assert server.wait() == 0


def test_the_watchdog_is_fed_also_during_a_stop(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}
    with manager.socket, Daemon(tmp_path, environ=environ) as server:
        assert manager.told()["READY"] == "1"
        for _ in range(10):
            assert manager.told() == {"WATCHDOG": "1"}
        with RawWebSocket(server.port) as client:
            client.connect()
            server.signal(signal.SIGTERM)
            assert "STOPPING" in manager.told_something_besides("WATCHDOG")
            client.receive_close()
            for _ in range(3):
                assert manager.told() == {"WATCHDOG": "1"}
        assert server.wait() == 0


def test_a_watchdog_of_another_process_is_not_fed(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "1000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    with manager.socket, Daemon(tmp_path, environ=environ) as server:
        assert "READY" in manager.told()
        server.signal(signal.SIGTERM)
        assert "STOPPING" in manager.told()


# ------------------------------------------------------------------ sockets


def test_who_connects_before_the_daemon_is_up_is_served_when_it_is(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        early.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        changes = {"http_server": {"port": port, "address": "127.0.0.1"}}
        server = Daemon(tmp_path, changes, sockets=[listening.fileno()])
        server.port = port
        with server, early:
            assert early.recv(4096).startswith(b"HTTP/1.1 200")
            with RawWebSocket(port) as client:
                client.connect()
            assert f"endpoints on 127.0.0.1:{port}" in server.log()


def test_no_connection_is_lost_while_the_daemon_is_restarted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        changes = {"http_server": {"port": port, "address": ""}}  # takes any address of its port
        server = Daemon(tmp_path, changes, sockets=[listening.fileno()])
        server.port = port
        with server:
            pass
        between = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        between.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        with server, between:
            assert between.recv(4096).startswith(b"HTTP/1.1 200")


def test_sockets_go_to_the_listeners_they_are_named_for(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        environ = {"LISTEN_FDNAMES": "internal:external"}
        fds = [first.fileno(), second.fileno()]
        changes = {"http_server": {"internal_port": free_port()}}
        server = Daemon(tmp_path, changes, environ=environ, sockets=fds)
        server.port = first.getsockname()[1]
        with server:
            assert server.api("info")["result"]["nodes"]
            with RawWebSocket(second.getsockname()[1]) as client:
                client.connect()


def test_a_socket_that_fits_nothing_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Daemon(tmp_path, sockets=[listening.fileno()], answers=False)
        server.start()
        assert server.wait() == 1
        event = server.event("the server can not start")
        assert event["level"] == "fatal"
        assert f"port {listening.getsockname()[1]}" in event["error"]
        assert "fits no listener" in event["error"]


def test_a_descriptor_that_is_no_socket_is_a_clear_error(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        server = Daemon(tmp_path, sockets=[file.fileno()], answers=False)
        server.start()
        assert server.wait() == 1
        assert "file descriptor 3" in server.event("the server can not start")["error"]
