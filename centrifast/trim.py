"""Gives memory back to the system after many connections have gone.

glibc keeps what was freed, in pieces between what still lives: after 10,000 connections that came and went the process
would stay at 85 MB instead of 60. ``malloc_trim`` gives whole pages back; it takes some milliseconds, so it is called
only when there is much to give, and never while the number of connections is merely going up and down.
"""

import ctypes
from collections.abc import Callable
from typing import Protocol

from centrifast.clock import Clock, TimerHandle

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the number of connections."""

MANY = 1000
"""Connections that must have gone, 5 KiB each; fewer are not worth the pause."""


def release() -> bool:
    """Give free pages back; False where the C library has no such function (musl)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return False
    trim(0)
    return True


class Counted(Protocol):
    """How many connections are open, and the most there were since that was last set."""

    most_connections: int

    @property
    def open_connections(self) -> int:
        """Open now."""


class Trimmer:
    """Calls *give_back* when at least ``MANY`` connections, and half of all there were, have gone."""

    def __init__(self, clock: Clock, counted: Counted, give_back: Callable[[], object] = release) -> None:
        self._clock = clock
        self._counted = counted
        self._give_back = give_back
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Look now and then, until ``stop``."""
        self._timer = self._clock.call_later(LOOK_INTERVAL, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        count = self._counted.open_connections
        if self._counted.most_connections - count >= max(MANY, count):
            self._counted.most_connections = count
            self._give_back()
        self.start()
