"""The broadcast core on real socket pairs; tests for ``_core.pyx``."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from centrifast._channel import IN_STEP, LOST, OLD, Channel
from centrifast._core import NO_PONG, SLOW, WRITE_FAILED, Drain, Sink
from centrifast._framing import Variant, encode_frame
from centrifast._wheel import TimingWheel
from tests.core_fakes import JSON, PROTOBUF, Peer, Turns, say

QUEUE = 1 << 16
Connect = Callable[..., Peer]


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def drain(turns: Turns) -> Drain:
    return Drain(turns.call_soon, QUEUE)


@pytest.fixture
def wheel() -> TimingWheel:
    return TimingWheel(time.monotonic())


@pytest.fixture
def connect(drain: Drain, wheel: TimingWheel) -> Iterator[Connect]:
    peers: list[Peer] = []

    def make(variant: Variant = JSON, **options: bool) -> Peer:
        peer = Peer(drain, wheel, variant, **options)
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        if not peer.sink.memberships_count:
            peer.close()


@pytest.fixture
def channel(drain: Drain) -> Iterator[Channel]:
    channel = Channel("news", drain)
    yield channel
    for array in tuple(channel.arrays):
        for sink in array.sinks():
            channel.leave(sink, False)


def fill(peer: Peer, turns: Turns) -> bytes:
    """Write to a peer that does not read until its sink is blocked; what was sent."""
    sent = b""
    message = b"x" * 20000
    while not peer.transport.buffer:
        peer.sink.send(message)
        sent += encode_frame(0x81, message)
        turns.run()
    return sent


def test_nothing_is_written_before_the_drain_runs(connect: Connect, channel: Channel, turns: Turns) -> None:
    peer = connect()
    channel.join(peer.sink)
    say(channel, JSON, b'{"a":1}')
    peer.sink.send(b'{"id":1}')
    assert peer.received() == b""
    turns.run()
    assert peer.messages() == [b'{"id":1}', b'{"a":1}']


def test_pending_messages_leave_in_one_frame(connect: Connect, channel: Channel, turns: Turns) -> None:
    peer = connect()
    channel.join(peer.sink)
    for number in range(3):
        say(channel, JSON, b"%d" % number)
    turns.run()
    assert peer.received() == b"\x81\x050\n1\n2"


def test_a_frame_carries_sixteen_messages_at_most(connect: Connect, channel: Channel, turns: Turns) -> None:
    peer = connect(PROTOBUF)
    channel.join(peer.sink)
    for _ in range(17):
        say(channel, PROTOBUF, b"\x01a")
    turns.run()
    assert peer.received() == b"\x82\x20" + b"\x01a" * 16 + b"\x82\x02\x01a"


def test_each_variant_gets_its_own_bytes(connect: Connect, channel: Channel, turns: Turns) -> None:
    json, protobuf = connect(), connect(PROTOBUF)
    channel.join(json.sink)
    channel.join(protobuf.sink)
    assert {array.variant for array in channel.arrays} == {JSON, PROTOBUF}
    say(channel, JSON, b"{}")
    say(channel, PROTOBUF, b"\x01b")
    turns.run()
    assert json.messages() == [b"{}"]
    assert protobuf.messages() == [b"\x01b"]


def test_who_joins_while_messages_are_pending_gets_only_later_ones(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    early, late = connect(), connect()
    channel.join(early.sink)
    say(channel, JSON, b"1")
    channel.join(late.sink)
    assert len(channel) == 2
    say(channel, JSON, b"2")
    turns.run()
    say(channel, JSON, b"3")
    turns.run()
    assert early.messages() == [b"1", b"2", b"3"]
    assert late.messages() == [b"2", b"3"]


def test_a_late_sink_may_leave_before_its_first_round(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    early, late = connect(), connect()
    channel.join(early.sink)
    say(channel, JSON, b"1")
    channel.join(late.sink)
    assert channel.leave(late.sink) == 1
    turns.run()
    assert late.received() == b""


def test_who_leaves_still_gets_what_came_before(connect: Connect, channel: Channel, turns: Turns) -> None:
    stays, leaves, vanishes = connect(), connect(), connect()
    for peer in (stays, leaves, vanishes):
        channel.join(peer.sink)
    say(channel, JSON, b"1")
    assert channel.leave(leaves.sink) == 2
    assert channel.leave(vanishes.sink, False) == 1
    say(channel, JSON, b"2")
    turns.run()
    assert stays.messages() == [b"1", b"2"]
    assert leaves.messages() == [b"1"]
    assert vanishes.received() == b""


def test_who_leaves_during_a_round_gets_the_rest_of_it(connect: Connect, turns: Turns) -> None:
    drain = Drain(turns.call_soon, QUEUE, 0.0)  # a slice of nothing: each turn writes sixteen sockets
    wheel = TimingWheel(0.0)
    channel = Channel("news", drain)
    peers = [Peer(drain, wheel) for _ in range(40)]
    for peer in peers:
        channel.join(peer.sink)
    say(channel, JSON, b"1")
    drain.run()  # begins the round even though its time is over, because the deadline is looked at after sends
    received = [peer.messages() for peer in peers]
    for peer in peers[::2]:
        channel.leave(peer.sink)
    say(channel, JSON, b"2")
    turns.run()
    for index, peer in enumerate(peers):
        expected = [b"1"] if index % 2 == 0 else [b"1", b"2"]
        assert received[index] + peer.messages() == expected
    for peer in peers[1::2]:
        channel.leave(peer.sink)
    for peer in peers:
        peer.close()


def test_a_round_is_written_in_slices(turns: Turns) -> None:
    drain = Drain(turns.call_soon, QUEUE, 0.0)
    wheel = TimingWheel(0.0)
    channel = Channel("news", drain)
    peers = [Peer(drain, wheel) for _ in range(100)]
    for peer in peers:
        channel.join(peer.sink)
    say(channel, JSON, b"1")
    drain.run()
    assert not drain.idle
    say(channel, JSON, b"2")
    assert turns.run() > 1
    assert all(peer.messages() == [b"1", b"2"] for peer in peers)
    for peer in peers:
        channel.leave(peer.sink)
        peer.close()


def test_a_reply_queued_before_a_broadcast_arrives_first(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    peer = connect()
    peer.sink.send(b'{"id":2}')
    channel.join(peer.sink)
    say(channel, JSON, b"1")
    turns.run()
    assert peer.messages() == [b'{"id":2}', b"1"]


def test_a_blocked_subscriber_gets_everything_in_order_when_it_reads_again(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    slow, quick = connect(small=True), connect()
    channel.join(slow.sink)
    channel.join(quick.sink)
    sent = fill(slow, turns)
    for number in range(5):
        say(channel, JSON, b"%d" % number)
        slow.sink.send(b"r%d" % number)
        turns.run()
        assert quick.messages() == [b"%d" % number]
    received = slow.received()
    while slow.transport.buffer or slow.sink.queued:
        slow.transport.drain()
        turns.run()
        received += slow.received()
    assert received.startswith(sent)
    tail = received[len(sent) :]
    from tests.core_fakes import messages_of

    # A reply of the same turn leaves before the round: outboxes are flushed first.
    assert messages_of(tail, JSON) == [
        b"r0", b"0", b"r1", b"1", b"r2", b"2", b"r3", b"3", b"r4", b"4",
    ]  # fmt: skip


def test_too_many_waiting_bytes_fail_the_sink_and_nobody_else(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    slow, quick = connect(small=True), connect()
    channel.join(slow.sink)
    channel.join(quick.sink)
    fill(slow, turns)
    message = b"m" * 10000
    for _ in range(QUEUE // len(message) + 1):
        assert slow.failures == []
        say(channel, JSON, message)
        turns.run()
        assert quick.messages() == [message]
    assert slow.failures == [SLOW]
    assert quick.failures == []
    slow.sink.drop_queue()
    assert slow.sink.queued == 0


def test_many_replies_in_one_turn_do_not_make_a_reading_client_slow(connect: Connect, turns: Turns) -> None:
    peer = connect()
    message = b"m" * 30000
    received: list[bytes] = []
    for _ in range(8):
        peer.sink.send(message)
        received += peer.messages()
    turns.run()
    received += peer.messages()
    assert peer.failures == []
    assert received == [message] * 8


def test_an_indirect_sink_writes_through_its_transport(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    peer = connect(direct=False)
    written: list[bytes] = []
    peer.transport.write = lambda data: written.append(bytes(data))  # type: ignore[method-assign]
    channel.join(peer.sink)
    say(channel, JSON, b"1")
    turns.run()
    peer.sink.send_frame(encode_frame(0x8A, b"p"))
    turns.run()
    assert b"".join(written) == b"\x81\x011\x8a\x01p"
    assert peer.received() == b""


def test_a_closed_descriptor_is_never_written_again(connect: Connect, turns: Turns) -> None:
    peer = connect()
    peer.sink.send(b"1")
    peer.sink.close()
    peer.sink.send(b"2")
    turns.run()
    assert peer.received() == b""
    assert peer.sink.closed


def test_joining_twice_or_leaving_without_joining_is_an_error(connect: Connect, channel: Channel) -> None:
    peer, stranger = connect(), connect()
    channel.join(peer.sink)
    with pytest.raises(ValueError, match="member already"):
        channel.join(peer.sink)
    with pytest.raises(ValueError, match="not a member"):
        channel.leave(stranger.sink)
    stranger.sink.close()
    with pytest.raises(ValueError, match="closed"):
        channel.join(stranger.sink)
    with pytest.raises(RuntimeError, match="while subscribed"):
        peer.sink.close()


def test_while_too_much_is_pending_a_round_is_finished_without_yielding(turns: Turns) -> None:
    drain = Drain(turns.call_soon, QUEUE, 0.0)
    wheel = TimingWheel(0.0)
    channel = Channel("news", drain)
    peers = [Peer(drain, wheel) for _ in range(100)]
    for peer in peers:
        channel.join(peer.sink)
    say(channel, JSON, b"1")
    drain.run()
    received = [peer.messages() for peer in peers]
    assert [] in received, "the first slice was meant to end early"
    message = b"m" * 8000
    count = QUEUE // len(message) + 2
    for _ in range(count):
        say(channel, JSON, message)
    drain.run()
    received = [first + peer.messages() for first, peer in zip(received, peers, strict=True)]
    assert all(first[:1] == [b"1"] for first in received)
    turns.run()
    for first, peer in zip(received, peers, strict=True):
        assert first + peer.messages() == [b"1"] + [message] * count
        channel.leave(peer.sink)
        peer.close()


def test_pings_are_sent_every_interval_and_a_missing_pong_fails_the_sink(
    connect: Connect, wheel: TimingWheel, turns: Turns
) -> None:
    peer = connect()
    start = wheel.now
    peer.sink.start_pings(12.5, 25.0, 8.0)
    assert not peer.sink.pong(), "no ping is outstanding"
    wheel.advance(start + 12)
    turns.run()
    assert peer.messages() == []
    wheel.advance(start + 13)
    turns.run()
    assert peer.messages() == [b"{}"]
    assert peer.sink.pong()
    assert not peer.sink.pong(), "one pong answers one ping"
    wheel.advance(start + 22)
    assert peer.failures == []
    wheel.advance(start + 39)
    turns.run()
    assert peer.messages() == [b"{}"]
    wheel.advance(start + 48)
    turns.run()
    assert peer.failures == [NO_PONG]


def test_without_pong_timeout_no_answer_is_demanded(
    connect: Connect, wheel: TimingWheel, turns: Turns
) -> None:
    peer = connect()
    start = wheel.now
    peer.sink.start_pings(1.0, 25.0, 0.0)
    wheel.advance(start + 2)
    wheel.advance(start + 20)
    turns.run()
    assert peer.failures == []
    assert peer.sink.pong()


def test_the_owner_is_woken_once(connect: Connect, wheel: TimingWheel) -> None:
    peer, other = connect(), connect()
    start = wheel.now
    peer.sink.wake_in(3.0)
    other.sink.wake_in(3.0)
    other.sink.wake_in(-1)
    wheel.advance(start + 2)
    assert peer.wakes == 0
    wheel.advance(start + 4)
    wheel.advance(start + 200)
    assert (peer.wakes, other.wakes) == (1, 0)


def test_a_deadline_beyond_one_turn_of_the_wheel_is_kept(connect: Connect, wheel: TimingWheel) -> None:
    peer = connect()
    start = wheel.now
    peer.sink.wake_in(300.0)
    for second in range(0, 299, 7):
        wheel.advance(start + second)
    assert peer.wakes == 0
    wheel.advance(start + 301)
    assert peer.wakes == 1


def test_a_write_that_takes_too_long_fails_the_sink(
    connect: Connect, wheel: TimingWheel, turns: Turns
) -> None:
    peer = connect(small=True)
    fill(peer, turns)
    wheel.advance(wheel.now + 30)
    turns.run()
    assert peer.failures == [WRITE_FAILED]


def test_a_write_that_completes_in_time_does_not(connect: Connect, wheel: TimingWheel, turns: Turns) -> None:
    peer = connect(small=True)
    fill(peer, turns)
    while peer.transport.buffer:
        peer.received()
        peer.transport.drain()
    wheel.advance(wheel.now + 30)
    turns.run()
    assert peer.failures == []


def test_a_callback_of_the_wheel_may_close_other_sinks(drain: Drain, wheel: TimingWheel) -> None:
    class Closer(Peer):
        victims: tuple[Sink, ...] = ()

        def on_sink_wake(self) -> None:
            super().on_sink_wake()
            for victim in self.victims:
                victim.close()

    first, second = Closer(drain, wheel), Closer(drain, wheel)
    first.victims = second.victims = (first.sink, second.sink)
    first.sink.wake_in(1.0)
    second.sink.wake_in(1.0)
    wheel.advance(wheel.now + 2)
    assert first.wakes + second.wakes == 1
    first.close()
    second.close()


def test_a_transport_that_refuses_to_write_costs_only_its_own_sink(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    def refuse(data: bytes | memoryview) -> None:
        raise RuntimeError("the handler is closed")

    broken, sound = connect(direct=False), connect(direct=False)
    broken.transport.write = refuse  # type: ignore[method-assign]
    for peer in (broken, sound):
        channel.join(peer.sink)
    say(channel, JSON, b"1")
    turns.run()
    assert broken.failures == [WRITE_FAILED]
    assert sound.messages() == [b"1"]


# ------------------------------------------------------------------ messages that can wait


def crowd(connect: Connect, channel: Channel, size: int) -> list[Peer]:
    peers = [connect() for _ in range(size)]
    for peer in peers:
        channel.join(peer.sink)
    return peers


def test_what_can_wait_is_collected_in_a_crowd(
    connect: Connect, channel: Channel, drain: Drain, turns: Turns
) -> None:
    peers = crowd(connect, channel, 65)
    (array,) = channel.arrays
    array.broadcast(b"1", can_wait=True)
    array.broadcast(b"2", can_wait=True)
    turns.run()
    assert not drain.idle
    assert peers[0].messages() == []
    drain.release()
    turns.run()
    assert drain.idle
    assert all(peer.messages() == [b"1", b"2"] for peer in peers)


def test_what_can_not_wait_takes_along_what_was_said_before(
    connect: Connect, channel: Channel, drain: Drain, turns: Turns
) -> None:
    peers = crowd(connect, channel, 65)
    (array,) = channel.arrays
    array.broadcast(b"1", can_wait=True)
    array.broadcast(b"2")
    turns.run()
    assert all(peer.messages() == [b"1", b"2"] for peer in peers)
    drain.release()
    assert drain.idle


def test_among_few_nothing_waits(connect: Connect, channel: Channel, turns: Turns) -> None:
    peers = crowd(connect, channel, 64)
    channel.arrays[0].broadcast(b"1", can_wait=True)
    turns.run()
    assert all(peer.messages() == [b"1"] for peer in peers)


def test_what_can_wait_does_so_behind_a_round_as_well(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    drain = Drain(turns.call_soon, QUEUE, 0.0)  # slices of sixteen sends
    room = Channel("room", drain)
    wheel = TimingWheel(0.0)
    peers = [Peer(drain, wheel) for _ in range(65)]
    for peer in peers:
        room.join(peer.sink)
    (array,) = room.arrays
    array.broadcast(b"1")
    turns.turn()
    array.broadcast(b"2", can_wait=True)
    turns.run()
    assert all(peer.messages() == [b"1"] for peer in peers)
    drain.release()
    turns.run()
    assert all(peer.messages() == [b"2"] for peer in peers)
    for peer in peers:
        room.leave(peer.sink)
        peer.close()
    assert drain.idle


def test_too_much_does_not_wait(connect: Connect, channel: Channel, turns: Turns) -> None:
    peers = crowd(connect, channel, 65)
    for _ in range(9):
        channel.arrays[0].broadcast(b"x" * 16000, can_wait=True)
    turns.run()
    assert len(peers[0].messages()) == 9


def test_a_crowd_that_leaves_takes_what_waits_along(
    connect: Connect, channel: Channel, drain: Drain, turns: Turns
) -> None:
    peers = crowd(connect, channel, 65)
    channel.arrays[0].broadcast(b"1", can_wait=True)
    for peer in peers:
        channel.leave(peer.sink)
    drain.release()
    turns.run()
    assert drain.idle
    assert all(peer.messages() == [b"1"] for peer in peers)


# ------------------------------------------------------------------ groups and positions


def test_each_group_gets_its_own_bytes(connect: Connect, channel: Channel, turns: Turns) -> None:
    first, second = connect(), connect()
    channel.join(first.sink, "a")
    channel.join(second.sink, "b")
    say(channel, JSON, b"1", "a")
    say(channel, JSON, b"2", "b")
    turns.run()
    assert (first.messages(), second.messages()) == ([b"1"], [b"2"])
    assert (channel.group_of(first.sink), channel.group_of(connect().sink)) == ("a", None)


def test_a_group_alone_is_renamed(connect: Connect, channel: Channel, turns: Turns) -> None:
    peer = connect()
    channel.join(peer.sink, "a")
    (array,) = channel.arrays
    channel.regroup(array, "b")
    channel.regroup(array, "b")
    assert channel.arrays == [array]
    assert channel.group_of(peer.sink) == "b"


@pytest.mark.parametrize("busy", [False, True])
def test_who_changes_groups_gets_all_that_was_said_to_either_while_in_it(
    connect: Connect, channel: Channel, turns: Turns, busy: bool
) -> None:
    moves, late, stays = connect(), connect(), connect()
    channel.join(moves.sink, "a")
    channel.join(stays.sink, "b")
    say(channel, JSON, b"1", "a")
    if busy:
        say(channel, JSON, b"2", "b")
    channel.join(late.sink, "a")
    (source,) = (array for array in channel.arrays if array.group == "a")
    channel.regroup(source, "b")
    assert [array.group for array in channel.arrays] == ["b"]
    say(channel, JSON, b"3", "b")
    turns.run()
    assert moves.messages() == [b"1", b"3"]
    assert late.messages() == [b"3"]
    assert stays.messages() == ([b"2", b"3"] if busy else [b"3"])
    assert len(channel) == 3


def test_a_group_can_be_changed_while_a_round_is_written(turns: Turns) -> None:
    drain = Drain(turns.call_soon, QUEUE, 0.0)  # slices of sixteen sends
    channel, wheel = Channel("room", drain), TimingWheel(0.0)
    peers = [Peer(drain, wheel) for _ in range(40)]
    other = Peer(drain, wheel)
    channel.join(other.sink, "b")
    for peer in peers:
        channel.join(peer.sink, "a")
    say(channel, JSON, b"1", "a")
    turns.turn()
    (source,) = (array for array in channel.arrays if array.group == "a")
    channel.regroup(source, "b")
    say(channel, JSON, b"2", "b")
    turns.run()
    assert all(peer.messages() == [b"1", b"2"] for peer in peers)
    assert other.messages() == [b"2"]
    for peer in (*peers, other):
        channel.leave(peer.sink)
        peer.close()
    assert drain.idle


def test_a_position_advances_one_by_one(channel: Channel) -> None:
    steps = [(1, "a"), (2, "a"), (2, "a"), (1, "a"), (4, "a"), (5, "a"), (6, "b"), (7, "b")]
    assert [channel.advance(*step) for step in steps] == [
        IN_STEP,
        IN_STEP,
        OLD,
        OLD,
        LOST,
        IN_STEP,
        LOST,
        IN_STEP,
    ]
    assert (channel.offset, channel.epoch) == (7, "b")
    channel.place(3, "c")
    assert (channel.advance(3, "c"), channel.advance(4, "c")) == (OLD, IN_STEP)


def test_who_is_late_moves_without_what_was_said_before(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    first, late, target = connect(), connect(), connect()
    channel.join(first.sink, "a")
    channel.join(target.sink, "b")
    say(channel, JSON, b"1", "a")
    say(channel, JSON, b"2", "b")
    channel.join(late.sink, "a")
    say(channel, JSON, b"3", "a")
    (source,) = (array for array in channel.arrays if array.group == "a")
    channel.regroup(source, "b")
    say(channel, JSON, b"4", "b")
    assert channel.leave(late.sink) == 2
    say(channel, JSON, b"5", "b")
    turns.run()
    assert late.messages() == [b"3", b"4"]
    assert first.messages() == [b"1", b"3", b"4", b"5"]
    assert target.messages() == [b"2", b"4", b"5"]


def test_a_group_whose_members_have_all_left_is_gone(
    connect: Connect, channel: Channel, turns: Turns
) -> None:
    peers = [connect() for _ in range(3)]
    for peer, group in zip(peers, "aab", strict=True):
        channel.join(peer.sink, group)
    say(channel, JSON, b"1", "a")
    channel.leave(peers[0].sink)
    channel.leave(peers[1].sink, False)
    assert [array.group for array in channel.arrays] == ["b"]
    turns.run()
    assert [peer.messages() for peer in peers] == [[b"1"], [], []]


def test_groups_of_different_variants_are_not_mixed(connect: Connect, channel: Channel, turns: Turns) -> None:
    text, binary = connect(), connect(PROTOBUF)
    for peer in (text, binary):
        channel.join(peer.sink, "a")
    (source,) = (array for array in channel.arrays if array.variant is JSON)
    channel.regroup(source, "b")
    say(channel, JSON, b"1", "b")
    say(channel, PROTOBUF, b"\x012", "a")
    turns.run()
    assert (text.messages(), binary.messages()) == ([b"1"], [b"\x012"])
    assert (channel.group_of(text.sink), channel.group_of(binary.sink)) == ("b", "a")


def test_a_member_leaves_with_the_group_it_has_changed_to(connect: Connect, channel: Channel) -> None:
    peer, other = connect(), connect()
    channel.join(peer.sink, "a")
    channel.join(other.sink, "b")
    (source,) = (array for array in channel.arrays if array.group == "a")
    channel.regroup(source, "b")
    assert channel.leave(peer.sink) == 1
    assert channel.group_of(peer.sink) is None
    channel.join(peer.sink, "a")
    assert channel.group_of(peer.sink) == "a"


@dataclass
class Member:
    """A peer and all that it must have got."""

    peer: Peer
    expected: list[bytes] = field(default_factory=list)
    group: str = ""  # empty = it is no member


GROUPS = st.sampled_from("abc")
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 39), GROUPS),
        st.tuples(st.just("leave"), st.integers(0, 39), GROUPS),
        st.tuples(st.just("regroup"), st.integers(0, 2), GROUPS),
        st.tuples(st.just("say"), st.just(0), GROUPS),
        st.tuples(st.just("turn"), st.just(0), GROUPS),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(crowd=st.integers(0, 40), moves=MOVES)
def test_whatever_groups_do_each_member_gets_exactly_what_was_said_to_its_own(
    crowd: int, moves: list[tuple[str, int, str]]
) -> None:
    turns = Turns()
    drain = Drain(turns.call_soon, QUEUE, 0.0)  # slices of sixteen sends, so rounds are still being written
    channel, wheel = Channel("room", drain), TimingWheel(0.0)
    members = [Member(Peer(drain, wheel)) for _ in range(40)]
    for member in members[:crowd]:
        channel.join(member.peer.sink, "a")
        member.group = "a"
    for number, (what, index, group) in enumerate(moves):
        member = members[index]
        if what == "join" and not member.group:
            channel.join(member.peer.sink, group)
            member.group = group
        elif what == "leave" and member.group:
            member.group = ""
            channel.leave(member.peer.sink)
        elif what == "regroup" and index < len(channel.arrays):
            source = channel.arrays[index]
            for moving in members:
                if moving.group == source.group:
                    moving.group = group
            channel.regroup(source, group)
        elif what == "say":
            message = b"%d" % number
            say(channel, JSON, message, group)
            for hearing in members:
                if hearing.group == group:
                    hearing.expected.append(message)
        elif what == "turn":
            turns.turn()
    turns.run()
    for member in members:
        assert member.peer.messages() == member.expected
        assert channel.group_of(member.peer.sink) == (member.group or None)
        if member.group:
            channel.leave(member.peer.sink, False)
        member.peer.close()
    assert channel.arrays == []
    assert drain.idle
