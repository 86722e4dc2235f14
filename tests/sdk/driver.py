"""A client library in a process of its own, driven by lines: commands in, events out.

Commands: ``open`` (url, token, get_token: whether the client may ask for one) makes a client, ``close`` ends it;
``connect``, ``subscribe`` (channel and options), ``unsubscribe`` (channel), ``publish`` (channel, data), ``rpc``
(method, data), ``presence``, ``presence_stats``, ``history`` (channel, options); ``token`` and ``state`` answer the
oldest ``get_token`` and ``get_state``. Events: what the SDK calls back with, under its own names; those of server-side
subscriptions begin with ``server_``. ``result`` (data) and ``failed`` (code) answer calls. The driver also reports
each WebSocket frame: pings and pongs among them become events.
"""

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from centrifast.protocol import client_pb2

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


class Endpoint(Protocol):
    """Where clients connect to."""

    @property
    def url(self) -> str:
        """The WebSocket endpoint."""


class DriverProcess:
    """A process that runs clients of one SDK, one after the other."""

    def __init__(self, sdk: Sdk, folder: Path) -> None:
        self.sdk = sdk
        self._errors = folder / f"{'-'.join(sdk)}-{time.monotonic_ns()}.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*driver_command(sdk.language), sdk.encoding],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write(self, command: str, **parameters: Any) -> None:
        """Send it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **parameters}).encode() + b"\n")
        self._process.stdin.flush()

    def read(self, timeout: float) -> Event | None:
        """The next event; None when the process has ended. Raises ``queue.Empty``."""
        return self._events.get(timeout=max(0.0, timeout))

    def errors(self) -> str:
        """What it has complained of."""
        return self._errors.read_text()

    def close(self) -> None:
        """Wait for its end, which must be a clean one."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            code = self._process.wait(EXIT_TIMEOUT)
        finally:
            self.kill()
        assert (code, self.errors()) == (0, ""), f"the driver ended with {code}: {self.errors()}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)


class DriverPool:
    """Processes that wait for their next client: starting one takes longer than most tests. Use as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: dict[Sdk, list[DriverProcess]] = {sdk: [] for sdk in SDKS}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for idle in self._idle.values():
            for process in idle:
                process.close()

    def take(self, sdk: Sdk) -> DriverProcess:
        """A process for one client."""
        return self._idle[sdk].pop() if self._idle[sdk] else DriverProcess(sdk, self._folder)

    def give_back(self, process: DriverProcess) -> None:
        """Keep a process whose client has been closed."""
        self._idle[process.sdk].append(process)


class SdkClient:
    """One client of an SDK. A wait takes its event out of all that have arrived, in whatever order."""

    def __init__(
        self, pool: DriverPool, sdk: Sdk, url: str, *, token: str = "", get_token: bool = False
    ) -> None:
        self.sdk = sdk
        self.sent: list[list[bytes]] = []
        """Frames that the client has sent, each as its messages."""
        self.patches: list[bool] = []
        """For each publication that came over the wire, whether it was a patch."""
        self.connections = 0
        """How often it has connected, as far as events have been waited for."""
        self._pool = pool
        self._pending: list[Event] = []
        self._ended = False
        self._process = pool.take(sdk)
        self.command("open", url=url, token=token, get_token=get_token)

    def command(self, command: str, **parameters: Any) -> None:
        """Tell the client to do something."""
        self._process.write(command, **parameters)

    def call(self, command: str, **parameters: Any) -> Any:
        """Tell the client to ask the server; what it answers."""
        self.command(command, **parameters)
        return self.wait("result")["data"]

    def wait(self, event: str, **fields: Any) -> Event:
        """Wait for an event with these fields and take it."""
        end = time.monotonic() + WAIT_TIMEOUT
        wanted = {"event": event, **fields}
        while True:
            for position, arrived in enumerate(self._pending):
                if arrived | wanted == arrived:
                    return self._pending.pop(position)
            self._receive(end, f"no {wanted}")

    def publications(self, channel: str, count: int, event: str = "publication") -> list[Any]:
        """Wait for the next publications of a channel; their payloads, in the order of arrival."""
        return [self.wait(event, channel=channel)["data"] for _ in range(count)]

    def connect(self) -> str:
        """Connect; the client id."""
        self.command("connect")
        return str(self.wait("connected")["client"])

    def subscribe(self, channel: str, **options: Any) -> Event:
        """Subscribe and wait for it."""
        self.command("subscribe", channel=channel, **options)
        return self.wait("subscribed", channel=channel)

    def refuse(self, *events: str) -> None:
        """Fail if one of these events has arrived and was not waited for."""
        unwanted = [arrived for arrived in self._pending if arrived["event"] in events]
        assert not unwanted, unwanted

    def close(self) -> None:
        """Disconnect; the process must not have complained."""
        try:
            self.command("close")
            self.wait("closed")
            errors = self._process.errors()
            assert not errors, f"the driver complains: {errors}"
        except BaseException:
            self._process.kill()
            raise
        self._pool.give_back(self._process)

    def _receive(self, end: float, failure: str) -> None:
        """Take one more event from the driver, or fail at *end*."""
        try:
            arrived = None if self._ended else self._process.read(end - time.monotonic())
        except queue.Empty:
            raise AssertionError(f"{self.sdk}: {failure}; arrived: {self._pending}") from None
        if arrived is None:
            self._ended = True
            raise AssertionError(f"{self.sdk}: {failure}, the driver ended: {self._process.errors()}")
        self.connections += arrived["event"] == "connected"
        if arrived["event"] != "frame":
            self._pending.append(arrived)
            return
        messages = split_frame(bytes.fromhex(arrived["hex"]), self.sdk.encoding)
        if arrived["direction"] == "out":
            self.sent.append(messages)
        else:
            self.patches += [
                is_patch for message in messages for is_patch in patches(message, self.sdk.encoding)
            ]
        kind = "ping" if arrived["direction"] == "in" else "pong"
        empty = b"{}" if self.sdk.encoding == "json" else b""
        self._pending += [{"event": kind}] * messages.count(empty)


def patches(message: bytes, encoding: str) -> list[bool]:
    """Whether each of the publications in a reply is a patch (client protocol 7.2)."""
    if encoding == "json":
        reply = json.loads(message)
        pushed = reply.get("push", {}).get("pub")
        recovered = reply.get("subscribe", {}).get("publications", [])
        return [pub.get("delta", False) for pub in (*recovered, *([pushed] if pushed else []))]
    decoded = client_pb2.Reply.FromString(message)
    pushed = [decoded.push.pub] if decoded.push.HasField("pub") else []
    return [pub.delta for pub in (*decoded.subscribe.publications, *pushed)]
