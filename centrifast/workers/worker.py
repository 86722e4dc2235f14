"""The process of one worker: a server whose engine, port and configuration come from its supervisor.

Started by ``process``; not a command for people. Its supervisor is its only reason to be: when it is gone, by whatever
way, this process disconnects its clients and ends.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

import uvloop

from centrifast import __version__, log
from centrifast.app import Server
from centrifast.clock import SystemClock
from centrifast.config.loader import LoadedConfig
from centrifast.engine.contract import Engine
from centrifast.engine.link import Link
from centrifast.engine.shared import EngineLink, SharedBroker, SharedPresence
from centrifast.engine.shared_control import SharedController
from centrifast.engines import open_engine
from centrifast.limits import WORKER_ORPHAN, WORKER_START
from centrifast.process import FAILED, log_loop_error, show_stacks_on_fatal_signals
from centrifast.reload import NodeConfiguration, let_go
from centrifast.systemd import PassedSocket
from centrifast.workers.count import worker_count
from centrifast.workers.ledger import Line
from centrifast.workers.messages import (
    NotStarted,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    ReopenLog,
    Report,
    Start,
    decode_order,
    encode,
    unpack_config,
    unpack_loaded,
)

_PREFIX = 4
"""Bytes of a length, as in ``engine.link``."""

_PR_SET_PDEATHSIG = 1
"""prctl(2)"""


def main() -> None:
    """Run the worker whose control socket and supervisor are named on the command line."""
    control_fd, supervisor = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # may go to a whole group of processes; the supervisor tells us
    follow(supervisor)
    sys.exit(run(socket.socket(fileno=control_fd)))


def follow(supervisor: int) -> None:
    """Have the kernel send SIGTERM when the supervisor ends: a second line, after the sockets it leaves."""
    with suppress(ImportError, OSError, AttributeError, MemoryError):  # a hardened service may forbid it
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        sys.exit(FAILED)  # it ended before


def run(control: socket.socket) -> int:
    """Be told by *control* what to serve, serve it; the exit code."""
    try:
        start = receive_start(control)
        if start.version != __version__:
            raise ValueError(
                f"version {__version__} is installed, the supervisor runs {start.version}: restart the whole server"
            )
        loaded = unpack_loaded(start.loaded)
        log.configure(loaded.config.log.level, loaded.config.log.file, worker=start.number)
        show_stacks_on_fatal_signals()
        log.start_thread()
        return uvloop.run(Worker(start, loaded, control).serve())
    except (OSError, ValueError) as error:
        return refuse(control, str(error))
    finally:
        log.stop_thread()


def receive_start(control: socket.socket) -> Start:
    """Wait for the first message. Raises OSError, ValueError."""
    control.settimeout(WORKER_START)
    size = int.from_bytes(receive(control, _PREFIX), "little")
    start = decode_order(receive(control, size))
    control.settimeout(None)
    if not isinstance(start, Start):
        raise ValueError(f"the first message is no start: {type(start).__name__}")
    return start


def receive(control: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes. Raises OSError."""
    data = bytearray()
    while len(data) < size:
        more = control.recv(size - len(data))
        if not more:
            raise ConnectionError("the supervisor is gone")
        data += more
    return bytes(data)


def refuse(control: socket.socket, reason: str) -> int:
    """Tell the supervisor why there is no start; the exit code."""
    message = encode(NotStarted(reason))
    with suppress(OSError):
        control.sendall(len(message).to_bytes(_PREFIX, "little") + message)
    return FAILED


class Worker:
    """One server, told by its supervisor what to do."""

    def __init__(self, start: Start, loaded: LoadedConfig, control: socket.socket) -> None:
        self._start = start
        self._config = loaded.config
        self._control = control
        self._stopping = asyncio.Event()
        self._is_orphan = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> int:
        """Start every part, wait for the end, stop; the exit code. Raises OSError or ValueError: no start."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        engine_link = EngineLink(SystemClock(loop), self._on_orphaned)
        engine_socket = socket.socket(fileno=self._start.engine)
        await loop.create_unix_connection(engine_link.protocol, sock=engine_socket)
        control = SharedController(engine_link)
        local = Engine(SharedBroker(engine_link), SharedPresence(engine_link), control, control)
        engine = await open_engine(self._config, SystemClock(loop), local)
        passed = [PassedSocket(socket.socket(fileno=fd), name) for fd, name in self._start.sockets]
        server = Server(
            self._config,
            passed,
            engine=engine,
            number=self._start.number,
            workers=worker_count(self._config.workers),
            has_engine=lambda: not self._is_orphan,
        )
        server.node.admission.share(Line(*self._start.ledger))
        await server.start()
        self._configuration = NodeConfiguration(server.node, server.clock)
        # A copy: the loop closes what it is given, and a failure is told by the other.
        await loop.create_unix_connection(self._link, sock=self._control.dup())
        serving = [(list(names), place.host, place.port) for names, place in server.serving]
        self._report(Ready(server.status, serving))
        await self._stopping.wait()
        await server.stop()
        return FAILED if self._is_orphan else 0

    def _report(self, report: Report) -> None:
        self._supervisor.send(encode(report))

    def _link(self) -> Link:
        self._supervisor = Link(self)
        return self._supervisor

    # ------------------------------------------------- called by the link

    def on_message(self, link: Link, message: bytes) -> None:
        """Do what is ordered."""
        match decode_order(message):
            case Ping():
                self._report(Pong())
            case ReopenLog():
                log.reopen()
            case Reconfigure(number, config):
                task = asyncio.get_running_loop().create_task(self._reconfigure(number, config))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def on_crowded(self, link: Link, is_crowded: bool) -> None:
        """What little is said here can wait."""

    def on_lost(self, link: Link) -> None:
        """The supervisor is gone."""
        self._on_orphaned()

    # -------------------------------------------------------------- inside

    def _on_orphaned(self) -> None:
        """Without supervisor, or without engine: disconnect everybody, and end soon, whatever hangs."""
        if self._is_orphan:
            return
        self._is_orphan = True
        log.error("the supervisor is gone, the worker stops")
        asyncio.get_running_loop().call_later(WORKER_ORPHAN, self._end_at_once)
        self._stopping.set()

    def _end_at_once(self) -> None:
        log.fatal("the worker has not stopped in time", timeout=WORKER_ORPHAN)
        log.stop_thread()
        os._exit(FAILED)

    async def _reconfigure(self, number: int, packed: bytes) -> None:
        try:
            old = await self._configuration.apply(unpack_config(packed))
        except Exception as error:  # noqa: BLE001 - the boundary: the supervisor replaces this worker
            log.exception("worker could not be reconfigured")
            self._report(Reconfigured(number, str(error) or type(error).__name__))
            return
        self._report(Reconfigured(number, ""))
        await let_go(old)


if __name__ == "__main__":
    main()
