"""What single scenarios measure beyond connections and deliveries: values, lines of the table, faults."""

from dataclasses import dataclass, field

from centrifast_loadgen.report import Latency, Rows


@dataclass(frozen=True, slots=True)
class Wave:
    """All dropped and came back."""

    dropped: int
    back: int
    seconds: float  # until the last that came was subscribed
    attempts: int
    retried: int
    timeouts: int
    connect_us: Latency  # of the attempts that succeeded


@dataclass(frozen=True, slots=True)
class Storm:
    """Reconnect waves."""

    waves: list[Wave] = field(default_factory=list)

    def rows(self) -> Rows:
        """A few lines per wave."""
        rows: Rows = []
        for number, wave in enumerate(self.waves, 1):
            rate = wave.back / wave.seconds if wave.seconds else 0.0
            rows.append((f"wave {number}", f"{wave.back:,} of {wave.dropped:,} back in {wave.seconds:,.2f} s "
                         f"({rate:,.0f}/s)"))  # fmt: skip
            rows.append(
                ("attempts, again, timeout", f"{wave.attempts:,}, {wave.retried:,}, {wave.timeouts:,}")
            )
            rows += wave.connect_us.rows("connect")
        return rows

    def faults(self) -> list[str]:
        """Who did not come back."""
        away = sum(wave.dropped - wave.back for wave in self.waves)
        return [f"{away:,} did not come back"] if away else []


@dataclass(frozen=True, slots=True)
class Recover:
    """All were away and recovered what they missed."""

    missed: int  # publications while all were away, each of all clients
    live: int  # publications while they came back
    clients: int
    subscriptions: int  # that had something to recover from
    recoveries: int  # subscribe replies with recovered
    unrecovered: int
    recovered: int  # publications in the replies
    expected: int  # of them; live ones may be more
    seconds: float  # from the first coming back to the last subscribed
    connect_us: Latency

    def rows(self) -> Rows:
        """Lines of the table."""
        per_second = self.recovered / self.seconds if self.seconds else 0.0
        return [
            ("came back", f"{self.clients:,} in {self.seconds:,.2f} s"),
            *self.connect_us.rows("connect"),
            ("subscriptions recovered", f"{self.recoveries:,} of {self.subscriptions:,}"),
            ("publications recovered", f"{self.recovered:,} of {self.expected:,} ({per_second:,.0f}/s)"),
        ]

    def faults(self) -> list[str]:
        """What was not recovered, or too much."""
        found = []
        if self.unrecovered or self.recoveries != self.subscriptions:
            found.append(f"{self.subscriptions - self.recoveries:,} subscriptions did not recover")
        if self.recovered < self.expected or (self.recovered > self.expected and not self.live):
            found.append(f"{self.recovered:,} publications recovered, not {self.expected:,}")
        return found


@dataclass(frozen=True, slots=True)
class Presence:
    """All entered one channel that tells all of all; some left."""

    joins: int
    joins_expected: int
    joins_seconds: float  # from the first connection to the last join
    leaves: int  # seen by those who stayed
    leaves_expected: int
    leaves_seconds: float
    doubled: int
    unseen: int  # never saw their own join
    left: int
    present: int | None = None  # by the server's presence_stats after all entered; None: could not be asked
    present_after: int | None = None  # after some left

    def rows(self) -> Rows:
        """Lines of the table."""
        rate = self.joins / self.joins_seconds if self.joins_seconds else 0.0
        rows = [
            (
                "joins",
                f"{self.joins:,} of {self.joins_expected:,} in {self.joins_seconds:,.2f} s ({rate:,.0f}/s)",
            ),
            ("joins doubled, own unseen", f"{self.doubled:,}, {self.unseen:,}"),
        ]
        if self.left:
            rows.append(
                ("leaves", f"{self.leaves:,} of {self.leaves_expected:,} in {self.leaves_seconds:,.2f} s")
            )
        for name, count in (("present", self.present), ("present after leaving", self.present_after)):
            if count is not None:
                rows.append((name, f"{count:,}"))
        return rows

    def faults(self) -> list[str]:
        """What was seen too seldom or too often."""
        counts = {
            "joins lost": self.joins_expected - self.joins,
            "joins too many": self.joins - self.joins_expected,
            "leaves lost": self.leaves_expected - self.leaves,
            "leaves too many": self.leaves - self.leaves_expected,
            "joins or leaves doubled": self.doubled,
            "own joins unseen": self.unseen,
        }
        return [f"{number:,} {what}" for what, number in counts.items() if number > 0]


@dataclass(frozen=True, slots=True)
class Slow:
    """Some did not read for a while."""

    slow: int
    disconnected: int  # by the server
    caught_up: int  # still connected, and got everything in the end
    behind: int  # what those still connected did not get
    delivered: int  # to slow clients
    latency_us: Latency  # of their deliveries

    def rows(self) -> Rows:
        """Lines of the table."""
        return [
            (
                "slow clients",
                f"{self.slow:,}: {self.disconnected:,} disconnected, {self.caught_up:,} caught up",
            ),
            ("delivered to them", f"{self.delivered:,}; {self.behind:,} missing"),
            *self.latency_us.rows("their latency"),
        ]

    def faults(self) -> list[str]:
        """Slow clients that were neither disconnected nor got everything."""
        left = self.slow - self.disconnected - self.caught_up
        return [f"{left:,} slow clients neither caught up nor were disconnected"] if left else []


@dataclass(frozen=True, slots=True)
class Soak:
    """Hours of everything."""

    seconds: float
    churned: int  # connections dropped and opened again
    subscriptions_recovered: int
    publications_recovered: int
    unrecovered: int
    recoverable: bool
    rss_begin: int | None  # bytes; medians of the first and last tenth of the time
    rss_end: int | None

    def rows(self) -> Rows:
        """Lines of the table."""
        rows = [
            ("lasted", f"{self.seconds:,.0f} s"),
            ("churned", f"{self.churned:,} connections"),
        ]
        if self.recoverable:
            rows.append(
                ("recovered", f"{self.publications_recovered:,} publications in "
                 f"{self.subscriptions_recovered:,} subscriptions, {self.unrecovered:,} not")
            )  # fmt: skip
        if self.rss_begin is not None and self.rss_end is not None:
            grown = (self.rss_end - self.rss_begin) / (1 << 20)
            rows.append(("server RSS, growth", f"{self.rss_end / (1 << 20):,.1f} MiB, {grown:+,.1f} MiB"))
        return rows

    def faults(self) -> list[str]:
        """Subscriptions that could not recover."""
        return [f"{self.unrecovered:,} subscriptions did not recover"] if self.unrecovered else []
