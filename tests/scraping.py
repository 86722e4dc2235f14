"""A reader of Prometheus's text format, and a client that counts its own messages as the server should."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.raw_websocket import TEXT, RawWebSocket
from tests.server_process import ServerProcess

_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

PUSH_KINDS = {"pub": "publication"}


def key(name: str, **labels: object) -> tuple[str, tuple[tuple[str, str], ...]]:
    """How a sample is found: by name and all of its labels."""
    return name, tuple(sorted((label, str(value)) for label, value in labels.items()))


def parse(text: str) -> Samples:
    """Every sample of a scrape; none may occur twice."""
    samples: Samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        name, labels, value = found.groups()
        sample = key(name, **dict(_LABEL.findall(labels or "")))
        assert sample not in samples, line
        samples[sample] = float(value)
    return samples


def scrape(server: ServerProcess) -> Samples:
    """Ask the daemon's ``/metrics``."""
    status, body = server.get("/metrics")
    assert status == 200
    return parse(body.decode())


def scrape_until(server: ServerProcess, holds: Callable[[Samples], bool]) -> Samples:
    """Scrape again until something holds; the test's timeout ends what never does."""
    while not holds(samples := scrape(server)):
        pass
    return samples


class CountingWebSocket(RawWebSocket):
    """Counts by kind what it sends and receives: messages and their bytes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.sent, self.sent_size = Counter[str](), Counter[str]()
        self.received, self.received_size = Counter[str](), Counter[str]()
        self._kinds: dict[int, str] = {}
        super().__init__(*arguments, **options)

    def __enter__(self) -> "CountingWebSocket":
        return self

    def send_text(self, text: str) -> None:
        for line in text.split("\n"):
            command = json.loads(line)
            kind = next((name for name in command if name != "id"), "unknown" if command else "client_pong")
            self._kinds[command.get("id", 0)] = kind
            self.sent[kind] += 1
            self.sent_size[kind] += len(line)
        super().send_text(text)

    def receive(self) -> Any:
        received = super().receive()
        if received is not None and received.opcode == TEXT:
            for line in received.payload.split(b"\n"):
                kind = self._kind_of(json.loads(line))
                self.received[kind] += 1
                self.received_size[kind] += len(line)
        return received

    def _kind_of(self, reply: dict[str, Any]) -> str:
        if not reply:
            return "server_ping"
        if "push" not in reply:
            return self._kinds[reply["id"]]
        (kind,) = set(reply["push"]) - {"channel"}
        return f"push_{PUSH_KINDS.get(kind, kind)}"
