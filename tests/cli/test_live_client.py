"""Where the API is, and what people are told when it does not answer as asked."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from centrifast.cli.live_client import Api, UnavailableError, api_of, api_url, is_loopback, tls_context
from tests.config.building import config_of

Answer = tuple[int, str, bytes]
Reply = Callable[[str, bytes, str | None], Answer]


class _Server(http.server.HTTPServer):
    reply: Reply


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers what the test says."""

    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, answer = self.server.reply(self.path, body, self.headers["X-API-Key"])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def listening() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def api(server: _Server, answer: Answer, key: str = "key") -> Api:
    server.reply = lambda path, body, key: answer
    return Api(f"http://127.0.0.1:{server.server_port}/api/", key)


def test_a_call_carries_key_and_request(listening: _Server) -> None:
    asked = []

    def reply(path: str, body: bytes, key: str | None) -> Answer:
        asked.append((path, body, key))
        return 200, "application/json", b'{"result":{"nodes":[]}}'

    client = api(listening, (200, "", b""))
    listening.reply = reply
    assert client.call("stats", {"slow": 3}) == {"nodes": []}
    assert asked == [("/api/stats", b'{"slow": 3}', "key")]


def test_lines_come_one_by_one(listening: _Server) -> None:
    client = api(listening, (200, "application/x-ndjson", b'{"a":1}\n{"b":2}\n'))
    assert list(client.lines("tail", {})) == [b'{"a":1}\n', b'{"b":2}\n']


@pytest.mark.parametrize(
    ("answer", "key", "text", "is_temporary"),
    [
        ((401, "", b""), "key", "the key is not that of the server", False),
        (
            (401, "", b""),
            "",
            "the key is missing: it is http_api.key there; give it with CENTRIFAST_API_KEY",
            False,
        ),
        ((404, "", b""), "key", "switch on http_api.tail_enabled and restart the server", False),
        ((503, "text/plain", b"too many tails\x1b"), "key", "answers 503: too many tails", True),
        ((400, "", b""), "key", "answers 400", False),
        (
            (200, "application/json", b'{"error":{"code":102,"message":"unknown channel"}}'),
            "key",
            "tail is refused: unknown channel (code 102)",
            False,
        ),
        ((200, "text/html", b"<html>"), "key", "is no centrifast", False),
        ((200, "application/json", b"[]"), "key", "is no centrifast", False),
        ((200, "application/json", b'{"result":{}}'), "key", "answers something else than a stream", False),
    ],
)
def test_a_refusal_says_what_to_do(
    answer: Answer, key: str, text: str, is_temporary: bool, listening: _Server
) -> None:
    with pytest.raises(UnavailableError) as refused:
        list(api(listening, answer, key).lines("tail", {}))
    assert text in str(refused.value)
    assert refused.value.is_temporary == is_temporary


def test_a_server_that_is_older_or_elsewhere_is_told_from_one_where_tail_is_off(listening: _Server) -> None:
    with pytest.raises(UnavailableError, match=r"does not serve stats: is http_api.handler_prefix another\?"):
        api(listening, (404, "", b"")).call("stats", {})


def test_nobody_there(listening: _Server) -> None:
    client = api(listening, (200, "", b""))
    gone = Api(client.url.replace(str(listening.server_port), "1"), "key", hint=" Look here.")
    with pytest.raises(UnavailableError, match=r"is the server running there\? Look here") as away:
        gone.call("stats", {})
    assert away.value.is_temporary
    with pytest.raises(UnavailableError, match="can not reach"):
        list(gone.lines("tail", {}))


@pytest.mark.parametrize("url", ["nonsense", "ftp://a/api", "http://", "http://a:b/api", "http://[::1/api"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UnavailableError, match="is no URL of an API"):
        Api(url, "key").call("stats", {})


@pytest.mark.parametrize(
    ("tree", "url"),
    [
        ({}, "http://127.0.0.1:8000/api"),
        ({"http_api.handler_prefix": "/"}, "http://127.0.0.1:8000/"),
        ({"http_server.internal_port": 9000}, "http://127.0.0.1:9000/api"),
        ({"http_server.internal_port": 9000, "http_api.external": True}, "http://127.0.0.1:8000/api"),
        ({"http_server.address": "::", "http_api.external": True}, "http://[::1]:8000/api"),
        ({"http_server.tls.enabled": True, "http_api.external": True}, "https://127.0.0.1:8000/api"),
    ],
)
def test_the_api_is_where_the_configuration_says(tree: dict[str, object], url: str) -> None:
    assert api_url(config_of(tree)) == url


def test_options_win_over_the_configuration(directory: Path) -> None:
    (directory / "config.json").write_text('{"http_api": {"key": "a", "handler_prefix": "/x"}}')
    api = api_of("config.json", "", "", insecure_tls=False)
    assert (api.url, api._key) == ("http://127.0.0.1:8000/x", "a")
    api = api_of("config.json", "http://example.com/api/", "b", insecure_tls=False)
    assert (api.url, api._key) == ("http://example.com/api", "b")


def test_without_an_api_there_is_nothing_to_ask(directory: Path) -> None:
    (directory / "config.json").write_text('{"http_api.disabled": true}')
    with pytest.raises(UnavailableError, match=r"http_api\.disabled is on in config\.json"):
        api_of("config.json", "", "", insecure_tls=False)


@pytest.mark.parametrize(
    ("url", "insecure", "checked"),
    [
        ("https://127.0.0.1:8000/api", False, False),
        ("https://localhost/api", False, False),
        ("https://example.com/api", False, True),
        ("https://example.com/api", True, False),
    ],
)
def test_only_other_machines_have_to_prove_who_they_are(url: str, insecure: bool, checked: bool) -> None:
    context = tls_context(urlsplit(url), insecure=insecure)
    assert context.check_hostname is checked
    assert Api(url, "key", insecure_tls=insecure)._context is not None


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("192.0.2.1", "example.com", "")))
