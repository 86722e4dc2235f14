"""Any bytes behind a handshake are served as RFC 6455 says, and cost at most their own connection.

Each input goes to the echo endpoint, whose answer is compared with that of a plain model, and to the client
endpoint, which must answer with whole frames of JSON and hang up. Between two inputs another connection must work.
"""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from types import TracebackType

from tests.fuzz.mutate import main
from tests.in_process_server import InProcessServer
from tests.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    TEXT,
    Frame,
    RawWebSocket,
    frame,
)

LIMIT = 2048  # a small message_size_limit, so that damaged lengths are often near it
CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}

MESSAGE = frame(TEXT, "héllo".encode())
LONG = frame(BINARY, bytes(range(200)))
FRAGMENTS = frame(TEXT, b"\xe2\x82", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"\xac")
SEEDS = [
    MESSAGE,
    MESSAGE * 3 + LONG,
    FRAGMENTS + MESSAGE,
    frame(BINARY, b"a", fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"b"),
    frame(PING, b"") + frame(PONG, b"x") + frame(PING, b"x" * 125),
    frame(BINARY, bytes(LIMIT)) + MESSAGE,
    frame(BINARY, bytes(LIMIT - 1), fin=False) + frame(CONTINUATION, b"xy"),
    frame(BINARY, bytes(LIMIT + 1)) + MESSAGE,
    b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask",
    MESSAGE + frame(CLOSE, b"\x03\xe8bye") + MESSAGE,
    frame(CLOSE, b"\x0b\xb8" + "κ".encode()),
    frame(CLOSE, b"\x13\x88"),
    frame(CLOSE, b""),
    MESSAGE + frame(3, b"x") + MESSAGE,
    MESSAGE + frame(TEXT, b"x", rsv=4) + MESSAGE,
    MESSAGE + frame(TEXT, b"x", masked=False) + MESSAGE,
    frame(TEXT, b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}')
    + frame(TEXT, b'{"id":3,"publish":{"channel":"news","data":{"a":1}}}')
    + frame(TEXT, b'{"id":4,"unsubscribe":{"channel":"news"}}'),
    frame(BINARY, b'{"id":1,"connect":{}}') + frame(TEXT, b"{}") + frame(CLOSE, b"\x03\xe8"),
]


class Violated(Exception):
    """The input breaks a rule; with the close code, and the reason if there is one."""


def answers(data: bytes, inflate: Callable[[bytes], bytes] | None = None) -> Iterator[Frame]:
    """What an echo server sends for *data*, its close frame included, if *data* ends the connection.

    With *inflate* messages may be deflated; what comes back is shown without that.
    """
    try:
        for opcode, payload in messages(data, inflate):
            if opcode == CLOSE:
                yield Frame(CLOSE, payload[:2])
                return
            yield Frame(PONG if opcode == PING else opcode, payload)
    except Violated as violated:
        code, *reason = violated.args
        yield Frame(CLOSE, struct.pack("!H", code) + b"".join(reason))


def messages(data: bytes, inflate: Callable[[bytes], bytes] | None) -> Iterator[tuple[int, bytes]]:
    """Whole messages, pings and closes in *data*; raises ``Violated`` where it goes wrong."""
    begun: tuple[int, bytes] | None = None
    is_deflated = False
    for opcode, fin, rsv, payload in frames(data):
        if opcode == CLOSE:
            check_close(payload)
        if rsv and not (rsv == RSV1 and inflate is not None and opcode in (TEXT, BINARY)):
            raise Violated(1002)
        if opcode == CLOSE and payload and struct.unpack("!H", payload[:2])[0] not in CLOSE_CODES:
            raise Violated(1002)
        if opcode in (PING, CLOSE):
            yield opcode, payload
        elif opcode == PONG:
            continue
        elif (opcode == CONTINUATION) != (begun is not None):
            raise Violated(1002)
        else:
            kind, start = begun or (opcode, b"")
            if len(start) + len(payload) > LIMIT:
                raise Violated(1009)
            is_deflated = bool(rsv) if begun is None else is_deflated
            begun = None if fin else (kind, start + payload)
            if fin:
                whole = inflate(start + payload) if inflate is not None and is_deflated else start + payload
                check_text(kind, whole)
                yield kind, whole


def check_close(payload: bytes) -> None:
    """What is refused before anything else is looked at; a reason that is no text has its own code."""
    if payload and (
        len(payload) == 1
        or struct.unpack("!H", payload[:2])[0] not in {0, *CLOSE_CODES, *range(5000, 65536), 1006}
    ):
        raise Violated(1002)
    check_text(TEXT, payload[2:])


def check_text(kind: int, payload: bytes) -> None:
    """Text must be UTF-8."""
    if kind == TEXT:
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise Violated(1007) from None


def frames(data: bytes) -> Iterator[tuple[int, bool, int, bytes]]:
    """Opcode, FIN, reserved bits and unmasked payload of each whole frame; what can be refused early is."""
    while len(data) >= 2:
        opcode, fin, rsv, size, start = data[0] & 15, data[0] >= 128, data[0] >> 4 & 7, data[1] & 127, 2
        control = opcode >= 8
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG) or data[1] < 128:
            raise Violated(1002)
        if control and (not fin or size > 125):
            raise Violated(1002)
        if size > 125:
            width, smallest = (2, 126) if size == 126 else (8, 65536)
            start += width
            if len(data) < start:
                return
            size = int.from_bytes(data[2:start], "big")
            if size < smallest or size >> 63:
                raise Violated(1002)
        if size > LIMIT:
            raise Violated(1009)
        mask, payload = data[start : start + 4], data[start + 4 : start + 4 + size]
        if len(mask) < 4 or len(payload) < size:
            return
        yield opcode, fin, rsv, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        data = data[start + 4 + size :]


class Target:
    """A server and a connection to it that must go on working. Use as a context manager."""

    def __enter__(self) -> "Target":
        self._server = InProcessServer({"websocket.message_size_limit": LIMIT}).__enter__()
        self._reference = self._server.echo()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reference.socket.close()
        self._server.__exit__(kind, error, trace)

    def check(self, data: bytes) -> None:
        """Raises when a connection gets what it should not, or another one is hurt."""
        assert answered(self._server.echo(), data) == list(answers(data))
        for received in answered(self._server.client(), data):
            if received.opcode == TEXT:
                for line in received.payload.split(b"\n"):
                    json.loads(line)
            else:
                assert received.opcode in (CLOSE, PONG)
        self._reference.send_text("still there")
        assert self._reference.receive() == Frame(TEXT, b"still there")
        assert self._server.take_errors() == []


def answered(client: RawWebSocket, data: bytes) -> list[Frame]:
    """Send *data* in two pieces and say no more; everything that comes until the server hangs up."""
    with client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cut = sum(data) % (len(data) + 1)
        try:
            client.send_bytes(data[:cut])
            client.send_bytes(data[cut:])
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has hung up already
        received = list(iter(client.receive, None))
        assert not client._buffer, "a frame is cut"
        return received


if __name__ == "__main__":
    with Target() as target:
        main(target.check, SEEDS)
