import asyncio
import re
import time
import uuid
from collections.abc import Iterator

import pytest

from centrifast.clock import Clock, SystemClock


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def clock(loop: asyncio.AbstractEventLoop) -> Clock:
    return SystemClock(loop)


def test_monotonic_time_never_goes_back(clock: Clock) -> None:
    times = [clock.monotonic() for _ in range(100)]
    assert times == sorted(times)


def test_unix_time_is_the_machines(clock: Clock) -> None:
    before = time.time()
    assert before <= clock.unix() <= time.time()


def test_timers_run_in_the_order_of_their_delays(clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
    ran: list[str] = []
    clock.call_later(0.002, loop.stop)
    clock.call_later(0.001, lambda: ran.append("second"))
    clock.call_later(0, lambda: ran.append("first"))
    loop.run_forever()
    assert ran == ["first", "second"]


def test_a_cancelled_timer_does_not_run(clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
    ran: list[str] = []
    timer = clock.call_later(0, lambda: ran.append("cancelled"))
    timer.cancel()
    clock.call_later(0, loop.stop)
    loop.run_forever()
    assert ran == []
    timer.cancel()


def test_chance_lies_between_zero_and_one(clock: Clock) -> None:
    numbers = {clock.random() for _ in range(100)}
    assert len(numbers) > 1
    assert all(0 <= number < 1 for number in numbers)


def test_ids_are_fresh_version_4_uuids(clock: Clock) -> None:
    first, second = clock.new_id(), clock.new_id()
    assert first != second
    assert uuid.UUID(first).version == 4
    assert str(uuid.UUID(first)) == first


def test_an_epoch_is_eight_letters(clock: Clock) -> None:
    epochs = {clock.new_epoch() for _ in range(20)}
    assert len(epochs) == 20
    assert all(re.fullmatch("[a-zA-Z]{8}", epoch) for epoch in epochs)
