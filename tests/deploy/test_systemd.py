"""The shipped units: what systemd says of them, and the daemon as confined as they make it."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from centrifast.config.schema_server import HttpServerConfig
from tests.deploy.certificates import Authority
from tests.deploy.confined import allowed_calls, settings_of
from tests.deploy.proxies import DEPLOY
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess, free_port

SERVICE = DEPLOY / "systemd/centrifast.service"
SOCKET = DEPLOY / "systemd/centrifast.socket"
EXPOSURE = 15
"""Tenths: systemd calls what is below 2.0 OK; a service without any of this has 9.6."""

DAEMON = [sys.executable, "-m", "centrifast"]
PROGRAM = "/opt/centrifast/bin/centrifast"


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Both units, with a program that exists."""
    program = tmp_path / "centrifast"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for unit in (SERVICE, SOCKET):
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(PROGRAM, str(program)))
    return copies


def analyze(*arguments: str | Path) -> str:
    """What systemd-analyze says."""
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True, timeout=30,
    ).stdout  # fmt: skip


def test_systemd_finds_nothing_wrong(units: list[Path]) -> None:
    assert analyze("verify", *units) == ""


def test_little_is_left_to_somebody_who_breaks_in(units: list[Path]) -> None:
    analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", units[0])


def test_the_user_is_the_one_that_is_made() -> None:
    (line,) = [
        line for line in (DEPLOY / "systemd/centrifast.sysusers").read_text().splitlines() if line[0] != "#"
    ]
    assert line.split()[:2] == ["u", "centrifast"]
    assert settings_of(SERVICE, "User") == settings_of(SERVICE, "Group") == ["centrifast"]


def test_the_socket_is_the_port_of_the_configuration() -> None:
    port = HttpServerConfig().port
    assert settings_of(SOCKET, "ListenStream") == [f"0.0.0.0:{port}", f"[::]:{port}"]


def test_a_stop_may_take_as_long_as_the_server_takes() -> None:
    assert int(settings_of(SERVICE, "TimeoutStopSec")[0]) > 30  # shutdown.timeout


@contextmanager
def notified(path: Path) -> Iterator[socket.socket]:
    """A socket that hears what a service says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening, pytest.MonkeyPatch.context() as patch:
        listening.bind(str(path))
        listening.settimeout(20)
        patch.setenv("NOTIFY_SOCKET", str(path))
        yield listening


def test_the_daemon_works_as_confined_as_the_unit_makes_it(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("localhost")
    internal_port = free_port()
    changes = {
        "http_server": {
            "tls": {"enabled": True, "cert_pem": str(certificate), "key_pem": str(key)},
            "tls_external": True,
            "internal_port": internal_port,
        },
        "log": {"file": str(tmp_path / "log.txt")},
    }
    confined = [sys.executable, str(Path(__file__).parent / "confined.py"), str(SERVICE)]
    server = ServerProcess(tmp_path, changes, command=[*confined, *DAEMON])
    external_port, server.port = server.port, internal_port
    with notified(tmp_path / "notify") as listening, server:
        assert listening.recv(4096).startswith(b"READY=1")
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
        with RawWebSocket(external_port, tls=authority.trusting()) as client:
            client.connect()
            client.subscribe("news")
            server.publish("news", "confined")
            assert client.push()["pub"]["data"] == "confined"
        assert server.stop() == 0
    assert '"error"' not in (tmp_path / "log.txt").read_text()


def test_what_the_unit_denies_is_denied(tmp_path: Path) -> None:
    """The filter of the test above is none that lets everything pass."""
    calls = allowed_calls(settings_of(SERVICE, "SystemCallFilter"))
    assert {"read", "accept4", "epoll_pwait", "prlimit64"} <= calls
    assert not {"mount", "ptrace", "reboot", "setuid", "chown", "bpf", "init_module"} & calls
    probe = "import os\ntry: os.chroot('/')\nexcept PermissionError: print('denied')"
    confined = [sys.executable, str(Path(__file__).parent / "confined.py"), str(SERVICE)]
    ended = subprocess.run(
        [*confined, sys.executable, "-c", probe], stdout=subprocess.PIPE, check=True, timeout=30
    )
    assert ended.stdout == b"denied\n"


def test_a_port_that_systemd_has_opened_is_used(tmp_path: Path) -> None:
    (name,) = settings_of(SOCKET, "FileDescriptorName")
    port = free_port()
    activate = ["systemd-socket-activate", f"--fdname={name}", f"--listen=127.0.0.1:{port}"]
    server = ServerProcess(tmp_path, {"http_server": {"port": port}}, command=[*activate, *DAEMON])
    server.port = port
    with server, RawWebSocket(port) as client:
        client.connect()
        assert server.stop() == 0
