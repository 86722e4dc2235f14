"""HTTP/1.1 and WebSocket over a blocking socket, as far as a probe needs them; every wait has a deadline.

By hand, because a probe wants to see what libraries hide: the exact answer to a handshake, and when each byte came.
"""

import base64
import hashlib
import os
import re
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from centrifast.limits import KIB

HEAD_SIZE = 64 * KIB
BODY_SIZE = 512 * KIB
FRAME_SIZE = 1024 * KIB

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_STATUS = re.compile(r"[1-9][0-9]{2}")
_LENGTH = re.compile(r"[0-9]{1,9}")
_SCHEMES = {"ws": False, "http": False, "wss": True, "https": True}


class ProbeError(Exception):
    """The other side could not be talked to; the text says at which step and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as in a ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of a page from there."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"


def parse_url(url: str) -> Target:
    """Take a URL apart. Raises ProbeError."""
    try:
        parts = urlsplit(url)
        tls = _SCHEMES[parts.scheme]
        port = parts.port or (443 if tls else 80)
    except (ValueError, KeyError):
        raise ProbeError(
            f"{url!r} is not a URL that begins with ws://, wss://, http:// or https://"
        ) from None
    if not parts.hostname or any(character <= " " for character in url):
        raise ProbeError(f"{url!r} has no host, or blanks in it")
    query = f"?{parts.query}" if parts.query else ""
    return Target(tls, parts.hostname, port, (parts.path or "/") + query)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: names of headers in lower case, at most ``BODY_SIZE`` of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return a header, empty if it is absent."""
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class Frame:
    """A WebSocket frame as received."""

    opcode: int
    payload: bytes


@dataclass(slots=True)
class Wire:
    """One connection. Each call ends within its time, or raises ProbeError or TimeoutError."""

    socket: socket.socket
    certificate: bytes = b""
    """The peer's certificate in DER form, with TLS."""
    _buffer: bytearray = field(default_factory=bytearray)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def send(self, data: bytes, timeout: float) -> None:
        """Write everything."""
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise ProbeError(f"sending failed: {reason_of(error)}") from error

    def fill(self, deadline: float) -> bool:
        """Read something; False at the end. Raises TimeoutError when *deadline* (monotonic) has passed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise ProbeError(f"the connection broke: {reason_of(error)}") from error
        self._buffer += data
        return bool(data)

    def read_answer(self, deadline: float, *, with_body: bool = True) -> Answer:
        """Read an HTTP answer; without body the rest stays for ``read_frame`` or ``wait_for_byte``."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > HEAD_SIZE:
                raise ProbeError("the head of the answer is too long")
            if not self.fill(deadline):
                raise ProbeError("the connection was closed without an answer")
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        status, headers = _parse_head(head)
        answer = Answer(status, headers)
        if not with_body or status == 101:
            return answer
        return Answer(status, headers, self._read_body(headers, deadline))

    def _read_body(self, headers: Mapping[str, str], deadline: float) -> bytes:
        length = headers.get("content-length", "")
        wanted = min(int(length), BODY_SIZE) if _LENGTH.fullmatch(length) else BODY_SIZE
        try:
            while len(self._buffer) < wanted and self.fill(deadline):
                pass
        except (TimeoutError, ProbeError):
            pass  # the head is what matters
        body = bytes(self._buffer[:wanted])
        self._buffer.clear()
        return body

    def wait_for_byte(self, deadline: float) -> bool:
        """Wait for the first byte of a body; False at its end."""
        return bool(self._buffer) or self.fill(deadline)

    def send_frame(self, opcode: int, payload: bytes, timeout: float) -> None:
        """Send a masked frame of less than 64 KiB."""
        size = len(payload)
        head = bytes([0x80 | opcode]) + (
            bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        )
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self.send(head + mask + masked, timeout)

    def read_frame(self, deadline: float) -> Frame | None:
        """Read a frame; None when the connection ends."""
        try:
            head = self._take(2, deadline)
            size = head[1] & 0x7F
            if size > 125:
                form, count = ("!H", 2) if size == 126 else ("!Q", 8)
                (size,) = struct.unpack(form, self._take(count, deadline))
            if size > FRAME_SIZE:
                raise ProbeError("what comes is no WebSocket frame, or a giant one")
            return Frame(head[0] & 0x0F, self._take(size, deadline))
        except EOFError:
            return None

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            if not self.fill(deadline):
                raise EOFError
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not first.startswith("HTTP/") or len(words) < 2 or not _STATUS.fullmatch(words[1]):
        raise ProbeError(f"the answer is not HTTP: {first[:60]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


def connect(target: Target, timeout: float, *, verify: bool = True) -> Wire:
    """Open a connection, with TLS if the target has it. Raises ProbeError, naming the step."""
    try:
        plain = socket.create_connection((target.host, target.port), timeout)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: no name at all
        raise ProbeError(f"the name {target.host} can not be resolved: {reason_of(error)}") from error
    except OSError as error:
        raise ProbeError(
            f"{target.authority} (port {target.port}) can not be reached: {reason_of(error)}"
        ) from error
    if not target.tls:
        return Wire(plain)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        secured = context.wrap_socket(plain, server_hostname=target.host)
    except (OSError, ValueError) as error:
        plain.close()
        raise ProbeError(f"TLS failed: {reason_of(error)}") from error
    return Wire(secured, secured.getpeercert(binary_form=True) or b"")


def reason_of(error: BaseException) -> str:
    """Say shortly why a system call or a TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def head_of(target: Target, headers: Mapping[str, str], method: str = "GET") -> bytes:
    """Write the head of a request."""
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in {"User-Agent": "centrifast-doctor", **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def get(target: Target, timeout: float, *, verify: bool = True) -> Answer:
    """GET something. Raises ProbeError, also when it takes too long."""
    deadline = time.monotonic() + timeout
    wire = connect(target, timeout, verify=verify)
    try:
        wire.send(head_of(target, {"Connection": "close", "Accept": "*/*"}), timeout)
        return wire.read_answer(deadline)
    except TimeoutError:
        raise ProbeError(f"no answer within {timeout:g} s") from None
    finally:
        wire.close()


def new_key() -> str:
    """Return a key for a WebSocket handshake."""
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key: str) -> str:
    """Return what a server must answer to a key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()
