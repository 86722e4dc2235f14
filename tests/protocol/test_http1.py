import gc
from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol.http1 import (
    BLANK_LINE_LIMIT,
    CODING_SIZE_LIMIT,
    HEAD_SIZE_LIMIT,
    HEADER_COUNT_LIMIT,
    SMALL_BODY_SIZE,
    BadRequestError,
    Request,
    RequestParser,
    has_token,
)
from centrifast.protocol.known_heads import KnownHeads
from tests.protocol.http1_sides import bytewise, read

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def every(data: bytes) -> list[Request]:
    parser = RequestParser()
    parser.feed(data)
    return list(iter(parser.next, None))


def one(data: bytes) -> Request:
    (request,) = every(data)
    return request


def head(*lines: str, start: str = "GET / HTTP/1.1") -> bytes:
    return "".join(f"{line}\r\n" for line in (start, "Host: a", *lines, "")).encode("latin-1")


def test_a_request_is_taken_apart() -> None:
    request = one(
        b"POST /a/b?c=d&e HTTP/1.1\r\nHoSt: x:8000\r\nX-API-Key:\t k \t\r\nContent-Length:4\r\n\r\n"
        b"\r\n\x00\xff"
    )
    assert (request.method, request.path, request.query) == ("POST", "/a/b", "c=d&e")
    assert request.headers == {"host": "x:8000", "x-api-key": "k", "content-length": "4"}
    assert request.body == b"\r\n\x00\xff"
    assert (request.is_http_1_1, request.keep_alive, request.is_upgrade) == (True, True, False)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a%20b%2f?c%20d", "/a b/", "c%20d"),
        ("/a?b?c", "/a", "b?c"),
        ("http://host:80/a?b", "/a", "b"),
        ("http://host", "/", ""),
        ("*", "*", ""),
        ("//a", "//a", ""),
        ("/%zz", "/%zz", ""),
    ],
)
def test_targets(target: str, path: str, query: str) -> None:
    request = one(head(start=f"GET {target} HTTP/1.1"))
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "PRI", "SETUP", "BREW", "get", "!"])
def test_any_method_is_read_like_any_other(method: str) -> None:
    first, second = every(head("Content-Length: 3", start=f"{method} /a HTTP/1.1") + b"abc" + GET)
    assert (first.method, first.path, first.body) == (method, "/a", b"abc")
    assert second.method == "GET"


def test_repeated_headers_are_joined() -> None:
    assert one(head("A: 1", "B: 2", "a: 3", "A:")).headers == {"host": "a", "a": "1, 3, ", "b": "2"}


def test_header_values_keep_bytes_above_ascii() -> None:
    assert one(head("A: \xe9\xff")).headers["a"] == "\xe9\xff"


@pytest.mark.parametrize(
    ("lines", "keep_alive", "is_upgrade"),
    [
        ((), True, False),
        (("Connection: close",), False, False),
        (("Connection: foo, Close",), False, False),
        (("Connection: keep-alive, Upgrade",), True, True),
        (("Connection: foo", "Connection: upgrade"), True, True),
        (("Connection: closed",), True, False),
        (("Proxy-Connection: keep-alive, close",), False, False),
        (("Proxy-Connection: upgrade", "Upgrade: x"), True, False),
    ],
)
def test_connection_header(lines: tuple[str, ...], keep_alive: bool, is_upgrade: bool) -> None:
    parser = RequestParser()
    parser.feed(head(*lines) + POST)
    request = parser.next()
    assert request is not None
    assert (request.keep_alive, request.is_upgrade) == (keep_alive, is_upgrade)
    assert (parser.next() is not None) == keep_alive


def test_http_1_0_closes_and_needs_no_host() -> None:
    request = one(b"GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\n\r\n")
    assert (request.is_http_1_1, request.keep_alive, request.is_upgrade) == (False, False, False)


def test_pipelined_requests_come_one_by_one() -> None:
    assert [item[:2] for item in read([POST + GET + b"\r\n\r\n" + CHUNKED + GET])] == [
        ("POST", "/a/b"),
        ("GET", "/"),
        ("POST", "/a"),
        ("GET", "/"),
    ]


def test_a_request_has_nothing_of_the_one_before() -> None:
    requests = every(head("A: b", "Content-Length: 3") + b"xyz" + CHUNKED + GET)
    assert [request.body for request in requests] == [b"xyz", b"abc", b""]
    assert requests[2].headers == {"host": "a"}


def test_empty_lines_before_a_request_are_forgiven_up_to_a_limit() -> None:
    forgiven = b"\r\n" * BLANK_LINE_LIMIT
    assert len(read([forgiven + GET + forgiven + GET])) == 2
    for data in (forgiven + b"\r\n" + GET, b"\r\n" * 500_000):
        assert read([data]) == read(bytewise(data[:100])) == [(400, "too many empty lines")]


@pytest.mark.parametrize(
    "last", [head("Connection: close"), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]
)
def test_what_follows_the_last_request_is_dropped(last: bytes) -> None:
    parser = RequestParser()
    assert len(read([last + GET, GET + b"\x00"], parser)) == 1
    assert parser.is_idle


@pytest.mark.parametrize("lines", [("Connection: close, upgrade",), ("Connection: upgrade", "Upgrade: x")])
def test_what_follows_an_upgrade_is_not_looked_at(lines: tuple[str, ...]) -> None:
    parser = RequestParser()
    parser.feed(head(*lines) + b"\x00\xff")
    request = parser.next()
    assert request is not None
    assert request.is_upgrade
    assert parser.take_rest() == b"\x00\xff"


@pytest.mark.parametrize("body", [b"3\r\nabc\r\n0\r\n\r\n", b"abc"])
@pytest.mark.parametrize("lines", [("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), ()])
def test_an_upgrade_to_nothing_of_ours_has_its_body(lines: tuple[str, ...], body: bytes) -> None:
    framing = "Content-Length: 3" if body == b"abc" else "Transfer-Encoding: chunked"
    data = head(*lines, framing, start="POST /a HTTP/1.1") + body + GET
    first, second = every(data)
    assert (first.body, len(first.headers), first.is_upgrade) == (b"abc", 2 + len(lines), bool(lines))
    assert (second.body, second.headers) == (b"", {"host": "a"})
    assert read(bytewise(data)) == read([data])


def test_what_follows_an_upgrade_can_be_taken() -> None:
    parser = RequestParser()
    parser.feed(head("Connection: upgrade") + b"\x81\x80frames")
    request = parser.next()
    assert request is not None
    assert request.is_upgrade
    assert parser.take_rest() == b"\x81\x80frames"
    assert parser.is_idle


# ------------------------------------------------------------------ refusals


REFUSED = {
    "no version": (b"GET /\r\n\r\n", 400),
    "lowercase version": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "version 2": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "version 0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "version 1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "version 1.10": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    "method with a bad sign": (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no method": (b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no target": (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "RTSP": (b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "ICE": (b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "authority as target of CONNECT": (b"CONNECT host:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority as target": (b"GET host:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "relative target": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare LF before": (b"\n" + GET, 400),
    "bare CR before": (b"\r" + GET, 400),
    "tab instead of blank": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "blank in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "control byte in target": (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "raw bytes in target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "trailing blank": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "missing host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (head("Host: a"), 400),
    "two hosts, one empty": (head("Host:"), 400),
    "path in host": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "blank before colon": (head("A : b"), 400),
    "no colon": (head("A"), 400),
    "empty name": (head(": b"), 400),
    "bad sign in name": (head("A(: b"), 400),
    "raw byte in name": (head("A\xe9: b"), 400),
    "folded line": (head("A: b", " c"), 400),
    "folded line with tab": (head("A: b", "\tc"), 400),
    "blank before first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "NUL in value": (head("A: b\x00c"), 400),
    "control byte in value": (head("A: b\x08c"), 400),
    "control byte deep in value": (head("A: " + "b" * 70 + "\x01" + "c" * 70), 400),
    "DEL in value": (head("A: \x7f"), 400),
    "bare CR in value": (head("A: b\rc"), 400),
    "bare LF": (head("A: b\nC: d"), 400),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: a\n\n\r\n\r\n", 400),
    "bare LF at the very end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n\r\n\r\n", 400),
    "bare LF in start line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare CR before LF": (head("A: b\r"), 400),
    "two lengths": (head("Content-Length: 3", "Content-Length: 3"), 400),
    "conflicting lengths": (head("Content-Length: 3", "Content-Length: 4"), 400),
    "list of lengths": (head("Content-Length: 3, 3"), 400),
    "signed length": (head("Content-Length: +3"), 400),
    "negative length": (head("Content-Length: -3"), 400),
    "hexadecimal length": (head("Content-Length: 0x3"), 400),
    "length with blank": (head("Content-Length: 3 3"), 400),
    "empty length": (head("Content-Length:"), 400),
    "superscript length": (head("Content-Length: \xb2"), 400),
    "huge length": (head("Content-Length: 1234567890123456789"), 400),
    "overflowing length": (head("Content-Length: 18446744073709551617"), 400),
    "length and chunked": (head("Content-Length: 3", "Transfer-Encoding: chunked"), 400),
    "chunked and length": (head("Transfer-Encoding: chunked", "Content-Length: 3"), 400),
    "length in trailers": (head("Transfer-Encoding: chunked") + b"0\r\nContent-Length: 3\r\n\r\n", 400),
    "chunked in HTTP/1.0": (head("Transfer-Encoding: chunked", start="GET / HTTP/1.0"), 400),
    "unknown coding": (head("Transfer-Encoding: gzip"), 501),
    "coding before chunked": (head("Transfer-Encoding: gzip, chunked"), 501),
    "coding before chunked in another line": (
        head("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
        501,
    ),
    "identity before chunked": (head("Transfer-Encoding: identity, chunked"), 501),
    "identity": (head("Transfer-Encoding: identity"), 501),
    "nothing before chunked": (head("Transfer-Encoding: ,chunked"), 501),
    "coding behind chunked": (head("Transfer-Encoding: chunked, gzip"), 501),
    "chunked with a parameter": (head("Transfer-Encoding: chunked;a=b"), 501),
    "coding of an upgrade": (head("Connection: upgrade", "Upgrade: x", "Transfer-Encoding: gzip"), 501),
    "chunked twice": (head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501),
    "chunked twice in a line": (head("Transfer-Encoding: chunked, chunked"), 501),
    "empty coding": (head("Transfer-Encoding:"), 501),
    "quoted coding": (head('Transfer-Encoding: "chunked"'), 501),
    "bad chunk size": (head("Transfer-Encoding: chunked") + b"x\r\n", 400),
    "bad end of chunk": (head("Transfer-Encoding: chunked") + b"1\r\nabc", 400),
    "unknown expectation": (head("Expect: 200-ok"), 417),
    "too many headers": (head(*["A: b"] * HEADER_COUNT_LIMIT), 431),
    "head too large": (head("A: " + "b" * HEAD_SIZE_LIMIT), 431),
    "endless blanks": (b"GET / HTTP/1.1\r\nHost: a\r\nA:" + b" " * HEAD_SIZE_LIMIT, 431),
    "endless head": (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * HEAD_SIZE_LIMIT, 431),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
def test_violations_are_refused_behind_what_came_before(data: bytes, status: int) -> None:
    found = read([POST + data + GET])
    assert [len(item) for item in found] == [7, 2]
    assert found[1][0] == status
    assert read(bytewise(POST + data + GET)) == found


def test_a_refusal_is_final() -> None:
    parser = RequestParser()
    parser.feed(b"\x00")
    for _ in range(2):
        with pytest.raises(BadRequestError):
            parser.next()
        parser.feed(GET)


def test_the_largest_head_is_taken() -> None:
    padding = HEAD_SIZE_LIMIT - len(head("A: "))
    assert one(head("A: " + "b" * padding)).headers["a"] == "b" * padding
    assert read([head("A: " + "b" * (padding + 1))])[0][0] == 431
    assert len(one(head(*(f"A{number}: b" for number in range(HEADER_COUNT_LIMIT - 1)))).headers) == 100


# --------------------------------------------------------------------- bodies


def test_a_small_body_needs_no_permission() -> None:
    def never(request: Request) -> int:
        raise AssertionError(request)

    parser = RequestParser(never)
    body = b"x" * SMALL_BODY_SIZE
    found = read([head(f"Content-Length: {len(body)}") + body], parser)
    assert found[0][-1] == body


def test_without_anybody_to_ask_any_size_is_taken() -> None:
    assert read([head("Content-Length: 100000") + bytes(100_000)])[0][-1] == bytes(100_000)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("limit", "is_taken"), [(0, True), (70_000, True), (69_999, False), (1, False)])
def test_a_large_body_is_asked_for_once(limit: int, is_taken: bool, is_chunked: bool) -> None:
    asked: list[str] = []

    def body_limit(request: Request) -> int:
        asked.append(request.path)
        return limit

    body = b"x" * 70_000
    if is_chunked:
        data = head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        data = head("Content-Length: 70000") + body
    for parts in ([data], [data[:100], data[100:40_000], data[40_000:]]):
        asked.clear()
        found = read(parts, RequestParser(body_limit))
        assert asked == ["/"]
        assert found[0][-1] == body if is_taken else found == [(413, "request body too large")]


def test_a_large_body_may_be_refused_for_another_reason() -> None:
    def body_limit(request: Request) -> int:
        raise BadRequestError(401, "")

    parser = RequestParser(body_limit)
    assert read([head("Content-Length: 100000")], parser) == [(401, "")]


def test_a_chunked_body_is_limited_over_all_chunks() -> None:
    data = head("Transfer-Encoding: chunked") + b"8000\r\n%b\r\n" % (b"x" * 0x8000) * 3
    assert read([data], RequestParser(lambda request: 70_000)) == [(413, "request body too large")]


def test_a_peer_that_expects_it_is_asked_to_continue() -> None:
    parser = RequestParser()
    parser.feed(head("Expect: 100-Continue", "Content-Length: 3"))
    assert parser.next() is None
    assert parser.wants_continue
    assert parser.reads_body
    parser.feed(b"abc")
    request = parser.next()
    assert request is not None
    assert request.body == b"abc"
    assert not parser.wants_continue


@pytest.mark.parametrize("data", [head("Expect: 100-continue"), POST, POST[:-1]])
def test_nobody_else_is(data: bytes) -> None:
    parser = RequestParser()
    parser.feed(data)
    parser.next()
    assert not parser.wants_continue


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        (b"0\r\n\r\n", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"003\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        (b'3;name=value;b;c="d;"\r\nabc\r\n0;x\r\n\r\n', b"abc"),
        (b"3\r\n\r\n\r\r\n0\r\n\r\n", b"\r\n\r"),
        (b"4\r\n\n\n\n\n\r\n0\r\n\r\n", b"\n\n\n\n"),
        (b"1\r\na\r\n0\r\nHost: x\r\nOther: y\r\n\r\n", b"a"),
    ],
)
def test_chunks_are_joined(coded: bytes, expected: bytes) -> None:
    data = head("Transfer-Encoding: chunked") + coded + GET
    first, second = every(data)
    assert (first.body, first.headers) == (expected, {"host": "a", "transfer-encoding": "chunked"})
    assert (second.body, second.headers) == (b"", {"host": "a"})
    assert read(bytewise(data)) == read([data])


@pytest.mark.parametrize(
    "coded",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1 ;a\r\n",
        b"1\n",
        b"0\n\r\n",
        b"0\r\n\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b"1;\x00\r\n",
        b"1;a\nb\r\n",
        b"1;a\rb\r\n",
        b"12345678901234567\r\n",
        b"1" * CODING_SIZE_LIMIT,
        b"1\r\na\r\n1;" + b"x" * CODING_SIZE_LIMIT,
        b"1;" + b"x" * CODING_SIZE_LIMIT + b"\r\na\r\n0\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nname: x\r\n folded\r\n\r\n",
        b"0\r\nname : x\r\n\r\n",
        b"0\r\nname: \x00\r\n\r\n",
        b"0\r\nname: " + b"x" * CODING_SIZE_LIMIT,
        b"0\r\nname: " + b"x" * CODING_SIZE_LIMIT + b"\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * (CODING_SIZE_LIMIT // 6) + b"\r\n",
    ],
)
def test_broken_coding_is_refused(coded: bytes) -> None:
    data = POST + head("Transfer-Encoding: chunked") + coded
    found = read([data])
    assert found[1:] == [(400, "malformed chunked body")]
    assert read(bytewise(data)) == found


def test_extensions_are_limited_between_data_and_not_over_the_body() -> None:
    chunk = b"1;" + b"x" * (CODING_SIZE_LIMIT - 8) + b"\r\na\r\n"
    data = head("Transfer-Encoding: chunked") + chunk * 3 + b"0\r\n\r\n"
    assert read([data])[0][-1] == b"aaa"


def test_too_much_data_counts_before_an_error_behind_it() -> None:
    data = head("Transfer-Encoding: chunked") + b"11170\r\n" + b"x" * 70_000 + b"x" * 10
    parts = [data[:100], data[100:-10], data[-10:]]
    for split in ([data], parts):
        assert read(split, RequestParser(lambda request: 69_999)) == [(413, "request body too large")]


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_any_split_gives_the_same_body(chunks: list[bytes], cuts: list[int]) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = head("Transfer-Encoding: chunked") + coded + POST
    borders = [0, *sorted(cuts), len(data)]
    found = read(data[start:end] for start, end in pairwise(borders))
    assert [item[-1] for item in found] == [b"".join(chunks), b"abc"]


def test_what_is_buffered_is_known() -> None:
    parser = RequestParser()
    assert parser.is_idle
    parser.feed(GET + GET[:5])
    assert (parser.buffered, parser.is_idle) == (len(GET) + 5, False)
    parser.next()
    assert (parser.buffered, parser.is_idle, parser.reads_body) == (5, False, False)


def test_a_dropped_parser_does_not_wait_for_the_garbage_collector() -> None:
    def parsers() -> int:
        return sum(isinstance(item, RequestParser | httptools.HttpRequestParser) for item in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = parsers()
        RequestParser().feed(GET)
        one(POST)
        one(head("Connection: upgrade", "Upgrade: x", "Content-Length: 1") + b"a")
        assert parsers() == before
    finally:
        gc.enable()


# --------------------------------------------------------------------- splits


@given(
    pieces=st.lists(st.sampled_from([GET, POST, CHUNKED, b"\r\n", head("Expect: 100-continue")]), max_size=4),
    last=st.sampled_from([b"", b"\r", *(data for data, _ in REFUSED.values() if len(data) < 1000)]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_split_gives_the_same_requests(pieces: list[bytes], last: bytes, cuts: list[int]) -> None:
    data = b"".join(pieces) + last
    borders = [0, *sorted(cuts), len(data)]
    assert read(data[start:end] for start, end in pairwise(borders)) == read([data])


@given(
    pieces=st.lists(st.sampled_from([GET, POST, CHUNKED, b"\r\n", head("Expect: 100-continue")]), max_size=4),
    last=st.sampled_from([b"", b"\r", *(data for data, _ in REFUSED.values() if len(data) < 1000)]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_heads_that_came_before_change_nothing(pieces: list[bytes], last: bytes, cuts: list[int]) -> None:
    data = b"".join(pieces) + last
    borders = [0, *sorted(cuts), len(data)]
    known = KnownHeads()
    fresh = read([data])
    for parts in ([data], [data], [data[start:end] for start, end in pairwise(borders)]):
        assert read(parts, RequestParser(known=known)) == fresh


def test_a_head_that_came_before_is_not_read_again() -> None:
    known = KnownHeads()
    assert read([POST], RequestParser(known=known)) == read([POST])
    parser = RequestParser(known=known)
    parser.feed(POST + POST.replace(b"abc", b"def") + POST[:-1])
    first, second = parser.next(), parser.next()
    assert first is not None
    assert second is not None
    assert (first.body, second.body) == (b"abc", b"def")
    assert first.headers is second.headers
    assert parser.next() is None
    assert parser.reads_body
    parser.feed(b"c" + POST + CHUNKED)
    assert read([b""], parser) == read([POST + POST + CHUNKED])


def test_tokens_of_a_list() -> None:
    assert has_token("a, Upgrade ,b", "upgrade")
    assert not has_token("a-upgrade", "upgrade")
