"""A child process that is no worker: what it is given, what of it is heard, how it ends."""

import asyncio
import base64
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.systemd import PassedSocket
from centrifast.workers import process
from centrifast.workers.ledger import Ledger, Line
from centrifast.workers.messages import NotStarted, Ping, Report, Start, decode_order, unpack_loaded
from centrifast.workers.process import ChildProcess, WorkerProcess, environment

WAIT = 20.0

CHILD = """
import json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
def receive():
    size = int.from_bytes(control.recv(4), "little")
    return control.recv(size, socket.MSG_WAITALL)
def report(tag, *fields):
    from msgspec import msgpack
    data = msgpack.encode([tag, *fields])
    control.sendall(len(data).to_bytes(4, "little") + data)
"""


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.is_heard = asyncio.Event()
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_report(self, child: WorkerProcess, report: Report) -> None:
        self.reports.append(report)
        self.is_heard.set()

    def on_exit(self, child: WorkerProcess, code: int) -> None:
        self.code.set_result(code)


class EngineSocket(asyncio.Protocol):
    """The supervisor's end of the engine."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()


def run(
    script: str,
    test: Callable[[ChildProcess, Owner, EngineSocket], Coroutine[Any, Any, None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run *test* with a child that does what *script* says."""
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", "-c", CHILD + script))

    async def main() -> None:
        owner, engine = Owner(), EngineSocket()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            sockets = [PassedSocket(listening, "external")]
            child = ChildProcess(owner, 7, LoadedConfig(Config()), sockets, lambda: engine, Ledger(1))
            try:
                await asyncio.wait_for(test(child, owner, engine), WAIT)
            finally:
                child.kill()
                child.join()

    asyncio.run(main())


def test_it_is_told_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import base64
start = receive()
report(12, json.dumps([base64.b64encode(start).decode(), os.getppid(), sys.argv[2]]))
"""

    async def test(child: ChildProcess, owner: Owner, engine: EngineSocket) -> None:
        assert await owner.code == 0
        (report,) = owner.reports
        assert isinstance(report, NotStarted)
        data, parent, argument = json.loads(report.reason)
        start = decode_order(base64.b64decode(data))
        assert isinstance(start, Start)
        assert start.number == 7
        assert unpack_loaded(start.loaded) == LoadedConfig(Config())
        assert [name for _, name in start.sockets] == ["external"]
        assert (parent, argument) == (os.getpid(), str(os.getpid()))

    run(script, test, monkeypatch)


def test_it_has_the_sockets_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
from msgspec import msgpack
_, version, number, loaded, engine, sockets, ledger = msgpack.decode(receive())
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
listening = socket.socket(fileno=sockets[0][0])
socket.socket(fileno=engine).sendall(b"hello")
report(12, json.dumps([len(fds), listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]))
"""

    async def test(child: ChildProcess, owner: Owner, engine: EngineSocket) -> None:
        await owner.code
        (report,) = owner.reports
        assert isinstance(report, NotStarted)
        # Standard streams, control, engine, ledger, one to listen on, and the directory that is being read.
        assert json.loads(report.reason) == [8, 1]
        await engine.is_lost.wait()
        assert engine.received == b"hello"

    run(script, test, monkeypatch)


def test_it_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
receive()
report(13)
assert receive() == b"\\x91\\x02"
report(12, "was asked")
"""

    async def test(child: ChildProcess, owner: Owner, engine: EngineSocket) -> None:
        await owner.is_heard.wait()
        child.tell(Ping())
        assert await owner.code == 0
        assert owner.reports[1] == NotStarted("was asked")
        child.tell(Ping())

    run(script, test, monkeypatch)


@pytest.mark.parametrize(("name", "code"), [("stop", -15), ("kill", -9), ("abort", -6)])
def test_it_can_be_ended(name: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
receive()
report(13)
receive()
"""

    async def test(child: ChildProcess, owner: Owner, engine: EngineSocket) -> None:
        await owner.is_heard.wait()
        assert child.pid > 0
        getattr(child, name)()
        assert await owner.code == code
        child.stop()

    run(script, test, monkeypatch)


def test_it_has_a_line_of_the_ledger_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import mmap
from msgspec import msgpack
fd, line = msgpack.decode(receive())[6]
memory = memoryview(mmap.mmap(fd, 0)).cast("q")
memory[line] = 5
report(13)
receive()
"""

    async def test(child: ChildProcess, owner: Owner, engine: EngineSocket) -> None:
        await owner.is_heard.wait()
        watching = Line(child._ledger.fd, 1)
        assert watching.clients() == 5
        with pytest.raises(OSError, match="more workers"):
            child._ledger.open_line()
        child.kill()
        await owner.code
        assert watching.clients() == 0
        assert child._ledger.open_line() == 0

    run(script, test, monkeypatch)


def test_a_command_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "COMMAND", ("/nonexistent",))

    async def main() -> None:
        ledger = Ledger(1)
        with pytest.raises(OSError, match="nonexistent"):
            ChildProcess(Owner(), 1, LoadedConfig(Config()), [], EngineSocket, ledger)
        assert ledger.open_line() == 0

    asyncio.run(main())


def test_what_systemd_tells_the_supervisor_is_not_for_workers(tmp_path: Path) -> None:
    environ = dict.fromkeys(process.OURS, "x") | {"CENTRIFAST_CLIENT_INSECURE": "true", "PYTHONPATH": "y"}
    inherited = environment(environ)
    assert inherited.keys() == {"CENTRIFAST_CLIENT_INSECURE", "PYTHONPATH"}
    assert inherited["PYTHONPATH"].split(os.pathsep)[-1] == sys.path[-1]
