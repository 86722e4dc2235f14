import pytest

from centrifast.protocol.http_response import Response, encode_response, text_response


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
