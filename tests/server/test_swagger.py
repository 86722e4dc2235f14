import json
from html.parser import HTMLParser

import pytest

from centrifast.api.openapi import document
from centrifast.config.schema_server import HttpApiConfig
from centrifast.server.routes import Routes
from centrifast.server.swagger import add_swagger
from tests.server.http_peer import Answer, get, run, serving

API = HttpApiConfig()


def ask(
    path: str, prefix: str = "/swagger", api: HttpApiConfig = API, *, here: bool = True, method: str = "GET"
) -> Answer:
    async def scenario() -> Answer:
        routes = Routes()
        add_swagger(routes, prefix, api, is_api_here=here)
        async with serving(routes) as served:
            peer = await served.connect()
            peer.send(get(path).replace(b"GET", method.encode()))
            return await peer.answer(with_body=method != "HEAD")

    return run(scenario())


@pytest.mark.parametrize(
    ("prefix", "path", "status"),
    [
        ("/swagger", "/swagger/", 200),
        ("/swagger", "/swagger/openapi.json", 200),
        ("/swagger", "/swagger/else", 404),
        ("/swagger", "/swagger/../openapi.json", 404),
        ("/swagger", "/swaggers", 404),
        ("/swagger", "/openapi.json", 404),
        ("docs/api/", "/docs/api/", 200),
        ("docs/api/", "/docs/api/openapi.json", 200),
        ("/", "/", 200),
        ("", "/openapi.json", 200),
    ],
)
def test_paths(prefix: str, path: str, status: int) -> None:
    assert ask(path, prefix).status == status


@pytest.mark.parametrize(("prefix", "place"), [("/swagger", "/swagger/"), ("//a/b//", "/a/b/")])
def test_the_prefix_leads_to_the_page(prefix: str, place: str) -> None:
    answer = ask(place.rstrip("/"), prefix)
    assert (answer.status, answer.headers["location"], answer.body) == (301, place, b"")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("DELETE", 405)])
def test_other_methods(method: str, status: int) -> None:
    assert ask("/swagger/", method=method).status == status


def test_the_document_is_that_of_this_server() -> None:
    answer = ask("/swagger/openapi.json", api=HttpApiConfig(handler_prefix="v1/", insecure=True))
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == document("/v1", insecure=True)


@pytest.mark.parametrize(("here", "word"), [(True, b"here"), (False, b"elsewhere")])
def test_the_page_knows_whether_it_can_call_the_api(word: bytes, *, here: bool) -> None:
    answer = ask("/swagger/", here=here)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b'data-api="%b"' % word in answer.body


def test_only_its_own_script_may_run_and_nothing_comes_from_elsewhere() -> None:
    class Checked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            for name, value in attrs:
                assert not name.startswith("on"), (tag, name)
                assert name != "style", tag  # the policy blocks them
                assert not (value or "").startswith(("http", "//")), (tag, name, value)

    answer = ask("/swagger/")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    Checked().feed(answer.body.decode())
