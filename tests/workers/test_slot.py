"""How long a slot stays empty."""

from centrifast.limits import WORKER_SHORT_LIFE
from centrifast.workers.slot import Member, Slot, State


def test_the_delay_doubles_up_to_a_limit() -> None:
    slot = Slot(1)
    delays = [slot.delay_after(0.0) for _ in range(9)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    for _ in range(2000):
        assert slot.delay_after(0.0) == 10.0


def test_who_lived_long_died_of_something_else() -> None:
    slot = Slot(1)
    for _ in range(5):
        slot.delay_after(1.0)
    assert slot.delay_after(WORKER_SHORT_LIFE) == 0.1
    assert slot.delay_after(1.0) == 0.2


def test_a_slot_is_served_while_its_worker_does() -> None:
    slot = Slot(1)
    assert not slot.is_serving
    slot.current = Member(slot, 0.0)
    assert not slot.is_serving
    slot.current.state = State.SERVING
    assert slot.is_serving
    slot.current.state = State.LEAVING
    assert not slot.is_serving


def test_who_ends_before_it_serves_has_not_served() -> None:
    member = Member(Slot(1), 0.0)
    assert not member.has_served
    member.started.set()
    assert not member.has_served
    member.state = State.SERVING
    assert member.has_served
