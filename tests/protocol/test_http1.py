from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol.http1 import (
    HEAD_SIZE_LIMIT,
    HEADER_COUNT_LIMIT,
    SMALL_BODY_SIZE,
    BadRequestError,
    Request,
    RequestParser,
    Response,
    encode_response,
    has_token,
    text_response,
)
from tests.protocol.http1_sides import bytewise, read

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def one(data: bytes) -> Request:
    parser = RequestParser()
    parser.feed(data)
    request = parser.next()
    assert request is not None
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
        ("host:443", "host:443", ""),
        ("/%zz", "/%zz", ""),
    ],
)
def test_targets(target: str, path: str, query: str) -> None:
    request = one(head(start=f"GET {target} HTTP/1.1"))
    assert (request.path, request.query) == (path, query)


def test_repeated_headers_are_joined() -> None:
    assert one(head("A: 1", "B: 2", "a: 3")).headers == {"host": "a", "a": "1, 3", "b": "2"}


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
    ],
)
def test_connection_header(lines: tuple[str, ...], keep_alive: bool, is_upgrade: bool) -> None:
    request = one(head(*lines))
    assert (request.keep_alive, request.is_upgrade) == (keep_alive, is_upgrade)


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


def test_an_equal_head_is_parsed_once_but_has_its_own_body() -> None:
    parser = RequestParser()
    parser.feed(POST + POST[:-3] + b"xyz")
    first, second = parser.next(), parser.next()
    assert first is not None
    assert second is not None
    assert (first.body, second.body) == (b"abc", b"xyz")
    assert first.headers is second.headers


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
    "DEL in value": (head("A: \x7f"), 400),
    "bare CR in value": (head("A: b\rc"), 400),
    "bare LF": (head("A: b\nC: d"), 400),
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
    "length and chunked": (head("Content-Length: 3", "Transfer-Encoding: chunked"), 400),
    "chunked in HTTP/1.0": (head("Transfer-Encoding: chunked", start="GET / HTTP/1.0"), 400),
    "unknown coding": (head("Transfer-Encoding: gzip"), 501),
    "coding before chunked": (head("Transfer-Encoding: gzip, chunked"), 501),
    "chunked twice": (head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501),
    "empty coding": (head("Transfer-Encoding:"), 501),
    "quoted coding": (head('Transfer-Encoding: "chunked"'), 501),
    "bad chunk size": (head("Transfer-Encoding: chunked") + b"x\r\n", 400),
    "bad end of chunk": (head("Transfer-Encoding: chunked") + b"1\r\nabc", 400),
    "unknown expectation": (head("Expect: 200-ok"), 417),
    "too many headers": (head(*["A: b"] * HEADER_COUNT_LIMIT), 431),
    "head too large": (head("A: " + "b" * HEAD_SIZE_LIMIT), 431),
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


def test_what_is_buffered_is_known() -> None:
    parser = RequestParser()
    assert parser.is_idle
    parser.feed(GET + GET[:5])
    assert (parser.buffered, parser.is_idle) == (len(GET) + 5, False)
    parser.next()
    assert (parser.buffered, parser.is_idle, parser.reads_body) == (5, False, False)


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


# ------------------------------------------------------------------ responses


def test_the_usual_response() -> None:
    assert encode_response(Response(body=b"{}"), keep_alive=True, date=b"Date: x\r\n") == (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            text_response(404, "no"),
            b"404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n"
            b"Connection: close\r\n\r\nno",
        ),
        (text_response(401), b"401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        (Response(204, content_type=""), b"204 No Content\r\nConnection: close\r\n\r\n"),
        (
            Response(299, b"x", "a/b", (("C", "d"),)),
            b"299 \r\nContent-Type: a/b\r\nC: d\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        ),
    ],
)
def test_other_responses(response: Response, expected: bytes) -> None:
    assert encode_response(response, keep_alive=False) == b"HTTP/1.1 " + expected


def test_head_is_answered_without_the_body() -> None:
    answer = encode_response(Response(body=b"{}"), keep_alive=True, with_body=False)
    assert answer.endswith(b"Content-Length: 2\r\n\r\n")


def test_tokens_of_a_list() -> None:
    assert has_token("a, Upgrade ,b", "upgrade")
    assert not has_token("a-upgrade", "upgrade")
