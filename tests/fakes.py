"""Stand-ins for what a test must control: so far the clock."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from centrifast.clock import TimerHandle


@dataclass(order=True, slots=True)
class _Timer:
    when: float
    number: int  # timers of one moment run in the order they were set
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """``centrifast.clock.Clock`` that stands still until ``advance``; ids and epochs are numbered."""

    def __init__(self, unix: float = 1_700_000_000.0) -> None:
        self._elapsed = 0.0
        self._started_at = unix
        self._timers: list[_Timer] = []
        self._timer_number = 0
        self._id_number = 0
        self._epoch_number = 0
        self.chance = 0.5
        """What ``random`` answers."""

    def monotonic(self) -> float:
        return 1000.0 + self._elapsed  # not 0, so that nobody takes "never" for "now"

    def unix(self) -> float:
        return self._started_at + self._elapsed

    def call_later(self, delay: float, callback: Callable[[], None]) -> TimerHandle:
        self._timer_number += 1
        timer = _Timer(self._elapsed + max(delay, 0.0), self._timer_number, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def random(self) -> float:
        return self.chance

    def new_id(self) -> str:
        self._id_number += 1
        return f"00000000-0000-4000-8000-{self._id_number:012d}"

    def new_epoch(self) -> str:
        """Eight letters that count: ``aaaaaaab``, ``aaaaaaac``, ..."""
        self._epoch_number += 1
        letters = []
        number = self._epoch_number
        for _ in range(8):
            number, letter = divmod(number, 26)
            letters.append(chr(ord("a") + letter))
        return "".join(reversed(letters))

    @property
    def timers(self) -> int:
        """How many timers are set and neither cancelled nor done."""
        return sum(not timer.cancelled for timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Let time pass: timers that become due run in order, each at its own moment."""
        until = self._elapsed + seconds
        while self._timers and self._timers[0].when <= until:
            timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, timer.when)
            if not timer.cancelled:
                timer.callback()
        self._elapsed = until
