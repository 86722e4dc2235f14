"""What a run found, as a table and as JSON."""

from dataclasses import asdict, dataclass, field

from centrifast_loadgen.histogram import quantile


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in microseconds."""

    p50: int = 0
    p90: int = 0
    p99: int = 0
    p999: int = 0
    max: int = 0

    @classmethod
    def of(cls, buckets: list[int], largest: int) -> "Latency":
        """From a histogram and the exact maximum."""
        p50, p90, p99, p999 = (min(quantile(buckets, q), largest) for q in (0.5, 0.9, 0.99, 0.999))
        return cls(p50, p90, p99, p999, largest)


@dataclass(slots=True, kw_only=True)
class Report:
    """Figures of one run; None where they were not measured. Units are in the names."""

    connections: int
    processes: int
    connected: int = 0  # and subscribed to everything
    failed: int = 0
    closed: int = 0
    connect_seconds: float = 0.0
    connects_per_s: float = 0.0
    connect_cpu_us: float | None = None  # server CPU per connection
    rss_per_connection: float | None = None  # bytes, growth of the server over all connections
    rss: int | None = None  # bytes, of the server, connected and idle
    published: int = 0
    publish_errors: int = 0
    api_p50_us: int = 0
    api_p99_us: int = 0
    delivered: int = 0
    expected: int = 0
    lost: int = 0  # by connections that stayed open to the end
    surplus: int = 0  # delivered to a connection more often than published
    websocket_messages: int = 0
    pings: int = 0
    seconds: float = 0.0  # from the first publication to the last delivery
    deliveries_per_s: float = 0.0
    delivery_cpu_us: float | None = None  # server CPU per delivery
    server_cpu_share: float | None = (
        None  # CPU seconds per second while publishing: which side was saturated?
    )
    client_cpu_share: float = 0.0  # the same of the load generator, all its processes
    latency_us: Latency = field(default_factory=Latency)
    reasons: dict[str, int] = field(default_factory=dict)  # why connections or publications failed

    @property
    def complete(self) -> bool:
        """Whether nothing failed, was closed, lost or delivered twice."""
        return (
            self.connected == self.connections
            and not (self.failed or self.closed or self.publish_errors or self.lost or self.surplus)
            and self.delivered == self.expected
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {**{name: _rounded(value) for name, value in asdict(self).items()}, "complete": self.complete}

    def as_table(self) -> str:
        """For people."""
        rows = self._connection_rows()
        if self.published or self.publish_errors:
            rows += self._delivery_rows()
        rows += [(f"{number} x", reason) for reason, number in self.reasons.items()]
        rows.append(("result", "complete" if self.complete else "INCOMPLETE: see the rows above"))
        return "\n".join(f"{name:<25}{value}" for name, value in rows)

    def _connection_rows(self) -> list[tuple[str, str]]:
        rows = [
            ("connected", f"{self.connected:,} of {self.connections:,} in {self.processes} processes"),
            ("failed, closed", f"{self.failed:,}, {self.closed:,}"),
            ("connect rate", f"{self.connects_per_s:,.0f}/s"),
        ]
        if self.connect_cpu_us is not None:
            rows.append(("server CPU / connect", f"{self.connect_cpu_us:,.1f} us"))
        if self.rss_per_connection is not None and self.rss is not None:
            per_connection = f"{self.rss_per_connection / 1024:,.2f} KiB"
            rows.append(
                ("server RSS / connection", f"{per_connection} of {self.rss / (1 << 20):,.1f} MiB in all")
            )
        return rows

    def _delivery_rows(self) -> list[tuple[str, str]]:
        latency = self.latency_us
        rows = [
            ("published, errors", f"{self.published:,}, {self.publish_errors:,}"),
            ("API p50, p99", f"{self.api_p50_us / 1000:,.2f}, {self.api_p99_us / 1000:,.2f} ms"),
            ("delivered", f"{self.delivered:,} of {self.expected:,}"),
            ("lost, surplus", f"{self.lost:,}, {self.surplus:,}"),
            ("deliveries", f"{self.deliveries_per_s:,.0f}/s over {self.seconds:,.2f} s"),
            ("latency p50, p90", f"{latency.p50 / 1000:,.2f}, {latency.p90 / 1000:,.2f} ms"),
            ("p99, p99.9, max", " ".join(f"{v / 1000:,.2f}," for v in (latency.p99, latency.p999))
             + f" {latency.max / 1000:,.2f} ms"),
        ]  # fmt: skip
        if self.delivery_cpu_us is not None:
            rows.append(("server CPU / delivery", f"{self.delivery_cpu_us:,.3f} us"))
        server = "not measured" if self.server_cpu_share is None else f"{self.server_cpu_share:.0%}"
        rows.append(("CPU of server, loadgen", f"{server}, {self.client_cpu_share:.0%}"))
        return rows


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value
