"""The sweep must come once a second, sooner while there is more to do, and stop for good."""

from centrifast.engine.sweep import SWEEP_CONTINUE_DELAY, SWEEP_INTERVAL, SWEEP_MAX, Sweeper
from tests.fakes import FakeClock


class Heap:
    """So many things to free."""

    def __init__(self, clock: FakeClock, size: int) -> None:
        self.size = size
        self.looks: list[float] = []
        self._started = clock.monotonic()
        self.sweeper = Sweeper(clock, self.free)

    def free(self, now: float, limit: int) -> int:
        self.looks.append(round(now - self._started, 3))
        count = min(limit, self.size)
        self.size -= count
        return count


def test_it_comes_by_once_an_interval() -> None:
    clock = FakeClock()
    heap = Heap(clock, 10)
    heap.sweeper.start()
    clock.advance(3 * SWEEP_INTERVAL)
    assert heap.looks == [1.0, 2.0, 3.0]


def test_one_run_is_bounded_and_the_rest_follows_soon() -> None:
    clock = FakeClock()
    heap = Heap(clock, 2 * SWEEP_MAX + 1)
    heap.sweeper.start()
    clock.advance(SWEEP_INTERVAL)
    assert heap.size == SWEEP_MAX + 1
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert heap.size == 1
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert heap.size == 0
    clock.advance(SWEEP_INTERVAL)
    assert heap.looks == [1.0, 1.02, 1.04, 2.04]


def test_only_one_timer_is_set_and_close_ends_it() -> None:
    clock = FakeClock()
    heap = Heap(clock, 10)
    heap.sweeper.start()
    clock.advance(5)
    assert clock.timers == 1
    heap.sweeper.close()
    assert clock.timers == 0


def test_close_before_start_and_twice_is_harmless() -> None:
    sweeper = Heap(FakeClock(), 0).sweeper
    sweeper.close()
    sweeper.start()
    sweeper.close()
    sweeper.close()
