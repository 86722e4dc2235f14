"""A client library in a process of its own, driven by lines: commands in, events out.

Commands: ``connect``, ``subscribe`` (channel, optional token), ``unsubscribe`` (channel), ``publish`` (channel,
data), ``rpc`` (method, data), ``token`` (token; the answer to a ``get_token`` event). Events: what the SDK calls
back with, under its own names; those of server-side subscriptions begin with ``server_``. ``result`` and ``failed``
(code) answer publish and rpc. The driver also reports each WebSocket frame: pings and pongs among them become events.
"""

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

WAIT_TIMEOUT = 20.0
EXIT_TIMEOUT = 20.0
HERE = Path(__file__).parent

Event = dict[str, Any]


class Sdk(NamedTuple):
    """A client library in one of its encodings."""

    language: str
    encoding: str


SDKS = [Sdk(language, encoding) for language in ("javascript", "python") for encoding in ("json", "protobuf")]


def node_command() -> str:
    """The JavaScript runtime; with it, the packages must be installed."""
    node = shutil.which("node")
    assert node, "node is not installed"
    assert (HERE / "javascript/node_modules").is_dir(), "run: npm install --prefix tests/sdk/javascript"
    return node


def driver_command(language: str) -> list[str]:
    """How the driver of a library is started."""
    if language == "javascript":
        return [node_command(), str(HERE / "javascript/driver.mjs")]
    return [sys.executable, str(HERE / "python/driver.py")]


def split_frame(frame: bytes, encoding: str) -> list[bytes]:
    """Messages of one frame (client protocol 1.1)."""
    if encoding == "json":
        return frame.strip().split(b"\n")
    messages = []
    at = 0
    while at < len(frame):
        size = shift = 0
        while True:
            byte = frame[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        messages.append(frame[at : at + size])
        at += size
    return messages


class SdkClient:
    """One client of an SDK. A wait takes its event out of all that have arrived, in whatever order."""

    def __init__(self, sdk: Sdk, folder: Path, url: str, *, token: str = "", get_token: bool = False) -> None:
        self.sdk = sdk
        self.sent: list[list[bytes]] = []
        """Frames that the client has sent, each as its messages."""
        self.connections = 0
        """How often it has connected, as far as events have been waited for."""
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._pending: list[Event] = []
        self._ended = False
        self._errors = folder / f"driver-{time.monotonic_ns()}.txt"
        settings = {"url": url, "encoding": sdk.encoding, "token": token, "get_token": get_token}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*driver_command(sdk.language), json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def command(self, command: str, **parameters: Any) -> None:
        """Tell the client to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **parameters}).encode() + b"\n")
        self._process.stdin.flush()

    def wait(self, event: str, **fields: Any) -> Event:
        """Wait for an event with these fields and take it."""
        end = time.monotonic() + WAIT_TIMEOUT
        wanted = {"event": event, **fields}
        while True:
            for position, arrived in enumerate(self._pending):
                if arrived | wanted == arrived:
                    return self._pending.pop(position)
            self._receive(end, f"no {wanted}")

    def connect(self) -> str:
        """Connect; the client id."""
        self.command("connect")
        return str(self.wait("connected")["client"])

    def subscribe(self, channel: str, **parameters: str) -> None:
        """Subscribe and wait for it."""
        self.command("subscribe", channel=channel, **parameters)
        self.wait("subscribed", channel=channel)

    def refuse(self, *events: str) -> None:
        """Fail if one of these events has arrived and was not waited for."""
        unwanted = [arrived for arrived in self._pending if arrived["event"] in events]
        assert not unwanted, unwanted

    def close(self) -> None:
        """Disconnect and wait for the end of the process, which must be a clean one."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            code = self._process.wait(EXIT_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
        errors = self._errors.read_text()
        assert (code, errors) == (0, ""), f"the driver ended with {code}: {errors}"

    def _receive(self, end: float, failure: str) -> None:
        """Take one more event from the driver, or fail at *end*."""
        try:
            arrived = None if self._ended else self._events.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"{failure}; arrived: {self._pending}") from None
        if arrived is None:
            self._ended = True
            raise AssertionError(f"{failure}, the driver ended: {self._errors.read_text()}")
        self.connections += arrived["event"] == "connected"
        if arrived["event"] != "frame":
            self._pending.append(arrived)
            return
        messages = split_frame(bytes.fromhex(arrived["hex"]), self.sdk.encoding)
        if arrived["direction"] == "out":
            self.sent.append(messages)
        kind = "ping" if arrived["direction"] == "in" else "pong"
        empty = b"{}" if self.sdk.encoding == "json" else b""
        self._pending += [{"event": kind}] * messages.count(empty)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)
