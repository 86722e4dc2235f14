"""A WebSocket client that can do everything wrong: it writes the frames it is told to and shows those that come."""

import json
import os
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
RSV1 = 4  # of the three reserved bits: the message is deflated (RFC 7692 section 6)
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


@dataclass(frozen=True)
class Frame:
    """One frame as received."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def close_code(self) -> int:
        """Status of a close frame; 1005 when it has none (RFC 6455 section 7.1.5)."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else 1005

    @property
    def inflated(self) -> "Frame":
        """The same without compression; demands that it made the frame smaller."""
        if self.rsv != RSV1:
            return self
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        payload = inflater.decompress(self.payload + b"\x00\x00\xff\xff")
        assert len(payload) > len(self.payload)
        return Frame(self.opcode, payload, self.fin)


def deflated(payload: bytes, level: int = 6) -> bytes:
    """A message as a client deflates it, without context takeover (RFC 7692 section 7.2.1)."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    whole = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return whole.removesuffix(b"\x00\x00\xff\xff")


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A client frame, right or wrong."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class RawWebSocket:
    """One connection. Every wait ends after *timeout* seconds with TimeoutError."""

    def __init__(
        self,
        port: int,
        path: str = "/connection/websocket",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 20.0,
        receive_buffer: int | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._buffer = b""
        self._next_id = 0
        self._inbox: list[dict[str, Any]] = []
        lines = {
            "Host": "localhost",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send_bytes(head.encode() + b"\r\n")
        self.response = self._read_head()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def status(self) -> int:
        """Status of the answer to the upgrade request."""
        return int(self.response.split(" ")[1])

    def header(self, name: str) -> str | None:
        """A header of that answer."""
        for line in self.response.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    # ---------------------------------------------------------------- frames

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def send_frame(self, opcode: int, payload: bytes = b"", **wrong: Any) -> None:
        """One frame; *wrong* as in :func:`frame`."""
        self.send_bytes(frame(opcode, payload, **wrong))

    def send_text(self, text: str) -> None:
        """A whole text message."""
        self.send_frame(TEXT, text.encode())

    def receive(self) -> Frame | None:
        """The next frame; None when the peer has closed the socket."""
        try:
            head = self._take(2)
            size = head[1] & 0x7F
            if size == 126:
                size = struct.unpack("!H", self._take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self._take(8))[0]
            return Frame(head[0] & 0x0F, self._take(size), bool(head[0] & 0x80), head[0] >> 4 & 7)
        except (EOFError, ConnectionResetError):
            return None

    def receive_close(self) -> Frame:
        """Skip to the close frame."""
        while True:
            received = self.receive()
            assert received is not None, "the socket was closed without a close frame"
            if received.opcode == CLOSE:
                return received

    def is_closed_by_peer(self) -> bool:
        """Answer the close frame, if any, and see the socket closed."""
        while (received := self.receive()) is not None:
            if received.opcode == CLOSE:
                self.send_frame(CLOSE, received.payload[:2])
        return True

    # -------------------------------------------------------- JSON protocol

    def command(self, **request: Any) -> dict[str, Any]:
        """Send one command and wait for its reply."""
        self._next_id += 1
        self.send_text(json.dumps({"id": self._next_id, **request}))
        return self.reply(self._next_id)

    def reply(self, number: int) -> dict[str, Any]:
        """Wait for the reply with this id."""
        return self._next_message(lambda message: message.get("id") == number)

    def push(self) -> dict[str, Any]:
        """The next push."""
        push: dict[str, Any] = self._next_message(lambda message: "push" in message)["push"]
        return push

    def connect(self, **request: Any) -> dict[str, Any]:
        """Send connect and demand success; its result."""
        answer = self.command(connect=request)
        assert "connect" in answer, answer
        result: dict[str, Any] = answer["connect"]
        return result

    def subscribe(self, channel: str, **request: Any) -> dict[str, Any]:
        """Send subscribe and demand success; its result."""
        answer = self.command(subscribe={"channel": channel, **request})
        assert "subscribe" in answer, answer
        result: dict[str, Any] = answer["subscribe"]
        return result

    def _next_message(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Take the first message that is *wanted*; the others are kept in their order."""
        looked_at = 0
        while True:
            for index in range(looked_at, len(self._inbox)):
                if wanted(self._inbox[index]):
                    return self._inbox.pop(index)
            looked_at = len(self._inbox)
            received = self.receive()
            assert received is not None, "the server closed the socket"
            assert received.opcode == TEXT, received
            self._inbox += [json.loads(line) for line in received.inflated.payload.split(b"\n")]

    # -------------------------------------------------------------- inside

    def _read_head(self) -> str:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._buffer += data
