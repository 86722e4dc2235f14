"""A backend that shows what a proxy makes of a request, and writes an answer in two pieces."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT = 20.0


class Backend(ThreadingHTTPServer):
    """Answers every GET with two pieces; the second is written when somebody has said so."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Recording)
        self.requests: list[dict[str, str]] = []
        """Headers as they came, with the path as ``path``."""
        self.go_on = threading.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class Recording(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        """Remember the headers and answer."""
        seen = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append({**seen, "path": self.path})
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"one")
        self.wfile.flush()
        assert self.server.go_on.wait(WAIT)
        self.wfile.write(b"two")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing goes to standard error."""


@contextmanager
def recording_backend() -> Iterator[Backend]:
    """A backend that runs inside the block."""
    with Backend() as backend:
        thread = threading.Thread(target=backend.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield backend
        finally:
            backend.go_on.set()
            backend.shutdown()
            thread.join()
