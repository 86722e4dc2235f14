"""Whether one more connection may open (server specification 2.5)."""

from typing import Protocol

from centrifast import log
from centrifast._metrics import Tally
from centrifast.clock import Clock
from centrifast.config.schema import ClientConfig
from centrifast.hub import Hub
from centrifast.limits import CONNECTION_LIMIT_LOG_INTERVAL

ALMOST_ONE = 0.999
"""Tokens that do for one connection: rounding must not cost a client its turn."""


class NodeCount(Protocol):
    """What all processes of a node have let in; each notes its own part (``workers.ledger``)."""

    def clients(self) -> int:
        """Clients that have connected, anywhere on the node."""

    def note_clients(self, count: int) -> None:
        """So many have connected to this process."""

    def full_at(self) -> float:
        """When the bucket of the rate limit is full again, by the monotonic clock."""

    def note_full_at(self, at: float) -> None:
        """A connection was let in here; that moves it to *at*."""


class Admission:
    """Keeps ``client.connection_limit`` and ``client.connection_rate_limit``; *refused* counts for the first."""

    def __init__(self, config: ClientConfig, clock: Clock, hub: Hub, refused: Tally) -> None:
        self.limit = config.connection_limit
        """Connections of this node, 0 = any number; a reload may change it."""
        self._clock = clock
        self._hub = hub
        self._refused = refused
        self._rate = RateLimit(config.connection_rate_limit, clock.monotonic())
        self._count: NodeCount | None = None
        self._logged_at = -CONNECTION_LIMIT_LOG_INTERVAL

    def share(self, count: NodeCount) -> None:
        """Keep both limits together with the other processes of this node."""
        self._count = self._rate.count = count
        self._hub.on_count = count.note_clients

    def admits(self) -> bool:
        """Whether one more may open; the excess is logged once per interval."""
        now = self._clock.monotonic()
        if not self._rate.take(now):
            return False
        if self.limit <= 0 or self._clients() < self.limit:
            return True
        self._refused.add()
        if now - self._logged_at >= CONNECTION_LIMIT_LOG_INTERVAL:
            self._logged_at = now
            log.warn("connection limit reached", limit=self.limit)
        return False

    def _clients(self) -> int:
        return len(self._hub.clients) if self._count is None else self._count.clients()


class RateLimit:
    """Token bucket: *rate* a second, as many at once; 0 = no limit (server specification 2.5, decision).

    Kept as the moment at which the bucket is full again: one number, which processes can share.
    """

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._full_at = now
        self.count: NodeCount | None = None
        """Where that moment stands, if not here."""

    def take(self, now: float) -> bool:
        """Whether one more is allowed at *now*, in seconds."""
        if self._rate <= 0:
            return True
        full_at = max(now, self._full_at if self.count is None else self.count.full_at())
        if self._rate - (full_at - now) * self._rate < ALMOST_ONE:
            return False
        full_at += 1 / self._rate
        if self.count is None:
            self._full_at = full_at
        else:
            self.count.note_full_at(full_at)
        return True
