import pytest

from centrifast.protocol.handshake import refusal_of
from centrifast.protocol.http1 import Request, RequestParser
from tests.server.http_peer import upgrade


def parsed(data: bytes) -> Request:
    parser = RequestParser()
    parser.feed(data)
    request = parser.next()
    assert request is not None
    return request


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "UPGRADE ,keep-alive"])
@pytest.mark.parametrize("protocol", ["websocket", "WebSocket", "h2c, websocket"])
def test_tokens_are_found_in_lists_whatever_their_case(connection: str, protocol: str) -> None:
    assert refusal_of(parsed(upgrade(Connection=connection, Upgrade=protocol))) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Connection": None}, 400),
        ({"Connection": "keep-alive"}, 400),
        ({"Connection": "upgraded"}, 400),
        ({"Upgrade": None}, 400),
        ({"Upgrade": "h2c"}, 400),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
        ({"Sec_WebSocket_Key": "dG\xe9lIHNhbXBsZSBub25jZQ=="}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==AAAA"}, 400),
        ({"Content_Length": "0"}, None),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": "13, 8"}, 426),
    ],
)
def test_what_is_no_handshake_is_refused(changes: dict[str, str | None], status: int | None) -> None:
    refusal = refusal_of(parsed(upgrade("/ws", **changes)))
    assert (refusal and refusal.status) == status
    if status == 426:
        assert refusal is not None
        assert refusal.headers == (("Sec-WebSocket-Version", "13"),)


def test_only_get_opens_a_websocket() -> None:
    refusal = refusal_of(parsed(upgrade().replace(b"GET", b"PUT")))
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (405, (("Allow", "GET"),))


def test_a_handshake_has_no_body() -> None:
    refusal = refusal_of(parsed(upgrade(Content_Length="2") + b"hi"))
    assert refusal is not None
    assert refusal.status == 400


def test_http_1_0_opens_no_websocket() -> None:
    refusal = refusal_of(parsed(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0")))
    assert refusal is not None
    assert refusal.status == 400
