"""How a worker begins: what it refuses, and that it does not outlive who started it; the rest is in integration."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.workers import process
from centrifast.workers.ledger import Ledger
from centrifast.workers.messages import NotStarted, Ping, Pong, Ready, Start, encode
from centrifast.workers.process import COMMAND, ChildProcess
from centrifast.workers.sockets import SocketSets
from centrifast.workers.worker import receive_start, refuse, run
from tests.config.building import config_of
from tests.workers.test_process import EngineSocket, Owner

WAIT = 20.0


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "little") + message


def started(config: Config, test: Callable[[ChildProcess, Owner], Coroutine[Any, Any, None]]) -> None:
    """Run *test* with a real worker, whose engine answers nothing."""

    async def main() -> None:
        owner, sets = Owner(), SocketSets(config)
        sockets = sets.open()
        child = ChildProcess(owner, 2, LoadedConfig(config), sockets, EngineSocket, Ledger(1))
        try:
            await asyncio.wait_for(test(child, owner), WAIT)
        finally:
            child.kill()
            child.join()
            sets.close(sockets)

    asyncio.run(main())


LOCAL = {"http_server": {"address": "127.0.0.1", "port": 0}, "log.level": "none"}


def test_it_serves_answers_and_stops() -> None:
    async def test(child: ChildProcess, owner: Owner) -> None:
        await owner.is_heard.wait()
        (ready,) = owner.reports
        assert isinstance(ready, Ready)
        assert ready.status.startswith("serving on 127.0.0.1:")
        owner.is_heard.clear()
        child.tell(Ping())
        await owner.is_heard.wait()
        assert owner.reports[1] == Pong()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(child.pid, number)  # may go to a whole group of processes
        child.stop()
        assert await owner.code == 0

    started(config_of(LOCAL), test)


def test_a_supervisor_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "__version__", "0.0.1")

    async def test(child: ChildProcess, owner: Owner) -> None:
        assert await owner.code == 1
        (report,) = owner.reports
        assert isinstance(report, NotStarted)
        assert "is installed, the supervisor runs 0.0.1: restart the whole server" in report.reason

    started(config_of(LOCAL), test)


def test_what_keeps_it_from_starting_is_told() -> None:
    token = {"rsa_public_key": "-----BEGIN PUBLIC KEY-----"}

    async def test(child: ChildProcess, owner: Owner) -> None:
        assert await owner.code == 1
        (report,) = owner.reports
        assert isinstance(report, NotStarted)
        assert "rsa_public_key" in report.reason

    started(config_of({**LOCAL, "client": {"token": token}}), test)


def test_without_its_supervisor_it_does_not_begin() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [*COMMAND, str(theirs.fileno()), "1"]
        ended = subprocess.run(command, pass_fds=[theirs.fileno()], timeout=WAIT, check=False)
    assert ended.returncode == 1


def test_the_first_message_is_read_whole() -> None:
    ours, theirs = socket.socketpair()
    start = Start("1", 2, b"x" * 100_000, 3, [], (4, 0))
    with ours, theirs:
        ours.sendall(framed(encode(start)) + b"more")
        assert receive_start(theirs) == start
        assert theirs.recv(10) == b"more"


def test_a_first_message_that_is_no_start_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(framed(encode(Ping())))
        with pytest.raises(ValueError, match="no start: Ping"):
            receive_start(theirs)


def test_a_supervisor_that_goes_meanwhile_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(b"\x05\x00\x00\x00x")
        with pytest.raises(ConnectionError, match="the supervisor is gone"):
            receive_start(theirs)
        assert refuse(theirs, "nobody hears it") == 1
        assert run(theirs) == 1
