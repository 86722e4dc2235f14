"""What is told to systemd, and what it gives."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from centrifast.systemd import Notifier, PassedSocket, one_line, take_sockets, watchdog_period


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


def told(listening: socket.socket) -> list[str]:
    return listening.recv(4096).decode().split("\n")


def test_each_state_is_one_datagram(listener: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    notifier.ready("serving websocket\nWATCHDOG=1")
    assert told(listener) == ["READY=1", "STATUS=serving websocket; WATCHDOG=1"]
    notifier.reloading()
    reloading, since = told(listener)
    assert reloading == "RELOADING=1"
    assert since.removeprefix("MONOTONIC_USEC=").isdecimal()
    notifier.stopping()
    assert told(listener)[0] == "STOPPING=1"
    notifier.alive()
    assert told(listener) == ["WATCHDOG=1"]


def test_an_abstract_name_begins_with_an_at() -> None:
    name = f"centrifast-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.settimeout(20)
        Notifier({"NOTIFY_SOCKET": "@" + name}).alive()
        assert told(listening) == ["WATCHDOG=1"]


def test_nobody_who_listens_is_no_error(tmp_path: Path) -> None:
    Notifier({}).alive()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "absent")}).alive()


def test_one_who_does_not_read_is_not_waited_for(listener: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    for _ in range(10_000):  # more than the queue of a socket takes
        notifier.alive()


def test_a_status_is_one_line() -> None:
    assert one_line("a\nb\r\nc") == "a; b; c"


@pytest.mark.parametrize(
    ("environ", "period"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 15),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid() + 1)}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environ: dict[str, str], period: float) -> None:
    assert watchdog_period(environ) == period


def test_sockets_of_another_process_are_not_taken() -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDNAMES": "x", "OTHER": "1"}
    assert take_sockets(environ) == []
    assert environ == {"OTHER": "1"}
    assert take_sockets({}) == []


def test_a_number_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="LISTEN_FDS is 'two'"):
        take_sockets({"LISTEN_FDS": "two", "LISTEN_PID": str(os.getpid())})


TAKE = """
import os, socket, sys
first, second = (socket.socket(fileno=int(fd)) for fd in sys.argv[1:])
a, b = os.dup(first.fileno()), os.dup(second.fileno())
os.dup2(a, 3)
os.dup2(b, 4)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="internal")
from centrifast.systemd import take_sockets
for one in take_sockets(os.environ):
    print(repr(one.name), one.socket.getsockname()[1], os.get_inheritable(one.socket.fileno()))
print([name for name in os.environ if name.startswith("LISTEN_")])
os._exit(0)
"""


def test_sockets_come_in_their_order_with_their_names() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        fds = (first.fileno(), second.fileno())
        ended = subprocess.run(
            [sys.executable, "-u", "-c", TAKE, *map(str, fds)],
            pass_fds=fds, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        ports = [opened.getsockname()[1] for opened in (first, second)]
    assert ended.stdout.splitlines() == [f"'internal' {ports[0]} False", f"'' {ports[1]} False", "[]"]


def test_messages_say_which_socket_is_meant(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        assert PassedSocket(opened, "").description.endswith(f"(no name, 127.0.0.1 port {port})")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "unix"))
        assert f"(web, '{tmp_path}/unix')" in PassedSocket(opened, "web").description
