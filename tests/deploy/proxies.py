"""nginx and HAProxy as processes of a test, with the files that are shipped; only ports and paths are replaced."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.server_process import free_port

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0


def command_path(name: str) -> str:
    """A program that may stand where only root looks."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert found, f"{name} is not installed: bash tools/setup-system.sh test"
    return found


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """*text* with every key replaced by its value; each must be there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the shipped file"
        text = text.replace(old, new)
    return text


class ProxyProcess:
    """A proxy in the foreground. Use as a context manager; it is up inside."""

    def __init__(self, command: list[str], check: list[str], folder: Path, port: int) -> None:
        self.port = port
        self._command = command
        self._check = check
        self._log_file = folder / "proxy.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        subprocess.run(self._check, check=True, capture_output=True, timeout=START_TIMEOUT)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=START_TIMEOUT).close()
                return self
            except OSError:
                assert self._process.poll() is None, f"the proxy ended:\n{self.log()}"
                assert time.monotonic() < end, f"the proxy does not answer:\n{self.log()}"

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def url(self) -> str:
        """The WebSocket endpoint behind it."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def log(self) -> str:
        """What it has written so far."""
        return self._log_file.read_text()


def nginx(folder: Path, backend_port: int, changes: Mapping[str, str] | None = None) -> ProxyProcess:
    """nginx with both files, in front of *backend_port*."""
    port = free_port()
    site = replaced(
        (DEPLOY / "nginx/centrifast.conf").read_text(),
        {
            "127.0.0.1:8000": f"127.0.0.1:{backend_port}",
            "listen 80;": f"listen 127.0.0.1:{port};",
            "listen [::]:80;": "",
            **(changes or {}),
        },
    )
    main = replaced(
        (DEPLOY / "nginx/nginx.conf").read_text(),
        {
            "/etc/nginx/conf.d/centrifast.conf": f"{folder}/site.conf",
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx": str(folder),
            # The folder of a test belongs to who runs it, and only he may enter.
            "user www-data;": "user root;",
            "worker_processes auto": "worker_processes 1",
            # One that the machine of a test may have.
            "worker_rlimit_nofile 1048576": "worker_rlimit_nofile 1024",
            "worker_connections 65535": "worker_connections 512",
        },
    )
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(main)
    program = [command_path("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return ProxyProcess([*program, "-g", "daemon off;"], [*program, "-t"], folder, port)


def haproxy(folder: Path, backend_port: int, changes: Mapping[str, str] | None = None) -> ProxyProcess:
    """HAProxy with its file, in front of *backend_port*."""
    port = free_port()
    text = replaced(
        (DEPLOY / "haproxy/haproxy.cfg").read_text(),
        {
            "127.0.0.1:8000": f"127.0.0.1:{backend_port}",
            "bind :80\n": f"bind 127.0.0.1:{port}\n",
            "maxconn 200000": "maxconn 500",
            **(changes or {}),
        },
    )
    file = folder / "haproxy.cfg"
    file.write_text(re.sub(r"^    (user|group) haproxy\n", "", text, flags=re.MULTILINE))
    program = [command_path("haproxy"), "-f", str(file)]
    return ProxyProcess([*program, "-db"], [*program, "-c"], folder, port)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """One request; status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def publish(port: int, channel: str, data: object) -> None:
    """Publish by the API."""
    body = json.dumps({"channel": channel, "data": data}).encode()
    assert ask(port, "POST", "/api/publish", body, X_API_Key="key") == (200, b'{"result":{}}')
