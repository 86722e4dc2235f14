"""Which descriptors can be read: who is told, in which order, how many in a turn; tests for ``_intake.pyx``."""

import asyncio
import resource
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from centrifast._intake import Intake

UNHURRIED = 60.0  # seconds of a slice that is never over


class Loop:
    """Knows what it would look at."""

    def __init__(self) -> None:
        self.readers: dict[int, object] = {}

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        assert fd not in self.readers
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]


@dataclass(eq=False)
class Owner:
    """One end of a socket pair; notes in *told* that it was called, and does what it is made to do."""

    name: str
    told: list[str]
    act: Callable[["Owner"], object] = lambda owner: owner.read()
    received: bytes = b""
    ends: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)

    @property
    def fd(self) -> int:
        return self.ends[0].fileno()

    def on_readable(self) -> None:
        self.told.append(self.name)
        self.act(self)

    def read(self) -> None:
        self.received += self.ends[0].recv(100)

    def say(self, data: bytes) -> None:
        self.ends[1].send(data)

    def close(self) -> None:
        for end in self.ends:
            end.close()


class World:
    """An intake with owners; *told* is the order in which they were called."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[str] = []
        self.owners: list[Owner] = []

    def intake(self, slice: float = UNHURRIED) -> Intake:
        return Intake(self.loop, slice)

    def watch(self, intake: Intake, names: str, act: Callable[[Owner], object] = Owner.read) -> list[Owner]:
        """Have an owner of each name watched, and something to read for each, in this order."""
        owners = [Owner(name, self.told, act) for name in names]
        self.owners += owners
        for owner in owners:
            intake.watch(owner.fd, owner)
        for owner in owners:
            owner.say(b"x")
        return owners


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for owner in world.owners:
        owner.close()


def test_everybody_with_something_to_read_is_told_in_the_order_in_which_it_came(world: World) -> None:
    intake = world.intake()
    world.watch(intake, "abc")
    intake.run()
    assert world.told == ["a", "b", "c"]
    intake.run()
    assert world.told == ["a", "b", "c"]  # they have read it


def test_more_than_are_taken_from_the_kernel_at_once_are_told_in_one_slice(world: World) -> None:
    intake = world.intake()
    names = "".join(map(chr, range(1000, 1200)))
    world.watch(intake, names)
    intake.run()
    assert "".join(world.told) == names


def test_a_slice_ends_and_the_next_goes_on_behind_it(world: World) -> None:
    intake = world.intake(slice=0.0)
    world.watch(intake, "abc")
    for number in range(1, 4):
        intake.run()
        assert world.told == ["a", "b", "c"][:number]


def test_who_does_not_read_everything_waits_behind_the_others(world: World) -> None:
    intake = world.intake(slice=0.0)
    first = world.watch(intake, "abc", act=lambda owner: owner.ends[0].recv(1))[0]
    first.say(b"yz")
    for _ in range(5):
        intake.run()
    assert world.told == ["a", "b", "c", "a", "a"]


def test_who_is_unwatched_is_not_told_even_in_the_same_slice(world: World) -> None:
    intake = world.intake()
    owners = world.watch(intake, "abc")

    def unwatch_two(_: Owner) -> None:
        for owner in owners[:2]:
            intake.unwatch(owner.fd)

    owners[0].act = unwatch_two
    intake.run()
    assert world.told == ["a", "c"]
    intake.run()
    assert world.told == ["a", "c"]
    intake.watch(owners[1].fd, owners[1])
    intake.run()
    assert world.told == ["a", "c", "b"]


def test_a_hang_up_is_something_to_read(world: World) -> None:
    intake = world.intake()
    [owner] = world.watch(intake, "a")
    intake.run()
    owner.ends[1].close()
    intake.run()
    assert world.told == ["a", "a"]
    assert owner.received == b"x"


def test_the_loop_looks_only_while_somebody_is_watched(world: World) -> None:
    intake = world.intake()
    assert not world.loop.readers
    first, second = world.watch(intake, "ab")
    assert list(world.loop.readers.values()) == [intake.run]
    intake.watch(first.fd, first)  # it is already
    assert intake.count == 2
    intake.unwatch(first.fd)
    intake.unwatch(first.fd)
    assert (intake.count, len(world.loop.readers)) == (1, 1)
    intake.unwatch(second.fd)
    intake.unwatch(100_000)  # never was
    assert (intake.count, len(world.loop.readers)) == (0, 0)


def test_a_descriptor_that_was_closed_first_can_be_unwatched_and_used_again(world: World) -> None:
    intake = world.intake()
    [gone] = world.watch(intake, "a")
    fd = gone.fd
    gone.close()
    intake.unwatch(fd)
    assert intake.count == 0
    owner = Owner("b", world.told)  # with the lowest numbers that are free, so with this one
    assert fd in {end.fileno() for end in owner.ends}
    world.owners.append(owner)
    intake.watch(owner.fd, owner)
    owner.say(b"y")
    intake.run()
    assert world.told == ["b"]


def test_one_that_raises_is_not_told_again_and_costs_only_itself(world: World) -> None:
    def fail(_: Owner) -> None:
        raise ValueError("a bug")

    intake = world.intake()
    owners = world.watch(intake, "abc")
    owners[1].act = fail
    with pytest.raises(ValueError, match="a bug"):
        intake.run()
    assert intake.count == 2
    intake.run()
    assert world.told == ["a", "b", "c"]


def test_what_can_not_be_watched_is_refused(world: World) -> None:
    intake = world.intake()
    owner = Owner("a", world.told)
    fd = owner.fd
    owner.close()
    with pytest.raises(OSError, match="epoll"):
        intake.watch(fd, owner)
    assert intake.count == 0


def test_without_descriptors_there_is_none() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="epoll"):
            Intake(Loop())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_loop_serves_others_between_two_slices() -> None:
    """With a real one: ten hang up in one moment, and something else has its turn after each."""

    async def scenario() -> list[int]:
        intake = Intake(asyncio.get_running_loop(), 0.0)
        told: list[str] = []
        owners = [Owner(str(number), told) for number in range(10)]
        for owner in owners:
            owner.act = lambda owner: intake.unwatch(owner.fd)
            intake.watch(owner.fd, owner)
        for owner in owners:
            owner.ends[1].close()
        seen = []
        while intake.count:
            seen.append(intake.count)
            await asyncio.sleep(0)
        for owner in owners:
            owner.close()
        return seen

    seen = asyncio.run(scenario())
    assert set(range(1, 11)) == set(seen)
