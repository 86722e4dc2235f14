"""HTTP/1.1 requests out of bytes (RFC 9112). Sans-I/O.

How it works: httptools, which is llhttp, the parser of Node.js, reads the bytes. It cannot stop between two
pipelined requests nor tell where one ended, so it is only ever given bytes of the present one:

    head          up to its empty line, as soon as that has arrived; before, bytes only wait
    sized body    as many bytes as Content-Length says
    chunked body  line by line, since the last byte of the coding is that of a line

So requests come out one by one, what follows an upgrade was never looked at, and nothing depends on how the
network split the bytes. What llhttp lets through and we do not, ``_parse_head`` refuses: two servers that read
a request differently are how requests are smuggled (RFC 9112 11.2). See docs/decisions/http-parsing.md.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import httptools
import msgspec

from centrifast.protocol.http_response import REASONS, Response, encode_response, text_response
from centrifast.protocol.known_heads import KnownHeads

__all__ = [
    "CONTINUE",
    "REASONS",
    "BadRequestError",
    "Request",
    "RequestParser",
    "Response",
    "encode_response",
    "has_token",
    "text_response",
]

HEAD_SIZE_LIMIT = 16 * 1024
"""Bytes of request line and headers; browsers stay below 8 KiB with large cookies."""

HEADER_COUNT_LIMIT = 100
"""Headers of one request; browsers send about 20."""

SMALL_BODY_SIZE = 64 * 1024
"""Bytes of a body that are taken from anybody; for more, the owner of the path is asked first."""

BLANK_LINE_LIMIT = 8
"""Empty lines forgiven before a request; RFC 9112 section 2.2 asks for at least one."""

CODING_SIZE_LIMIT = 1024
"""Bytes of a chunked body between two pieces of data: sizes and extensions, which mean nothing, or all trailers."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Possessive quantifiers: no backtracking, so the time is linear whatever a peer sends.
_START_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([!-~]++) HTTP/([0-9]\.[0-9])\r\n")
_USUAL_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})
_HOST = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*+")


class BadRequestError(Exception):
    """What arrived is not a request we serve: answer *status* with *text*, then close the connection."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request."""

    method: str
    path: str
    """Percent-decoded, without query; ``*`` and other odd targets match no route."""
    query: str
    """As sent, without the question mark."""
    headers: Mapping[str, str]
    """By lowercase name; values decoded as latin-1, without blanks around, repeated ones joined by ``, ``."""
    is_http_1_1: bool
    keep_alive: bool
    """Whether the connection may serve another request; never for HTTP/1.0."""
    is_upgrade: bool
    """Whether ``Connection`` has the token ``upgrade``; what follows may then be no HTTP."""
    body: bytes = b""


def has_token(value: str, token: str) -> bool:
    """Whether a comma-separated header value contains *token* (lowercase), whatever its case there."""
    lowered = value.lower()
    return lowered == token or (token in lowered and token in [part.strip() for part in lowered.split(",")])


def _split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target in origin form or absolute form (RFC 9112 section 3.2)."""
    if target[0] != "/" and (authority := target.find("://")) > 0:
        slash = target.find("/", authority + 3)
        target = target[slash:] if slash > 0 else "/"
    path, _, query = target.partition("?")
    return (unquote(path) if "%" in path else path), query


class _Message:
    """What llhttp reports of the present request; the names of the methods are those httptools looks for."""

    __slots__ = ("body", "complete", "headers")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> dict[str, str]:
        """Forget the last request; returns where the headers of the next will be."""
        headers: dict[str, str] = {}
        self.headers: dict[str, str] | None = headers  # None behind the head: trailers are dropped
        self.body = bytearray()
        self.complete = False
        return headers

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        headers = self.headers
        if headers is None:
            return
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").rstrip("\t ")
        # Joining is also what makes a repeated Host invalid.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


_CHUNKED = -1
UNLIMITED = 1 << 62


class RequestParser:
    """Requests of one connection: ``feed`` what was read, then ``next`` until it returns None.

    *body_limit* is asked once for every request whose body is larger than ``SMALL_BODY_SIZE``, before more
    than that is kept: it returns the largest size allowed, 0 for any, or raises ``BadRequestError`` of its own.
    *known* are heads that other parsers have read; without it every head is.
    A request with ``keep_alive`` false is the last one: what follows is dropped (RFC 9112 section 9.6).
    """

    __slots__ = (
        "_blank_lines",
        "_body_left",
        "_body_limit",
        "_buffer",
        "_coding_size",
        "_current",
        "_error",
        "_had_last",
        "_known",
        "_limit",
        "_llhttp",
        "_message",
        "_position",
        "wants_continue",
    )

    def __init__(
        self, body_limit: Callable[[Request], int] = lambda _request: 0, known: KnownHeads | None = None
    ) -> None:
        self._body_limit = body_limit
        self._known = known
        self._message = _Message()  # an object of its own, so that no cycle keeps a connection alive
        self._llhttp = httptools.HttpRequestParser(self._message)
        self._buffer = b""
        self._position = 0  # of the first byte that llhttp was not given
        self._blank_lines = 0  # before the next request
        self._current: Request | None = None  # its body is being read
        self._body_left = 0  # bytes of it not yet given to llhttp, or _CHUNKED
        self._coding_size = 0  # bytes of the chunked coding since the last data
        self._limit = SMALL_BODY_SIZE
        self._error: BadRequestError | None = None
        self._had_last = False  # a request that ends the connection was returned
        self.wants_continue = False
        """Set while the peer waits for ``100 Continue`` before it sends the body."""

    @property
    def buffered(self) -> int:
        """Bytes read and not yet part of a request or its body."""
        return len(self._buffer) - self._position

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request has arrived."""
        return self._current is None and self._position == len(self._buffer)

    @property
    def reads_body(self) -> bool:
        """Whether a head is complete and its body is not."""
        return self._current is not None

    def feed(self, data: bytes) -> None:
        """Add bytes as read from the socket."""
        rest = self.take_rest()
        self._buffer = rest + data if rest else data

    def take_rest(self) -> bytes:
        """What was read beyond the request last returned; it leaves the parser."""
        rest = self._buffer[self._position :]
        self._buffer = b""
        self._position = 0
        return rest

    def next(self) -> Request | None:
        """The next complete request, or None until more bytes come.

        Raises ``BadRequestError``, from then on each time: where the next request begins is unknown.
        """
        if self._error is not None:
            raise self._error
        if self._had_last:
            self.take_rest()
            return None
        try:
            request = self._read_body() if self._current is not None else self._read_head()
        except BadRequestError as error:
            self._error = error
            self._message.begin()
            self.take_rest()
            raise
        if request is not None:
            self._had_last = not request.keep_alive
        return request

    def _read_head(self) -> Request | None:
        """Give llhttp a head that has arrived as a whole; the request if its body has, too."""
        buffer, start = self._buffer, self._position
        while buffer.startswith(b"\r\n", start):
            self._position = start = start + 2
            self._blank_lines += 1
            if self._blank_lines > BLANK_LINE_LIMIT:
                raise BadRequestError(400, "too many empty lines")
        size = len(buffer) - start
        if not size or (size == 1 and buffer[start] == 0x0D):
            return None
        if not 0x21 <= buffer[start] <= 0x7E:  # a TLS hello, say: no reason to wait for the end of the head
            raise BadRequestError(400, "malformed request head")
        end = buffer.find(b"\r\n\r\n", start, start + HEAD_SIZE_LIMIT) + 4
        if end < 4:
            if size >= HEAD_SIZE_LIMIT:
                raise BadRequestError(431, "request head too large")
            return None
        self._blank_lines = 0
        head = buffer[start:end]
        known = self._known.find(head) if self._known is not None else None
        self._position = end
        if known is not None:
            self._message.begin()
            self._message.headers = None  # those of the stand-in say nothing new
            self._llhttp.feed_data(known.stand_in)
            self._current, self._body_left = known.request, known.body_size
            return self._read_body()
        request = self._parse_head(head)
        if self._known is not None:
            self._known.note(head, request, self._body_left)
        if not self._body_left:
            return request
        self._current = request
        self._limit = SMALL_BODY_SIZE
        self._check_size(self._body_left)
        self.wants_continue = "expect" in request.headers and request.is_http_1_1 and end == len(buffer)
        return self._read_body()

    def _parse_head(self, head: bytes) -> Request:
        """Have a complete head read, and refuse what llhttp lets through. Raises ``BadRequestError``."""
        # llhttp also takes RTSP, no version, several blanks before the target, and HTTP/0.9 and 2.0.
        start_line = _START_LINE.match(head)
        if start_line is None:
            raise BadRequestError(400, "malformed request line")
        method, target, version = start_line.groups()
        is_http_1_1 = version == b"1.1"
        if not is_http_1_1 and version != b"1.0":
            raise BadRequestError(505, "unknown HTTP version")
        if head.count(b"\r\n") - 2 > HEADER_COUNT_LIMIT:
            raise BadRequestError(431, "too many headers")
        headers = self._message.begin()
        # llhttp knows a list of methods and has its own ideas about some; which are served, the path says.
        self._feed_head(head if method in _USUAL_METHODS else b"POST" + head[len(method) :])
        self._message.headers = None
        if is_http_1_1 and "host" not in headers:
            raise BadRequestError(400, "missing Host")
        if not _HOST.fullmatch(headers.get("host", "")):
            raise BadRequestError(400, "bad Host")
        self._body_left = _body_size(headers, is_http_1_1)
        if self._body_left and self._message.complete:
            self._read_body_of_upgrade(headers)
        assert self._message.complete == (not self._body_left)
        expectation = headers.get("expect")
        if expectation is not None and expectation.lower() != "100-continue":
            raise BadRequestError(417, "unknown expectation")
        connection = headers.get("connection")
        keep_alive = is_http_1_1 and (connection is None or not has_token(connection, "close"))
        if "proxy-connection" in headers and has_token(headers["proxy-connection"], "close"):
            keep_alive = False  # llhttp takes it for Connection and would refuse the next request
        path, query = _split_target(target.decode())
        is_upgrade = is_http_1_1 and connection is not None and has_token(connection, "upgrade")
        return Request(method.decode(), path, query, headers, is_http_1_1, keep_alive, is_upgrade)

    def _feed_head(self, head: bytes) -> None:
        try:
            self._llhttp.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # who serves the path decides that
        except httptools.HttpParserError as error:
            reason = str(error)
            if "Transfer-Encoding" in reason and "Content-Length" not in reason:
                raise BadRequestError(501, "unknown transfer coding") from None
            raise BadRequestError(400, reason) from None

    def _read_body_of_upgrade(self, headers: Mapping[str, str]) -> None:
        """Have llhttp read the body of a request that asks for another protocol, by a head that does not.

        By itself it skips that body, but such requests stay HTTP: Java's client sends ``Upgrade: h2c`` with each.
        """
        name = "content-length" if "content-length" in headers else "transfer-encoding"
        self._message.complete = False
        # Not the same parser: a length that was skipped may still count there.
        self._llhttp = httptools.HttpRequestParser(self._message)
        self._llhttp.feed_data(f"POST / HTTP/1.1\r\n{name}: {headers[name]}\r\n\r\n".encode())

    def _check_size(self, size: int) -> None:
        """Refuse a body of *size* bytes if its path does not take as many."""
        if size <= self._limit:
            return
        assert self._current is not None
        if self._limit == SMALL_BODY_SIZE:
            self._limit = self._body_limit(self._current) or UNLIMITED
        if size > self._limit:
            raise BadRequestError(413, "request body too large")

    def _read_body(self) -> Request | None:
        """Give llhttp what has arrived of the body; the request when it is complete."""
        request = self._current
        assert request is not None
        message = self._message
        while not message.complete:
            buffer, start = self._buffer, self._position
            if start == len(buffer):
                return None
            self.wants_continue = False
            if self._body_left == _CHUNKED:
                end = buffer.find(b"\n", start) + 1 or len(buffer)
                self._position = end
                self._feed_coded(buffer[start:end])
            else:
                self._position = min(len(buffer), start + self._body_left)
                self._body_left -= self._position - start
                self._llhttp.feed_data(buffer[start : self._position])
                assert message.complete == (not self._body_left)
        self._current = None
        return msgspec.structs.replace(request, body=bytes(message.body))

    def _feed_coded(self, piece: bytes) -> None:
        """Give llhttp a piece of a chunked body: at most a line, data before coding."""
        body, broken = self._message.body, False
        size_before = len(body)
        try:
            self._llhttp.feed_data(piece)
        except httptools.HttpParserError:
            broken = True
        data_size = len(body) - size_before
        if data_size:
            self._check_size(len(body))  # goes before an error behind the data, as if they had come apart
            self._coding_size = 0
        self._coding_size += len(piece) - data_size
        if broken or self._coding_size > CODING_SIZE_LIMIT:
            raise BadRequestError(400, "malformed chunked body")


def _body_size(headers: Mapping[str, str], is_http_1_1: bool) -> int:
    """Size of a body, or ``_CHUNKED``. That there is one length, or else a coding, llhttp has checked."""
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if not is_http_1_1:
            raise BadRequestError(400, "Transfer-Encoding in an HTTP/1.0 request")
        if coding.lower() != "chunked":  # llhttp wants it to be the last one only
            raise BadRequestError(501, "unknown transfer coding")
        return _CHUNKED
    length = headers.get("content-length", "0")
    if len(length) > 18:  # llhttp counts up to 2^64, others less far
        raise BadRequestError(400, "bad Content-Length")
    return int(length)
