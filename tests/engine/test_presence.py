"""What only the memory presence promises: never to wait, nothing left behind, bounded steps."""

import pytest

from centrifast.engine.host import at_once
from centrifast.engine.presence import FEW, MemoryPresence
from centrifast.engine.sweep import SWEEP_CONTINUE_DELAY, SWEEP_MAX
from centrifast.limits import PRESENCE_TTL
from centrifast.model import ClientInfo, PresenceStats
from tests.fakes import FakeClock

ANN = ClientInfo("ann", "a1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def presence(clock: FakeClock) -> MemoryPresence:
    presence = MemoryPresence(clock)
    at_once(presence.start())
    return presence


def add(presence: MemoryPresence, *numbers: int, channel: str = "news") -> None:
    for number in numbers:
        at_once(presence.add(channel, ClientInfo(f"user{number}", f"client{number}")))


def remove(presence: MemoryPresence, *numbers: int, channel: str = "news") -> None:
    for number in numbers:
        at_once(presence.remove(channel, f"client{number}", f"user{number}"))


def held(presence: MemoryPresence) -> int:
    """Count the entries the manager keeps, past their time or not."""
    return sum(len(members.entries) for members in presence._channels.values())


def test_no_method_suspends(presence: MemoryPresence) -> None:
    at_once(presence.add("news", ANN))
    assert at_once(presence.presence("news")) == {"a1": ANN}
    assert at_once(presence.stats("news")) == PresenceStats(1, 1)
    at_once(presence.remove("news", "a1", "ann"))
    at_once(presence.close())


@pytest.mark.parametrize("clients", [1, FEW, FEW + 1, 100])
def test_channel_everybody_left_leaves_nothing_behind(presence: MemoryPresence, clients: int) -> None:
    add(presence, *range(clients))
    remove(presence, *range(clients))
    assert not presence._channels


@pytest.mark.parametrize("clients", [1, 100])
@pytest.mark.parametrize("method", ["presence", "stats"])
def test_answer_for_a_channel_that_is_over_frees_it(
    presence: MemoryPresence, clock: FakeClock, method: str, clients: int
) -> None:
    at_once(presence.close())  # no sweep helps
    add(presence, *range(clients))
    clock.advance(PRESENCE_TTL)
    at_once(getattr(presence, method)("news"))
    assert not presence._channels


def test_asking_about_an_unknown_channel_leaves_nothing_behind(presence: MemoryPresence) -> None:
    at_once(presence.presence("news"))
    at_once(presence.stats("news"))
    remove(presence, 1)
    assert not presence._channels


def test_few_clients_are_held_plainly_and_many_counted(presence: MemoryPresence) -> None:
    add(presence, *range(FEW))
    few = presence._channels["news"]
    add(presence, *range(FEW))
    assert presence._channels["news"] is few
    add(presence, FEW)
    many = presence._channels["news"]
    assert type(many) is not type(few)
    remove(presence, *range(FEW // 2))
    assert presence._channels["news"] is many
    remove(presence, FEW)
    assert type(presence._channels["news"]) is type(few)
    assert at_once(presence.stats("news")) == PresenceStats(FEW // 2, FEW // 2)


def test_clients_that_grew_to_many_expire_in_the_order_of_their_refreshes(
    presence: MemoryPresence, clock: FakeClock
) -> None:
    add(presence, *range(FEW))
    clock.advance(1)
    add(presence, 0)
    clock.advance(1)
    add(presence, FEW)
    clock.advance(PRESENCE_TTL - 2)
    assert set(at_once(presence.presence("news"))) == {"client0", f"client{FEW}"}


@pytest.mark.parametrize("clients", [1, 100])
def test_sweep_frees_what_nobody_asks_about(presence: MemoryPresence, clock: FakeClock, clients: int) -> None:
    add(presence, *range(clients))
    clock.advance(PRESENCE_TTL - 1)
    assert held(presence) == clients
    clock.advance(2)
    assert not presence._channels


def test_sweep_leaves_what_was_refreshed_and_comes_back_for_it(
    presence: MemoryPresence, clock: FakeClock
) -> None:
    add(presence, *range(100))
    clock.advance(PRESENCE_TTL / 2)
    add(presence, *range(50))
    clock.advance(PRESENCE_TTL / 2 + 1)
    assert held(presence) == 50
    clock.advance(PRESENCE_TTL + 1)
    assert not presence._channels


def test_sweep_makes_a_channel_small_again(presence: MemoryPresence, clock: FakeClock) -> None:
    add(presence, 0)
    few = presence._channels["news"]
    add(presence, *range(100))
    clock.advance(PRESENCE_TTL / 2)
    add(presence, 0)
    clock.advance(PRESENCE_TTL / 2 + 1)
    assert type(presence._channels["news"]) is type(few)
    clock.advance(PRESENCE_TTL + 1)
    assert not presence._channels


def test_one_sweep_of_a_large_channel_is_bounded(presence: MemoryPresence, clock: FakeClock) -> None:
    add(presence, *range(2 * SWEEP_MAX))
    add(presence, 0, channel="sport")
    clock.advance(PRESENCE_TTL)
    assert held(presence) == 2 * SWEEP_MAX + 1 - (SWEEP_MAX - 1)  # to look at the channel counts as well
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert held(presence) == 3
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert held(presence) == 0


def test_one_sweep_of_many_channels_is_bounded(presence: MemoryPresence, clock: FakeClock) -> None:
    for number in range(SWEEP_MAX):
        add(presence, number, channel=f"channel{number}")
    clock.advance(PRESENCE_TTL)
    assert held(presence) == SWEEP_MAX // 2
    clock.advance(SWEEP_CONTINUE_DELAY)
    assert held(presence) == 0


def test_sweep_that_finds_only_live_channels_is_bounded(presence: MemoryPresence, clock: FakeClock) -> None:
    count = 2 * SWEEP_MAX + 1
    for number in range(count):
        add(presence, number, channel=f"channel{number}")
    clock.advance(PRESENCE_TTL / 2)
    for number in range(count):
        add(presence, number, channel=f"channel{number}")
    clock.advance(PRESENCE_TTL / 2 + 1)
    assert held(presence) == count
    clock.advance(PRESENCE_TTL + 1)
    assert held(presence) == 0


def test_close_ends_the_sweep(presence: MemoryPresence, clock: FakeClock) -> None:
    add(presence, 1)
    clock.advance(5)
    assert clock.timers == 1
    at_once(presence.close())
    assert clock.timers == 0


def test_close_before_start_is_harmless(clock: FakeClock) -> None:
    at_once(MemoryPresence(clock).close())
