"""Whether one more connection may open (server specification 2.5)."""

from centrifast import log
from centrifast._metrics import Tally
from centrifast.clock import Clock
from centrifast.config.schema import ClientConfig
from centrifast.hub import Hub
from centrifast.limits import CONNECTION_LIMIT_LOG_INTERVAL


class Admission:
    """Keeps ``client.connection_limit`` and ``client.connection_rate_limit``; *refused* counts for the first."""

    def __init__(self, config: ClientConfig, clock: Clock, hub: Hub, refused: Tally) -> None:
        self.limit = config.connection_limit
        """Connections of this node, 0 = any number; a reload may change it."""
        self._clock = clock
        self._hub = hub
        self._refused = refused
        self._rate = RateLimit(config.connection_rate_limit, clock.monotonic())
        self._logged_at = -CONNECTION_LIMIT_LOG_INTERVAL

    def admits(self) -> bool:
        """Whether one more may open; the excess is logged once per interval."""
        now = self._clock.monotonic()
        if not self._rate.take(now):
            return False
        if self.limit <= 0 or len(self._hub.clients) < self.limit:
            return True
        self._refused.add()
        if now - self._logged_at >= CONNECTION_LIMIT_LOG_INTERVAL:
            self._logged_at = now
            log.warn("connection limit reached", limit=self.limit)
        return False


class RateLimit:
    """Token bucket: *rate* a second, as many at once; 0 = no limit (server specification 2.5, decision)."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed at *now*, in seconds."""
        if self._rate <= 0:
            return True
        self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
