"""A cable between clients and the server that can be pulled out and put back."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 65536


class Cable:
    """Forwards TCP connections. Use as a context."""

    def __init__(self, server_port: int) -> None:
        self.received = 0
        """Bytes that clients have been sent, WebSocket and handshakes included."""
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_plugged = threading.Event()
        self._is_plugged.set()
        self._is_closed = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.pull()
        self.plug()  # lets go of those who wait
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        """The WebSocket endpoint behind it."""
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}/connection/websocket"

    def pull(self) -> None:
        """End all connections without a word; further ones wait."""
        self._is_plugged.clear()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def plug(self) -> None:
        """Let connections through again."""
        self._is_plugged.set()

    def lead_to(self, server_port: int) -> None:
        """Take connections from now on to another server."""
        self._server_port = server_port

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._start(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        """Carry one connection until either side ends."""
        self._is_plugged.wait()
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server_port)) as server:
            with self._lock:
                if self._is_closed or not self._is_plugged.is_set():
                    return
                self._open |= {client, server}
            back = threading.Thread(target=pump, args=(server, client, self._count), daemon=True)
            back.start()
            pump(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _count(self, size: int) -> None:
        with self._lock:
            self.received += size


def pump(
    source: socket.socket, target: socket.socket, count: Callable[[int], None] = lambda size: None
) -> None:
    """Carry bytes one way until one side ends, then end both; *count* is told of them before they go on."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            count(len(data))
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
