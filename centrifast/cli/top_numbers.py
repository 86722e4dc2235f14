"""From snapshots of the API's ``stats`` to the numbers ``top`` shows: rates, sums, the last minute. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

LATENCIES = ("publish_to_socket", "client_command", "api_command", "loop_lag")
QUANTILES = ("p50", "p99", "p999")

MINUTE = 60.0
MOST_SAMPLES = 120


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second since the snapshot before. *cpu* in cores: 1.0 is one core used up."""

    messages_sent: float = 0.0
    messages_received: float = 0.0
    bytes_sent: float = 0.0
    bytes_received: float = 0.0
    publications: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: "Rates") -> "Rates":
        return Rates(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(Rates)))


@dataclass(frozen=True, slots=True)
class Row:
    """One process, or the sum of all. *rates* is None until there are two snapshots of it."""

    name: str
    numbers: Mapping[str, float]
    latencies: Mapping[str, Mapping[str, float]]
    rates: Rates | None


@dataclass(frozen=True, slots=True)
class Slow:
    """A client that reads slowly, and how many bytes wait for it."""

    client: str
    user: str
    bytes: float


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown at one moment."""

    time: float
    versions: Sequence[str]
    rows: Sequence[Row]
    total: Row
    slow: Sequence[Slow]
    minute: Sequence[Rates | None]
    """Rates of all processes together, the latest last."""


NUMBERS = (
    "num_clients",
    "num_users",
    "num_subs",
    "num_channels",
    "slow_disconnects",
    "outbox_bytes",
    "drain_length",
    "rss",
    "open_descriptors",
    "descriptor_limit",
)


@dataclass(slots=True)
class Meter:
    """Keeps what rates need: the snapshots before, and the last minute. *interval* in seconds."""

    interval: float = 1.0
    _before: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _minute: deque[Rates | None] = field(default_factory=deque)

    def read(self, nodes: Sequence[Mapping[str, Any]], *, most_slow: int = 10) -> View:
        """The view of an answer. Raises ``KeyError``, ``TypeError``, ``ValueError`` for what is none."""
        rows = [self._row(node) for node in sorted(nodes, key=lambda node: str(node["name"]))]
        known = [row.rates for row in rows if row.rates is not None]
        rates = sum(known[1:], known[0]) if known else None
        self._minute.append(rates)
        while len(self._minute) > max(2, min(MOST_SAMPLES, MINUTE / self.interval)):
            self._minute.popleft()
        self._before = {str(node["uid"]): node for node in nodes}
        slow = [
            Slow(str(client["client"]), str(client["user"]), float(client["bytes"]))
            for node in nodes
            for client in node.get("slow", ())
        ]
        return View(
            time=max((float(node["time"]) for node in nodes), default=0.0),
            versions=sorted({str(node["version"]) for node in nodes}),
            rows=rows,
            total=total(rows, rates),
            slow=sorted(slow, key=lambda client: -client.bytes)[:most_slow],
            minute=tuple(self._minute),
        )

    def _row(self, node: Mapping[str, Any]) -> Row:
        return Row(
            name=str(node["name"]),
            numbers={name: float(node[name]) for name in NUMBERS},
            latencies={
                name: {quantile: float(node[name][quantile]) for quantile in QUANTILES} for name in LATENCIES
            },
            rates=rates_between(self._before.get(str(node["uid"])), node),
        )


def rates_between(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Rates | None:
    """What happened per second; None for a process that was not there, or whose counters have begun anew."""
    if before is None:
        return None
    seconds = float(after["uptime"]) - float(before["uptime"])
    if seconds <= 0:
        return None
    counters = (
        "messages_sent",
        "messages_received",
        "bytes_sent",
        "bytes_received",
        "publications",
        "cpu_seconds",
    )
    changes = [float(after[name]) - float(before[name]) for name in counters]
    if any(change < 0 for change in changes):
        return None
    return Rates(*(change / seconds for change in changes))


def total(rows: Sequence[Row], rates: Rates | None) -> Row:
    """All together: sums, and of latencies the worst. A user of two processes counts twice."""
    return Row(
        name="sum",
        numbers={name: sum(max(0.0, row.numbers[name]) for row in rows) for name in NUMBERS},
        latencies={
            name: {
                quantile: max((row.latencies[name][quantile] for row in rows), default=0.0)
                for quantile in QUANTILES
            }
            for name in LATENCIES
        },
        rates=rates,
    )
