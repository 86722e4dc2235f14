"""HTTP/1.1 responses into bytes (RFC 9112). Sans-I/O."""

from http import HTTPStatus

import msgspec

REASONS = {status.value: status.phrase for status in HTTPStatus}


class Response(msgspec.Struct, frozen=True, gc=False):
    """What a handler answers. Content-Length, Date and Connection are added on the way out."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def text_response(status: int, text: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A plain text answer; without a text the body is empty."""
    return Response(status, text.encode(), "text/plain; charset=utf-8" if text else "", headers)


def encode_response(
    response: Response, *, keep_alive: bool, date: bytes = b"", with_body: bool = True
) -> bytes:
    """The bytes of a response. *date* is a whole ``Date`` line or nothing; HEAD gets no body."""
    body = response.body
    if keep_alive and with_body and response.status == 200 and not response.headers:
        return b"HTTP/1.1 200 OK\r\n%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            date,
            response.content_type.encode("latin-1"),
            len(body),
            body,
        )
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, '')}\r\n{date.decode()}"]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in response.headers)
    if response.status != 204:
        lines.append(f"Content-Length: {len(body)}\r\n")
    if not keep_alive:
        lines.append("Connection: close\r\n")
    head = "".join(lines).encode("latin-1")
    return b"%b\r\n%b" % (head, body if with_body else b"")
