"""A server in a thread that does to each connection what the test says, over real sockets."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Script = Callable[[socket.socket], None]
WAIT = 20.0


@contextmanager
def scripted_server(scripts: Sequence[Script], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on a free port; the connections run the scripts in turn, side by side, and end with them."""
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket, script: Script) -> None:
        connection.settimeout(WAIT)
        try:
            with tls.wrap_socket(connection, server_side=True) if tls is not None else connection as talking:
                script(talking)
        except OSError:
            pass  # the client has gone

    def accept() -> None:
        for script in scripts:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                return
            thread = threading.Thread(target=serve, args=(connection, script))
            thread.start()
            threads.append(thread)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            except OSError:
                pass  # it is closed already
            acceptor.join(WAIT)
            for thread in threads:
                thread.join(WAIT)
    assert not acceptor.is_alive()
    assert not any(thread.is_alive() for thread in threads)


def read_head(connection: socket.socket) -> str:
    """Read the head of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(4096)
        if not received:
            raise ConnectionResetError
        data += received
    return data.decode("latin-1")


def answering(data: bytes) -> Script:
    """Read a request, answer it, and wait until the client leaves."""

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR) if not isinstance(connection, ssl.SSLSocket) else None
        while connection.recv(4096):
            pass

    return script


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
