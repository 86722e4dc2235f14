"""Freeing what is past its time, in bounded steps between turns of the loop."""

from collections.abc import Callable

from centrifast.clock import Clock, TimerHandle

# Engines specification 2: the sweep comes once a second. It may look at this many things and then lets the
# loop go on (a few milliseconds at about 1 µs each); with more to do it comes back after the short delay.
SWEEP_INTERVAL = 1.0
SWEEP_MAX = 2000
SWEEP_CONTINUE_DELAY = 0.02


class Sweeper:
    """Calls ``free(now, limit)``, which looks at no more than *limit* things and returns at how many it did."""

    def __init__(self, clock: Clock, free: Callable[[float, int], int]) -> None:
        self._clock = clock
        self._free = free
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Come by every ``SWEEP_INTERVAL`` from here on."""
        self._timer = self._clock.call_later(SWEEP_INTERVAL, self._run)

    def close(self) -> None:
        """Come no more; harmless when not started."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        count = self._free(self._clock.monotonic(), SWEEP_MAX)
        delay = SWEEP_INTERVAL if count < SWEEP_MAX else SWEEP_CONTINUE_DELAY
        self._timer = self._clock.call_later(delay, self._run)
