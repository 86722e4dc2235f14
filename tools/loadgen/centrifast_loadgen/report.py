"""What a run found, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from centrifast_loadgen.hints import hints_for
from centrifast_loadgen.histogram import quantile

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in microseconds."""

    p50: int = 0
    p90: int = 0
    p99: int = 0
    p999: int = 0
    max: int = 0

    @classmethod
    def of(cls, buckets: Sequence[int], largest: int | None = None) -> "Latency":
        """From a histogram and the exact maximum, by default the limit of the last bucket with a value."""
        largest = quantile(buckets, 1.0) if largest is None else largest
        p50, p90, p99, p999 = (min(quantile(buckets, q), largest) for q in (0.5, 0.9, 0.99, 0.999))
        return cls(p50, p90, p99, p999, largest)

    def rows(self, name: str) -> Rows:
        """Two lines of a table."""
        head = ", ".join(f"{value / 1000:,.2f}" for value in (self.p50, self.p90))
        tail = ", ".join(f"{value / 1000:,.2f}" for value in (self.p99, self.p999, self.max))
        return [(f"{name} p50, p90", f"{head} ms"), ("p99, p99.9, max", f"{tail} ms")]


class Details(Protocol):
    """What only one scenario measures; a dataclass, for JSON."""

    def rows(self) -> Rows:
        """Lines of the table."""

    def faults(self) -> list[str]:
        """What was not as it must be, in words."""


@dataclass(slots=True, kw_only=True)
class Report:
    """Figures of one run; None where they were not measured. Units are in the names."""

    connections: int
    processes: int
    scenario: str = "fanout"
    connected: int = 0  # at some time, with all subscriptions
    failed: int = 0  # attempts given up
    closed: int = 0  # by the server
    connect_seconds: float = 0.0
    connects_per_s: float = 0.0
    connect_us: Latency = field(default_factory=Latency)  # from opening a socket to the last subscription
    connect_cpu_us: float | None = None  # server CPU per connection
    rss_per_connection: float | None = None  # bytes, growth of the server over all connections
    rss: int | None = None  # bytes, of the server, connected and idle
    published: int = 0
    publish_errors: int = 0
    api_p50_us: int = 0
    api_p99_us: int = 0
    delivered: int = 0
    expected: int = 0
    lost: int = 0  # by connections that stayed open to the end, and skipped by any
    surplus: int = 0  # delivered again, or to who is not subscribed
    disordered: int = 0  # delivered after a later publication of the channel
    offset_gaps: int = 0  # offsets skipped
    offset_repeats: int = 0  # offsets that did not grow
    unsubscribed: int = 0  # by the server
    websocket_messages: int = 0
    pings: int = 0
    seconds: float = 0.0  # from the first publication to the last delivery
    deliveries_per_s: float = 0.0
    delivery_cpu_us: float | None = None  # server CPU per delivery
    server_cpu_share: float | None = (
        None  # CPU seconds per second while publishing: which side was saturated?
    )
    client_cpu_share: float = 0.0  # the same of the load generator, all its processes
    worker_cpu_shares: list[float] = field(default_factory=list)  # of each worker
    latency_us: Latency = field(default_factory=Latency)
    deflated: int | None = None  # handshakes that agreed on permessage-deflate; None: not offered
    handshakes: int = 0
    wire_bytes: int = 0  # of WebSocket payload received
    message_bytes: int = 0  # the same, inflated
    reasons: dict[str, int] = field(default_factory=dict)  # why connections or publications failed
    warnings: list[str] = field(default_factory=list)  # what makes the figures doubtful
    interrupted: bool = False
    details: Details | None = None

    def faults(self) -> list[str]:
        """What was not as it must be, in words."""
        counts = {
            "not connected": self.connections - self.connected,
            "failed": self.failed,
            "closed by the server": self.closed,
            "publications failed": self.publish_errors,
            "lost": self.lost,
            "surplus": self.surplus,
            "out of order": self.disordered,
            "offsets skipped": self.offset_gaps,
            "offsets repeated": self.offset_repeats,
            "unsubscribed by the server": self.unsubscribed,
            "delivered less than expected": max(self.expected - self.delivered, 0),
            "delivered more than expected": max(self.delivered - self.expected, 0),
        }
        found = [f"{number:,} {what}" for what, number in counts.items() if number]
        return [*found, *(self.details.faults() if self.details else [])]

    @property
    def complete(self) -> bool:
        """Whether nothing failed, was closed, lost, delivered twice or in the wrong order."""
        return not self.faults() and not self.interrupted

    def as_dict(self) -> dict[str, object]:
        """For JSON; what only the scenario measures has the scenario's name."""
        figures = {name: _rounded(value) for name, value in asdict(self).items()}
        details = figures.pop("details")
        if details is not None:
            figures[self.scenario] = details
        return {**figures, "hints": hints_for(self.reasons), "complete": self.complete}

    def rows(self) -> Rows:
        """Names and values, for people."""
        rows = self._connection_rows()
        if self.published or self.publish_errors:
            rows += self._delivery_rows()
        if self.details:
            rows += self.details.rows()
        rows += self._cpu_rows()
        rows += [(f"{number:,} x", reason) for reason, number in self.reasons.items()]
        rows += [("hint", hint) for hint in hints_for(self.reasons)]
        rows += [("warning", warning) for warning in self.warnings]
        return [*rows, ("result", self._result())]

    def as_table(self) -> str:
        """For people, as text."""
        return "\n".join(f"{name:<25}{value}" for name, value in self.rows())

    def _result(self) -> str:
        faults = self.faults()
        if self.interrupted:
            return "INTERRUPTED" + (": " + ", ".join(faults) if faults else ", nothing wrong so far")
        return "INCOMPLETE: " + ", ".join(faults) if faults else "complete"

    def _connection_rows(self) -> Rows:
        rows = [
            ("connected", f"{self.connected:,} of {self.connections:,} in {self.processes} processes"),
            ("failed, closed", f"{self.failed:,}, {self.closed:,}"),
            ("connect rate", f"{self.connects_per_s:,.0f}/s"),
        ]
        if self.connect_us.max:
            rows += self.connect_us.rows("connect")
        if self.connect_cpu_us is not None:
            rows.append(("server CPU / connect", f"{self.connect_cpu_us:,.1f} us"))
        if self.rss_per_connection is not None and self.rss is not None:
            per_connection = f"{self.rss_per_connection / 1024:,.2f} KiB"
            rows.append(
                ("server RSS / connection", f"{per_connection} of {self.rss / (1 << 20):,.1f} MiB in all")
            )
        if self.deflated is not None:
            rows.append(("permessage-deflate", self._deflate_text()))
        return rows

    def _deflate_text(self) -> str:
        if not self.deflated:
            return "declined by the server"
        ratio = self.wire_bytes / self.message_bytes if self.message_bytes else 1.0
        return f"agreed by {self.deflated:,} of {self.handshakes:,}; {ratio:.0%} of the bytes on the wire"

    def _delivery_rows(self) -> Rows:
        rows = [
            ("published, errors", f"{self.published:,}, {self.publish_errors:,}"),
            ("API p50, p99", f"{self.api_p50_us / 1000:,.2f}, {self.api_p99_us / 1000:,.2f} ms"),
            ("delivered", f"{self.delivered:,} of {self.expected:,}"),
            ("lost, surplus, order", f"{self.lost:,}, {self.surplus:,}, {self.disordered:,}"),
            ("deliveries", f"{self.deliveries_per_s:,.0f}/s over {self.seconds:,.2f} s"),
            *self.latency_us.rows("latency"),
        ]
        if self.offset_gaps or self.offset_repeats:
            rows.append(("offset gaps, repeats", f"{self.offset_gaps:,}, {self.offset_repeats:,}"))
        if self.unsubscribed:
            rows.append(("unsubscribed", f"{self.unsubscribed:,} by the server"))
        if self.delivery_cpu_us is not None:
            rows.append(("server CPU / delivery", f"{self.delivery_cpu_us:,.3f} us"))
        return rows

    def _cpu_rows(self) -> Rows:
        if not self.client_cpu_share:
            return []
        server = "not measured" if self.server_cpu_share is None else f"{self.server_cpu_share:.0%}"
        rows = [("CPU of server, loadgen", f"{server}, {self.client_cpu_share:.0%}")]
        if self.worker_cpu_shares:
            shares = ", ".join(f"{share:.0%}" for share in self.worker_cpu_shares)
            rows.append(("CPU of each worker", shares))
        return rows


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
