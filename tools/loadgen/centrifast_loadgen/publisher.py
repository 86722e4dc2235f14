"""A blocking HTTP/1.1 client for one kind of request: a small POST over a connection that stays open.

Its own code because ``http.client`` costs several times the CPU, on the core of the receivers.
"""

import socket

from centrifast_loadgen.settings import Target

RESPONSE_TIMEOUT = 30.0
MAX_RESPONSE = 1 << 20


class PublishError(Exception):
    """The server could not be reached, or its answer cannot be read."""


class Publisher:
    """One keep-alive connection, opened at the first post and again after a failure."""

    def __init__(self, target: Target, headers: dict[str, str]) -> None:
        self._target = target
        lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._socket: socket.socket | None = None

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Send *body*; return status and body. Raises PublishError, and the next post reconnects."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(
                    (self._target.host, self._target.port), RESPONSE_TIMEOUT
                )
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
            return self._read(self._socket)
        except (OSError, PublishError, ValueError) as error:
            self.close()
            raise PublishError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close the connection, if any."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, sock: socket.socket) -> tuple[int, bytes]:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _receive(sock, len(data))
        status, headers = _parse_head(data[:end])
        body = data[end + 4 :]
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += _receive(sock, len(body))
            body = _join_chunks(body)
        else:
            size = int(headers.get(b"content-length", b"0"))
            while len(body) < size:
                body += _receive(sock, len(body))
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return status, body


def _receive(sock: socket.socket, have: int) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise PublishError("the server closed the API connection")
    if have > MAX_RESPONSE:
        raise PublishError(f"a response of more than {MAX_RESPONSE} bytes")
    return data


def _parse_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    try:
        status = int(first.split(b" ", 2)[1])
        pairs = [line.split(b":", 1) for line in lines]
        return status, {name.strip().lower(): value.strip() for name, value in pairs}
    except (IndexError, ValueError) as error:
        raise PublishError(f"not an HTTP response: {first[:80]!r}") from error


def _join_chunks(body: bytes) -> bytes:
    joined, position = [], 0
    while position < len(body):
        line_end = body.index(b"\r\n", position)
        size = int(body[position:line_end].split(b";")[0], 16)
        joined.append(body[line_end + 2 : line_end + 2 + size])
        position = line_end + 2 + size + 2
    return b"".join(joined)
