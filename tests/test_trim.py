"""When memory is given back, and that it can be."""

import platform

import pytest

from centrifast.trim import LOOK_INTERVAL, MANY, Trimmer, release
from tests.fakes import FakeClock


class World:
    """A number of connections, and how often memory was given back."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.open_connections = 0
        self.most_connections = 0
        self.given_back = 0
        self.trimmer = Trimmer(self.clock, self, self.give_back)
        self.trimmer.start()

    def give_back(self) -> None:
        self.given_back += 1

    def set(self, connections: int) -> None:
        """Have this many connections, between two looks."""
        self.open_connections = connections
        self.most_connections = max(self.most_connections, connections)

    def see(self, connections: int) -> int:
        """Let it look at this many connections; how often it has given back since the start."""
        self.set(connections)
        self.clock.advance(LOOK_INTERVAL)
        return self.given_back


@pytest.fixture
def world() -> World:
    return World()


def test_memory_is_given_back_once_when_most_connections_have_gone(world: World) -> None:
    assert world.see(10_000) == 0
    assert world.see(6_000) == 0
    assert world.see(5_000) == 1
    assert world.see(5_000) == 1
    assert world.see(0) == 2


def test_a_few_that_go_are_not_worth_it(world: World) -> None:
    assert world.see(MANY - 1) == 0
    assert world.see(0) == 0


def test_a_storm_between_two_looks_counts(world: World) -> None:
    world.set(10_000)
    assert world.see(0) == 1


def test_going_up_and_down_gives_nothing_back(world: World) -> None:
    for connections in (10_000, 8_000, 10_000, 7_000, 9_000):
        assert world.see(connections) == 0


def test_after_the_stop_nobody_looks(world: World) -> None:
    world.see(10_000)
    world.trimmer.stop()
    assert world.see(0) == 0
    assert not world.clock.timers
    world.trimmer.stop()


def test_the_c_library_gives_back() -> None:
    assert release() == (platform.libc_ver()[0] == "glibc")


def test_a_c_library_without_the_function_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert release() is False
