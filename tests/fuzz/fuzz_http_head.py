"""Any bytes are requests or refused, however they are split; what is accepted, h11 reads the same way.

h11 is a parser written from the RFC alone. Two parsers that disagree on where a request ends are how requests
are smuggled, so whatever ours lets through must mean the same to another one, or nothing.
"""

from urllib.parse import unquote

import h11

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
    b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab"
    b"CONNECT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"PUT * HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n\r\n",
    b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n folded\r\nA : b\r\nB\x00: c\nC: d\r\n\r\n",
]


def check(data: bytes) -> None:
    """Raises when the split matters, when anything but a refusal is raised, or when h11 disagrees."""
    assert read(bytewise(data)) == read([data])
    parser = RequestParser()
    parser.feed(data)
    try:
        request = parser.next()
    except BadRequestError:
        return
    if request is not None:
        _compare(request, data[: len(data) - parser.buffered])


def _compare(request: Request, data: bytes) -> None:
    """Raises when h11 takes *data*, which is one request, and reads anything else in it."""
    other = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data))
    events: list[object] = []
    try:
        other.receive_data(data.lstrip(b"\r\n"))  # it takes no empty lines before a request
        while not events or not isinstance(events[-1], h11.EndOfMessage):
            event = other.next_event()
            assert event is not h11.NEED_DATA
            events.append(event)
    except h11.RemoteProtocolError:
        return
    assert other.trailing_data[0] == b""
    head, *parts, _end = events
    assert isinstance(head, h11.Request)
    assert (head.method.decode(), head.http_version == b"1.1") == (request.method, request.is_http_1_1)
    if head.target.startswith(b"/"):
        path, _, query = head.target.decode().partition("?")
        assert (unquote(path), query) == (request.path, request.query)
    assert b"".join(part.data for part in parts if isinstance(part, h11.Data)) == request.body
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers:  # which it turns into lowercase
        headers["transfer-encoding"] = request.headers["transfer-encoding"]
    assert headers == request.headers


if __name__ == "__main__":
    main(check, SEEDS)
