"""The endpoint for latency probes."""

import pytest

from centrifast.server.routes import Routes
from centrifast.transports.init import add_init
from centrifast.transports.origin import OriginPolicy
from tests.server.http_peer import Answer, get, run, serving

PATH = "/connection/init"
ORIGIN = "https://app.example.com"


def answer_to(request: bytes, *, admits: bool = True) -> Answer:
    async def scenario() -> Answer:
        routes = Routes()
        add_init(routes, PATH, OriginPolicy([ORIGIN]), lambda: admits)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(request)
            return await peer.answer(with_body=not request.startswith(b"HEAD"))

    return run(scenario())


def test_get_is_answered_with_an_object() -> None:
    answer = answer_to(get(PATH, f"Origin: {ORIGIN}"))
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_another_origin_is_answered_without_its_headers() -> None:
    answer = answer_to(get(PATH, "Origin: https://evil.example.com"))
    assert (answer.status, answer.body) == (200, b"{}")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", [b"POST", b"OPTIONS", b"HEAD", b"PUT"])
def test_other_methods_are_refused(method: bytes) -> None:
    answer = answer_to(get(PATH, f"Origin: {ORIGIN}").replace(b"GET", method))
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_full_server_says_so_first() -> None:
    answer = answer_to(get(PATH, f"Origin: {ORIGIN}"), admits=False)
    assert (answer.status, answer.body) == (503, b"")
    assert "access-control-allow-origin" not in answer.headers
