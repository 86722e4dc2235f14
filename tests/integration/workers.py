"""A daemon of several workers, and which of them has which connection."""

import http.client
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil

from tests.integration.daemon import WAIT, Daemon, eventually
from tests.raw_websocket import RawWebSocket

TRIES = 500
"""Connections after which each of a few workers has one: with three, all but 1e-87 of the time."""


class Connected(Protocol):
    """Something with a socket."""

    @property
    def socket(self) -> Any:
        """The socket."""


C = TypeVar("C", bound=Connected)


class ApiConnection:
    """A connection to the server API that is kept."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._http.connect()

    def __enter__(self) -> "ApiConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def socket(self) -> Any:
        """The socket."""
        return self._http.sock

    def call(self, method: str, **parameters: Any) -> Any:
        """A call of the API; its result."""
        self._http.request("POST", f"/api/{method}", json.dumps(parameters), {"X-API-Key": "key"})
        answer = json.loads(self._http.getresponse().read())
        assert "error" not in answer, answer
        return answer["result"]


class WorkersDaemon(Daemon):
    """See :class:`Daemon`; it is up when every worker is."""

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, Any] | None = None,
        *,
        workers: int | str = 3,
        **options: Any,
    ) -> None:
        super().__init__(folder, {"workers": workers, **(changes or {})}, **options)
        self.workers = workers

    def __enter__(self) -> "WorkersDaemon":
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until every worker serves."""
        super().start()
        if self._answers:
            eventually(self.is_serving, "all workers")

    def is_serving(self) -> bool:
        """Whether it says that all workers serve."""
        return any(event["message"].startswith("serving ") for event in self.events())

    def pids(self) -> list[int]:
        """The workers' processes."""
        return [child.pid for child in psutil.Process(self.pid).children()]

    def pid_of(self, connected: Connected) -> int:
        """The worker that has accepted a connection."""
        host, port, *_ = connected.socket.getsockname()
        return int(eventually(lambda: self._owner_of(host, port), "a worker that has the connection"))

    def _owner_of(self, host: str, port: int) -> int:
        for child in psutil.Process(self.pid).children():
            try:
                connections = child.net_connections("tcp")
            except psutil.Error:  # it has just ended
                continue
            peers = (one.raddr for one in connections if one.raddr)
            if any(peer.port == port and peer.ip.endswith(host) for peer in peers):  # ::ffff:127.0.0.1
                return child.pid
        return 0

    def one_each(self, stack: ExitStack, open_one: Callable[[], Any]) -> dict[int, Any]:
        """Open connections until every worker has one; those by process id."""
        found: dict[int, Any] = {}
        pids = set(self.pids())
        for _ in range(TRIES):
            connected = open_one()
            pid = self.pid_of(connected)
            if pid in found:
                connected.__exit__(None, None, None)
            else:
                found[pid] = stack.enter_context(connected)
            if found.keys() >= pids:
                return found
        raise AssertionError(f"{TRIES} connections, and none to {pids - found.keys()}")

    def clients(self, stack: ExitStack, timeout: float = WAIT) -> dict[int, RawWebSocket]:
        """A client that is connected to each worker."""
        clients = self.one_each(stack, lambda: RawWebSocket(self.port, timeout=timeout))
        for client in clients.values():
            client.connect()
        return clients

    def apis(self, stack: ExitStack) -> dict[int, ApiConnection]:
        """A connection of a backend to each worker."""
        return self.one_each(stack, lambda: ApiConnection(self.port))


def gone(pids: list[int]) -> bool:
    """Whether none of the processes is there any more."""
    return not any(psutil.pid_exists(pid) and is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether a process is more than an entry that nobody has read yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_free(port: int) -> bool:
    """Whether a port can be had by somebody who does not share it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            probe.listen()
        except OSError:
            return False
        return True
