"""One worker as a child process: started, told, heard, ended.

The child is this interpreter anew, not a copy of this process: it shares neither memory nor threads, and code that was
replaced on the disk is what it runs. Its only descriptors are the standard streams and those it is given.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from centrifast import __version__
from centrifast.config.loader import LoadedConfig
from centrifast.engine.link import Link
from centrifast.workers.ledger import Ledger
from centrifast.workers.messages import Order, Report, Start, decode_report, encode, pack
from centrifast.workers.sockets import SocketSet

COMMAND = (sys.executable, "-P", "-m", "centrifast.workers.worker")
"""The descriptor of its control socket and our process id follow. Without -P the worker could import what happens to
lie in the working directory."""

JOIN_TIMEOUT = 2.0
"""Seconds; the kernel takes a few milliseconds to end a process that holds little."""

Engine = Callable[[], asyncio.Protocol]

OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
"""Variables that are meant for the supervisor alone."""


class ProcessOwner(Protocol):
    """Who is told what becomes of a process."""

    def on_report(self, process: "WorkerProcess", report: Report) -> None:
        """The worker says something."""

    def on_exit(self, process: "WorkerProcess", code: int) -> None:
        """It has ended, and all it said has been heard; *code* is negative for a signal."""


class WorkerProcess(Protocol):
    """What may be asked of a worker's process; harmless when it has ended."""

    @property
    def pid(self) -> int:
        """Its id."""

    def tell(self, order: Order) -> None:
        """Send an order."""

    def stop(self) -> None:
        """Ask for a graceful end."""

    def abort(self) -> None:
        """End it, and have it write where it was."""

    def kill(self) -> None:
        """End it at once."""

    def join(self) -> None:
        """Wait until it has ended, after ``kill``, for at most ``JOIN_TIMEOUT`` seconds."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker finds in its environment; it imports from where this process does."""
    inherited = {name: value for name, value in environ.items() if name not in OURS}
    inherited["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return inherited


class ChildProcess:
    """``WorkerProcess``; *engine* makes the protocol that serves the worker's half of the engine.

    It has a line of the *ledger* for as long as it lives.
    """

    def __init__(
        self,
        owner: ProcessOwner,
        number: int,
        loaded: LoadedConfig,
        sockets: SocketSet,
        engine: Engine,
        ledger: Ledger,
    ) -> None:
        """Raises OSError if it can not be started."""
        self._owner = owner
        self._code: int | None = None
        self._is_silent = False
        self._link = Link(self)
        control, their_control = socket.socketpair()
        engine_socket, their_engine = socket.socketpair()
        passed = [(one.socket.fileno(), one.name) for one in sockets]
        self._ledger, self._line = ledger, ledger.open_line()
        line = ledger.fd, self._line
        start = Start(__version__, number, pack(loaded), their_engine.fileno(), passed, line)
        fds = [their_control.fileno(), their_engine.fileno(), ledger.fd, *(fd for fd, _ in passed)]
        try:
            self._popen = popen(fds)
            self._pidfd = os.pidfd_open(self._popen.pid)
        except OSError:
            control.close()
            engine_socket.close()
            ledger.close_line(self._line)
            raise
        finally:
            their_control.close()
            their_engine.close()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pidfd, self._on_end)
        self._joining = loop.create_task(self._join(control, engine_socket, engine, start))

    @property
    def pid(self) -> int:
        """See ``WorkerProcess``."""
        return self._popen.pid

    def tell(self, order: Order) -> None:
        """See ``WorkerProcess``."""
        self._link.send(encode(order))

    def stop(self) -> None:
        """See ``WorkerProcess``."""
        self._popen.send_signal(signal.SIGTERM)

    def abort(self) -> None:
        """See ``WorkerProcess``."""
        self._popen.send_signal(signal.SIGABRT)

    def kill(self) -> None:
        """See ``WorkerProcess``."""
        self._popen.kill()

    def join(self) -> None:
        """See ``WorkerProcess``."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(JOIN_TIMEOUT)

    # ------------------------------------------------- called by the link

    def on_message(self, link: Link, message: bytes) -> None:
        """The worker reports."""
        self._owner.on_report(self, decode_report(message))

    def on_crowded(self, link: Link, is_crowded: bool) -> None:
        """What little is said here can wait."""

    def on_lost(self, link: Link) -> None:
        """It has said all it had to say."""
        self._is_silent = True
        self._finish()

    # -------------------------------------------------------------- inside

    async def _join(
        self, control: socket.socket, engine_socket: socket.socket, engine: Engine, start: Start
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(engine, sock=engine_socket)
        await loop.create_unix_connection(lambda: self._link, sock=control)
        self.tell(start)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._code = self._popen.wait()  # it has ended: no waiting
        self._ledger.close_line(self._line)
        self._finish()

    def _finish(self) -> None:
        """Tell the owner when both have come: its end, and the end of what it said."""
        if self._code is not None and self._is_silent:
            self._owner.on_exit(self, self._code)


def popen(fds: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start a worker that has these descriptors, the first of which is its control socket. Raises OSError."""
    return subprocess.Popen(
        [*COMMAND, str(fds[0]), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        env=environment(os.environ),
        pass_fds=fds,
    )
