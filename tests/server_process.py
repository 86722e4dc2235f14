"""A centrifast daemon of its own for a test: started, asked, stopped by its process id."""

import http.client
import json
import os
import random
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

WORKERS = int(os.environ.get("CENTRIFAST_WORKERS", "1"))
"""Processes of each daemon that a test starts, if its configuration says nothing else."""

REDIS = bool(os.environ.get("CENTRIFAST_REDIS"))
"""Whether daemons keep everything in the Redis of the test session, if their configuration says nothing else."""

START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0

BASE_CONFIG: dict[str, Any] = {
    "client": {"token": {"hmac_secret_key": "secret"}, "allow_anonymous_connect_without_token": True},
    "channel": {
        "without_namespace": {
            "allow_subscribe_for_client": True,
            "allow_subscribe_for_anonymous": True,
            "allow_publish_for_subscriber": True,
            "allow_publish_for_anonymous": True,
        },
        "namespaces": [
            {
                "name": "history",
                "history_size": 10,
                "history_ttl": "60s",
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            },
            {"name": "closed"},
        ],
    },
    "http_api": {"key": "key"},
    "health": {"enabled": True},
    "debug": {"enabled": True},
    "quickstart": {"enabled": True},
    "log": {"level": "debug"},
}


def free_port() -> int:
    """A port that nobody listens on, below those that outgoing connections are given."""
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """*base* with *changes*, objects merged key by key."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


class ServerProcess:
    """One daemon. Use as a context manager."""

    redis_address = ""
    """Of the Redis of the test session, while there is one; each daemon has names of its own there."""
    _numbers = count(1)

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, Any] | None = None,
        *,
        descriptors: int | None = None,
        command: Sequence[str] = (sys.executable, "-m", "centrifast"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """*command* is the program, *tls* how it is asked."""
        self.port = free_port()
        self._command = command
        self._tls = tls
        self._descriptors = descriptors
        own = {"http_server": {"port": self.port}, **self._engine()}
        self.config = merged(merged(BASE_CONFIG, own), changes or {})
        self._config_file = folder / f"config-{self.port}.json"
        self._log_file = folder / f"log-{self.port}.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ServerProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """The WebSocket endpoint."""
        scheme = "ws" if self._tls is None else "wss"
        return f"{scheme}://127.0.0.1:{self.port}/connection/websocket"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._config_file.write_text(json.dumps(self.config))
        limit = self._descriptors

        def lower_limit() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "-c", str(self._config_file)],
                stderr=log,
                stdout=log,
                preexec_fn=lower_limit,  # noqa: PLW1509 - only setrlimit runs there
            )
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                pass
            assert self._process.poll() is None, f"the server ended:\n{self.log()}"
            assert time.monotonic() < end, f"the server does not answer:\n{self.log()}"

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def log(self) -> str:
        """What it has logged so far."""
        return self._log_file.read_text() if self._log_file.exists() else ""

    def _engine(self) -> dict[str, Any]:
        if not self.redis_address:
            return {}
        redis = {"address": self.redis_address, "prefix": f"test{next(self._numbers)}"}
        return {"engine": {"type": "redis", "redis": redis}}

    # ---------------------------------------------------------------- HTTP

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """GET; status and body."""
        return self.request("GET", path, None, headers or {})

    def api(self, method: str, **parameters: Any) -> Any:
        """A call of the server API; the decoded answer, which must have status 200."""
        status, body = self.request(
            "POST", f"/api/{method}", json.dumps(parameters).encode(), {"X-API-Key": "key"}
        )
        assert status == 200, (status, body)
        return json.loads(body)

    def publish(self, channel: str, data: Any) -> Any:
        """Publish by the API and demand success."""
        answer = self.api("publish", channel=channel, data=data)
        assert "error" not in answer, answer
        return answer["result"]

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Any request; status and body."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            if self._tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self._tls)
        )
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
