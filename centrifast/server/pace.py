"""How fast connections are accepted: ``client.connect_rate``.

Who is refused comes back, with a library that waits little at once. Who waits in the kernel's queue does not notice
more than a slow handshake, and the server has the rest of its time for those it has.
"""

from centrifast.clock import Clock

PACE_INTERVAL = 0.02
"""Seconds between two looks while connections wait; they are taken in groups then. Less than a handshake takes."""

ROUNDING = 1e-3
"""Of a connection: who has waited as long as was said does not wait again."""


class Pace:
    """A token bucket that everybody shares who accepts for one door. *rate* in connections a second, 0 = any number."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        # Two intervals: a look that comes late must not cost a part of the rate.
        self._most = max(1.0, 2 * PACE_INTERVAL * rate)
        self._tokens = self._most
        self._filled_at = clock.monotonic()

    def wait(self) -> float:
        """Seconds until the next connection may be accepted; 0 = at once."""
        if self._rate <= 0:
            return 0.0
        now = self._clock.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return 0.0 if self._tokens > 1 - ROUNDING else max(PACE_INTERVAL, (1 - self._tokens) / self._rate)

    def count(self) -> None:
        """One has been accepted."""
        self._tokens -= 1
