"""Any bytes are requests or refused, however they are split; what is accepted, llhttp reads the same way.

llhttp is the parser of Node.js. Two parsers that disagree on where a request ends are how requests are
smuggled, so whatever ours lets through must mean the same to another one, or nothing.
"""

import httptools

from centrifast.protocol.http1 import BadRequestError, Request, RequestParser
from tests.fuzz.mutate import main
from tests.protocol.http1_sides import bytewise, read

SEEDS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /api/publish?a=b HTTP/1.1\r\nHost: a:8000\r\nX-API-Key: k\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1\r\n\r\nx",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    b"HEAD http://a/b%20c HTTP/1.0\r\nConnection: close\r\nA:b\r\nA: \tc \r\n\r\n",
    b"PUT * HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n\r\n",
    b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n folded\r\nA : b\r\nB\x00: c\nC: d\r\n\r\n",
]


class _Llhttp:
    """What llhttp makes of the first request."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self.refused = False
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.refused = True

    def on_url(self, url: bytes) -> None:
        if not self.complete:
            self.url += url

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").rstrip("\t ")
        if not self.complete:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_message_complete(self) -> None:
        if not self.complete:
            self.complete = True
            self.method = self.parser.get_method().decode()


# Methods that llhttp knows and whose requests it reads like any other; it refuses names it does not know.
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def check(data: bytes) -> None:
    """Raises when the split matters, when anything but a refusal is raised, or when llhttp disagrees."""
    assert read(bytewise(data)) == read([data])
    parser = RequestParser()
    parser.feed(data)
    try:
        request = parser.next()
    except BadRequestError:
        return
    if request is not None and request.method in _KNOWN_METHODS:
        _compare(request, data[: len(data) - parser.buffered], len(data) == parser.buffered)


def _compare(request: Request, data: bytes, nothing_taken: bool) -> None:
    assert not nothing_taken
    other = _Llhttp(data)
    if other.refused:
        return
    trailers = set(other.headers) - set(request.headers)  # llhttp reports those of a chunked body as headers
    assert not trailers or "transfer-encoding" in request.headers
    assert other.complete
    assert other.method == request.method
    if "upgrade" not in request.headers:  # llhttp stops before the body, as another protocol may begin there
        assert other.body == request.body
    for name, value in request.headers.items():
        assert other.headers[name] == value or "transfer-encoding" in request.headers


if __name__ == "__main__":
    main(check, SEEDS)
