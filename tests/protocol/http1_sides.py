"""Heads and bodies of HTTP/1.1 as tests write and read them."""

from collections.abc import Iterable

from centrifast.protocol.http1 import BadRequestError, Request, RequestParser

Seen = tuple[str, str, str, tuple[tuple[str, str], ...], bool, bool, bytes] | tuple[int, str]
"""What can be seen of a request, or status and text of a refusal."""


def seen(request: Request) -> Seen:
    """Everything about a request that must not depend on how it arrived."""
    headers = tuple(request.headers.items())
    flags = (request.keep_alive, request.is_upgrade)
    return (request.method, request.path, request.query, headers, *flags, request.body)


def read(parts: Iterable[bytes], parser: RequestParser | None = None) -> list[Seen]:
    """All requests in *parts*, and the refusal that ends them, if any."""
    parser = parser or RequestParser()
    found: list[Seen] = []
    try:
        for part in parts:
            parser.feed(part)
            while (request := parser.next()) is not None:
                found.append(seen(request))
    except BadRequestError as refused:
        found.append((refused.status, refused.text))
    return found


def bytewise(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[index : index + 1] for index in range(len(data))]
