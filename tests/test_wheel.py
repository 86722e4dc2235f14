"""The timing wheel against a plain list of deadlines; tests for ``_wheel.pyx``.

Only a sink has deadlines, so sinks stand for anything timed; what each deadline does is tested in ``test_core``.
"""

import time
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from centrifast._core import Drain, Sink
from centrifast._wheel import TimingWheel
from tests.core_fakes import JSON

TURN = 51.2  # seconds in which the wheel turns once
SLACK = 0.001  # for the rounding of floats


@dataclass(eq=False)
class Timed:
    """A sink, the deadline it has been given, and how often it has been woken since."""

    wheel: TimingWheel
    drain: Drain
    fd: int
    earliest: float = 0.0  # the deadline lies between these two; 0 = none
    latest: float = 0.0
    wakes: int = 0
    closes: list["Timed"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sink = Sink(self.drain, self.wheel, JSON, self, self, self.fd, True)

    def write(self, data: bytes | memoryview) -> None:
        raise AssertionError("nothing is sent here")

    def on_sink_failed(self, reason: int) -> None:
        raise AssertionError("no deadline but the wake is set here")

    def on_sink_wake(self) -> None:
        self.wakes += 1
        for other in self.closes:
            other.close()

    def wake_in(self, seconds: float) -> None:
        before = time.monotonic()
        self.sink.wake_in(seconds)
        after = time.monotonic()
        # What is due already waits for the wheel's next step.
        self.earliest = before + seconds
        self.latest = max(after + seconds, self.wheel.now) + self.wheel.resolution + SLACK
        self.wakes = 0

    def forget(self) -> None:
        self.sink.wake_in(-1)
        self.earliest = self.latest = 0.0
        self.wakes = 0

    def close(self) -> None:
        self.sink.close()
        if not self.wakes:
            self.earliest = self.latest = 0.0


class WheelMachine(RuleBasedStateMachine):
    """Deadlines are set, moved, taken back; their owners go, also while others of the same step are served."""

    timed = Bundle("timed")

    @initialize()
    def start(self) -> None:
        self.now = time.monotonic()
        self.wheel = TimingWheel(self.now)
        self.drain = Drain(lambda _: None, 1 << 16)
        self.all: list[Timed] = []

    @rule(target=timed, seconds=st.floats(0, 3 * TURN))
    def add(self, seconds: float) -> Timed:
        made = Timed(self.wheel, self.drain, len(self.all))
        self.all.append(made)
        made.wake_in(seconds)
        return made

    @rule(one=timed, seconds=st.floats(0, 3 * TURN))
    def move(self, one: Timed, seconds: float) -> None:
        if not one.sink.closed:
            one.wake_in(seconds)

    @rule(one=timed)
    def take_back(self, one: Timed) -> None:
        if not one.sink.closed:
            one.forget()

    @rule(one=consumes(timed))
    def close(self, one: Timed) -> None:
        one.close()

    @rule(one=timed, other=timed)
    def let_one_close_another(self, one: Timed, other: Timed) -> None:
        one.closes.append(other)

    @rule(seconds=st.one_of(st.floats(0, 0.2), st.floats(0, 10), st.floats(0, 4 * TURN)))
    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wheel.advance(self.now)

    @invariant()
    def nobody_is_woken_early_or_late_or_twice(self) -> None:
        for one in self.all:
            assert one.wakes <= 1
            if one.wakes:
                assert self.wheel.now >= one.earliest > 0
            elif one.latest:
                assert self.wheel.now < one.latest

    def teardown(self) -> None:
        for one in self.all:
            one.close()
        self.wheel.advance(self.now + 10 * TURN)


TestWheel = WheelMachine.TestCase
TestWheel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.fixture
def wheel() -> TimingWheel:
    return TimingWheel(time.monotonic())


def test_time_may_go_back(wheel: TimingWheel) -> None:
    one = Timed(wheel, Drain(lambda _: None, 1 << 16), 0)
    one.wake_in(1)
    wheel.advance(wheel.now - 100)
    assert one.wakes == 0
    wheel.advance(wheel.now + 102)
    assert one.wakes == 1
    one.close()


def test_a_thousand_deadlines_of_one_moment_are_all_served(wheel: TimingWheel) -> None:
    drain = Drain(lambda _: None, 1 << 16)
    everyone = [Timed(wheel, drain, number) for number in range(1000)]
    for one in everyone:
        one.wake_in(5)
    wheel.advance(wheel.now + 6)
    assert [one.wakes for one in everyone] == [1] * 1000
    for one in everyone:
        one.close()


def test_a_wheel_dies_before_what_was_in_it() -> None:
    wheel = TimingWheel(time.monotonic())
    one = Timed(wheel, Drain(lambda _: None, 1 << 16), 0)
    one.wake_in(5)
    del wheel
    one.close()
    assert one.sink.closed
