"""Negotiation and messages; a whole run against the websockets library, which offers the extension."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from centrifast_loadgen import deflate, run
from centrifast_loadgen.settings import Settings
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import ServerConnection, serve

from tests.loadgen.server import running

BOTH = "server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize("header", [None, ""])
def test_a_response_without_the_extension_declines_it(header: str | None) -> None:
    assert not deflate.is_agreed(header)


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate; server_no_context_takeover",
        f"permessage-deflate; {BOTH}",
        f"permessage-deflate;{BOTH}; server_max_window_bits=12",
    ],
)
def test_an_acceptance_of_the_offer_is_agreed(header: str) -> None:
    assert deflate.is_agreed(header)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("permessage-deflate", "wants context takeover"),
        ("permessage-deflate; client_no_context_takeover", "wants context takeover"),
        (f"permessage-deflate; {BOTH}; client_max_window_bits=12", "not offered"),
        (f"permessage-deflate; {BOTH}; server_no_context_takeover", "not offered"),
        ("x-webkit-deflate-frame", "not offered"),
    ],
)
def test_an_answer_to_something_else_is_refused(header: str, text: str) -> None:
    with pytest.raises(deflate.DeflateError, match=text):
        deflate.is_agreed(header)


@given(st.binary(max_size=5000))
def test_a_message_comes_back_as_it_was(message: bytes) -> None:
    assert deflate.decompress(deflate.compress(message), True) == message


def test_the_example_of_the_specification() -> None:  # RFC 7692 section 7.2.3.1
    assert deflate.decompress(bytes.fromhex("f2 48 cd c9 c9 07 00"), True) == b"Hello"


@pytest.mark.parametrize(
    ("message", "agreed", "text"),
    [
        (deflate.compress(b"x"), False, "not agreed"),
        (b"\xff\xff\xff", True, "can not be inflated"),
        (deflate.compress(b"x" * 2000), True, "more than 1000 bytes"),
    ],
)
def test_what_can_not_be_inflated_is_an_error(message: bytes, agreed: bool, text: str) -> None:
    with pytest.raises(deflate.DeflateError, match=text):
        deflate.decompress(message, agreed, limit=1000)


class Subscribers:
    """A server of the websockets library that speaks enough of the protocol, and an API beside it."""

    def __init__(self) -> None:
        self.connections: set[ServerConnection] = set()
        self.lock = threading.Lock()

    def serve_client(self, connection: ServerConnection) -> None:
        """Answer connect and subscribe."""
        for message in connection:
            for line in str(message).split("\n"):
                command = json.loads(line)
                kind = "connect" if "connect" in command else "subscribe"
                connection.send(json.dumps({"id": command["id"], kind: {}}))
                if kind == "subscribe":
                    with self.lock:
                        self.connections.add(connection)

    def publish(self, body: bytes) -> None:
        """Push to everybody."""
        push = json.dumps({"push": {"channel": "c", "pub": {"data": json.loads(body)["data"]}}})
        with self.lock:
            for connection in self.connections:
                connection.send(push)


@contextmanager
def compressing_server() -> Iterator[tuple[str, str]]:
    """URLs of the WebSocket and of the API."""
    subscribers = Subscribers()

    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            subscribers.publish(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    extension = ServerPerMessageDeflateFactory(server_no_context_takeover=True)
    with (
        serve(subscribers.serve_client, "127.0.0.1", 0, extensions=[extension], compression=None) as sockets,
        ThreadingHTTPServer(("127.0.0.1", 0), Api) as api,
    ):
        threads = [threading.Thread(target=server.serve_forever) for server in (sockets, api)]
        for thread in threads:
            thread.start()
        port = sockets.socket.getsockname()[1]
        try:
            yield f"ws://127.0.0.1:{port}/", f"http://127.0.0.1:{api.server_port}/api"
        finally:
            sockets.shutdown()
            api.shutdown()
            for thread in threads:
                thread.join()


def test_compressed_messages_are_counted_and_their_bytes() -> None:
    with compressing_server() as (url, api_url):
        settings = Settings(
            url=url, api_url=api_url, connections=3, messages=5, payload=2000, deflate=True, stall_timeout=5.0
        )
        report = run.execute(settings, lambda text: None)
    assert report.complete, report
    assert (report.deflated, report.handshakes, report.delivered) == (3, 3, 15)
    assert report.wire_bytes < report.message_bytes / 5
    assert "agreed by 3 of 3" in report.as_table()


def test_a_server_that_declines_is_loaded_all_the_same() -> None:
    with running() as server:
        settings = Settings(url=server.url, api_url=server.api_url, connections=2, messages=3, deflate=True)
        report = run.execute(settings, lambda text: None)
    assert report.complete, report
    assert report.deflated == 0
    assert "declined by the server" in report.as_table()
