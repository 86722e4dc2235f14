"""What the core counts while it sends: messages and bytes by kind, outboxes, rounds, pings; on real socket pairs."""

import time
from collections.abc import Iterator

import pytest

from centrifast._channel import Channel
from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._metrics import FRAME_TYPES
from centrifast._wheel import TimingWheel
from tests.core_fakes import Peer, Turns

PUBLICATION = FRAME_TYPES.index("push_publication")
PING, PONG, UNKNOWN = 0, 1, 22


class World:
    """Peers of one variant, which has counted nothing before."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.drain = Drain(self.turns.call_soon, 1 << 16)
        self.wheel = TimingWheel(time.monotonic())
        self.variant = Variant("json", 1, b"\n", b"{}", b"{}", transport="test")
        self.channel = Channel("news", self.drain)
        self.peers: list[Peer] = []

    def connect(self, *, small: bool = False) -> Peer:
        peer = Peer(self.drain, self.wheel, self.variant, small=small)
        self.peers.append(peer)
        return peer

    def subscribe(self, count: int) -> list[Peer]:
        peers = [self.connect() for _ in range(count)]
        for peer in peers:
            self.channel.join(peer.sink)
        return peers

    def close(self) -> None:
        for array in tuple(self.channel.arrays):
            for sink in array.sinks():
                self.channel.leave(sink, False)
        for peer in self.peers:
            peer.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_a_broadcast_counts_once_for_each_member(world: World) -> None:
    world.subscribe(3)
    world.channel.arrays[0].broadcast(b"12345", kind=PUBLICATION)
    assert world.variant.counted()[PUBLICATION] == (3, 15, 0, 0)
    assert world.variant.transport == "test"


def test_those_who_left_and_those_who_are_late_are_counted_as_they_are_sent_to(world: World) -> None:
    peers = world.subscribe(3)
    world.channel.arrays[0].broadcast(b"1", kind=PUBLICATION)
    world.channel.leave(peers[0].sink)
    world.subscribe(1)
    world.channel.arrays[0].broadcast(b"2", kind=PUBLICATION)
    assert world.variant.counted()[PUBLICATION] == (3 + 3, 6, 0, 0)
    world.turns.run()
    assert sum(len(peer.messages()) for peer in world.peers) == 6


def test_nobody_is_sent_nothing(world: World) -> None:
    (peer,) = world.subscribe(1)
    array = world.channel.arrays[0]
    world.channel.leave(peer.sink)
    array.broadcast(b"1", kind=PUBLICATION)
    assert world.variant.counted()[PUBLICATION] == (0, 0, 0, 0)


def test_a_message_to_one_counts_unless_it_is_not_taken(world: World) -> None:
    peer = world.connect()
    peer.sink.send(b"123", FRAME_TYPES.index("connect"))
    peer.sink.send(b"4")
    peer.sink.close()
    peer.sink.send(b"5")
    assert world.variant.counted()[FRAME_TYPES.index("connect")] == (1, 3, 0, 0)
    assert world.variant.counted()[UNKNOWN] == (1, 1, 0, 0)


@pytest.mark.parametrize("kind", [-1, 23, 1 << 30])
def test_a_kind_that_does_not_exist_is_refused(world: World, kind: int) -> None:
    (peer,) = world.subscribe(1)
    with pytest.raises(ValueError, match="no such kind"):
        peer.sink.send(b"1", kind)
    with pytest.raises(ValueError, match="no such kind"):
        world.channel.arrays[0].broadcast(b"1", kind=kind)
    with pytest.raises(ValueError, match="no such kind"):
        world.variant.count_received(kind, 1)


def test_received_messages_are_counted_by_whoever_decodes_them(world: World) -> None:
    world.variant.count_received(PUBLICATION, 10)
    world.variant.count_received(PUBLICATION, 5)
    assert world.variant.counted()[PUBLICATION] == (0, 0, 2, 15)


def test_pings_and_pongs_count_and_all_round_trips_but_the_first_are_measured(world: World) -> None:
    peer = world.connect()
    start = world.wheel.now
    peer.sink.start_pings(1.0, 25.0, 8.0)
    for trip in range(3):
        world.wheel.advance(start + 2 + 26 * trip)
        assert peer.sink.pong()
        assert not peer.sink.pong()
        assert world.variant.round_trips.cumulative()[-1] == trip
    assert world.variant.counted()[PING] == (3, 6, 0, 0)
    assert world.variant.counted()[PONG] == (0, 0, 3, 6)


def test_a_pong_after_pings_were_stopped_is_not_measured(world: World) -> None:
    peer = world.connect()
    start = world.wheel.now
    peer.sink.start_pings(1.0, 25.0, 8.0)
    world.wheel.advance(start + 2)
    assert peer.sink.pong()
    world.wheel.advance(start + 30)
    peer.sink.stop_pings()
    assert peer.sink.pong()
    assert world.variant.round_trips.cumulative()[-1] == 0


def test_outbox_bytes_are_what_waits_in_all_outboxes(world: World) -> None:
    one, two = world.connect(), world.connect()
    one.sink.send(b"12345")
    two.sink.send(b"123")
    two.sink.send_frame(b"12")
    assert world.drain.outbox_bytes == one.sink.queued + two.sink.queued
    one.sink.drop_queue()
    assert world.drain.outbox_bytes == two.sink.queued
    world.turns.run()
    assert world.drain.outbox_bytes == 0


def test_an_outbox_that_is_closed_holds_nothing(world: World) -> None:
    peer = world.connect(small=True)
    while not peer.transport.buffer:
        peer.sink.send(b"x" * 20000)
        world.turns.run()
    peer.sink.send(b"123")
    world.turns.run()
    assert world.drain.outbox_bytes == peer.sink.queued > 0
    peer.sink.close()
    assert world.drain.outbox_bytes == 0


def test_the_length_of_the_drain_is_who_waits_for_a_turn(world: World) -> None:
    world.subscribe(100)
    assert world.drain.length == 0
    world.peers[0].sink.send(b"1")
    assert world.drain.length == 1
    world.channel.arrays[0].broadcast(b"2")
    assert world.drain.length == 2
    world.turns.run()
    assert world.drain.length == 0
    world.channel.arrays[0].broadcast(b"3", can_wait=True)
    assert world.drain.length == 1
    world.drain.release()
    world.turns.run()
    assert world.drain.length == 0


def test_every_round_is_measured_once(world: World) -> None:
    world.subscribe(100)
    array = world.channel.arrays[0]
    for _ in range(3):
        array.broadcast(b"1")
        array.broadcast(b"2")
        world.turns.run()
    assert world.drain.round_times.cumulative()[-1] == 3
    array.broadcast(b"3", can_wait=True)
    world.turns.run()
    assert world.drain.round_times.cumulative()[-1] == 3
    world.drain.release()
    world.turns.run()
    assert world.drain.round_times.cumulative()[-1] == 4
    assert world.drain.round_times.sum < 3600, "the wait that a message may have is not measured"


def test_what_can_wait_does_not_make_a_round_old(world: World) -> None:
    world.subscribe(100)
    array = world.channel.arrays[0]
    array.broadcast(b"1", can_wait=True)
    array.broadcast(b"2")
    world.turns.run()
    assert world.drain.round_times.cumulative()[-1] == 1
    assert world.drain.round_times.sum < 3600
