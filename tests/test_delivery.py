"""What each group of subscribers is sent, on real socket pairs (client protocol 6.5, 7.2, 8.4, 9.1)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from centrifast._channel import Channel
from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._metrics import Tally
from centrifast._wheel import TimingWheel
from centrifast.delivery import PLAIN, Deliverer, Delivery, Outcome
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.positions import lose_all
from centrifast.protocol.codec import Codec
from centrifast.protocol.forms import info_to_wire
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.tags_filter import compile_filter
from centrifast.protocol.wire import FilterNode, Join, Push
from tests.core_fakes import JSON, PROTOBUF, Peer, Turns
from tests.fakes import FakeClock

EPOCH = "QpLd"
POSITIONED = Delivery(positioned=True)
DELTA = Delivery(positioned=True, delta=True)
NOW = 1_700_000_000


class Room:
    """A channel with subscribers in any group."""

    def __init__(self, max_lag: float = 0.0) -> None:
        self.turns = Turns()
        self.drain = Drain(self.turns.call_soon, 1 << 20)
        self.wheel = TimingWheel(time.monotonic())
        self.channel = Channel("news", self.drain)
        self.clock = FakeClock(NOW)
        self.filtered = Tally()
        codecs: dict[Variant, Codec] = {JSON: JsonCodec(), PROTOBUF: ProtobufCodec()}
        self.deliverer = Deliverer(codecs, self.clock, max_lag, self.filtered)
        self.peers: list[Peer] = []
        self.offset = 0
        self.last: Publication | None = None

    def join(self, group: Delivery = PLAIN, variant: Any = JSON) -> Peer:
        peer = Peer(self.drain, self.wheel, variant)
        self.peers.append(peer)
        self.channel.join(peer.sink, group)
        return peer

    def publish(self, data: bytes = b"1", offset: int | None = None, **fields: Any) -> Outcome:
        """The next publication of the stream, or one with another offset; 0 = it is not part of the stream."""
        if offset is None:
            self.offset += 1
            offset = self.offset
        epoch = fields.pop("epoch", EPOCH)
        publication = Publication(data, offset, **fields)
        previous = self.last if offset else None
        if offset:
            self.last = publication
        return self.deliverer.publish(
            self.channel, publication, StreamPosition(offset, epoch if offset else ""), previous
        )

    def seen(self, peer: Peer) -> list[Any]:
        """Publications that reached a JSON client since the last look, without envelope."""
        self.turns.run()
        return [json.loads(message)["push"]["pub"] for message in peer.messages()]

    def offsets(self, peer: Peer) -> list[int]:
        return [pub.get("offset", 0) for pub in self.seen(peer)]

    def close(self) -> None:
        for peer in self.peers:
            if self.channel.group_of(peer.sink) is not None:
                self.channel.leave(peer.sink, False)
            peer.close()


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.close()


# ------------------------------------------------------------------ positions


def test_who_is_in_step_gets_each_publication_once_and_others_get_what_comes(room: Room) -> None:
    positioned, plain = room.join(POSITIONED), room.join()
    for offset in (1, 2, 2, 1, 3):
        assert room.publish(offset=offset) == Outcome()
    assert room.offsets(positioned) == [1, 2, 3]
    assert room.offsets(plain) == [1, 2, 2, 1, 3]


def test_a_publication_outside_the_stream_has_no_order(room: Room) -> None:
    positioned = room.join(POSITIONED)
    for offset in (1, 0, 2):
        room.publish(offset=offset)
    assert room.offsets(positioned) == [1, 0, 2]


@pytest.mark.parametrize(("offset", "epoch"), [(3, EPOCH), (2, "ZtYk"), (1, "ZtYk"), (2**64 - 1, EPOCH)])
def test_who_is_in_step_is_lost_when_something_is_missing(room: Room, offset: int, epoch: str) -> None:
    positioned, plain = room.join(POSITIONED), room.join()
    room.publish(offset=1)
    assert room.publish(offset=offset, epoch=epoch) == Outcome(lost=True)
    assert room.publish(offset=offset + 1 if offset < 2**64 - 1 else offset, epoch=epoch) == Outcome()
    assert room.offsets(positioned) == [1]
    assert len(room.seen(plain)) == 3
    assert room.channel.group_of(positioned.sink).is_lost


def test_who_comes_after_a_loss_is_in_step_with_what_follows(room: Room) -> None:
    room.join(POSITIONED)
    room.publish(offset=1)
    room.publish(offset=5)
    late = room.join(POSITIONED)
    room.publish(offset=6)
    assert room.offsets(late) == [6]


def test_who_is_ahead_waits_for_the_stream_and_then_stays_in_step(room: Room) -> None:
    behind = room.join(POSITIONED)
    room.publish(offset=1)
    ahead = room.join(Delivery(positioned=True, ahead=3))
    for offset in (2, 3, 4, 5):
        assert room.publish(offset=offset) == Outcome()
    assert room.offsets(ahead) == [4, 5]
    assert room.offsets(behind) == [1, 2, 3, 4, 5]
    assert room.channel.group_of(ahead.sink) == POSITIONED
    assert len(room.channel.arrays) == 1


def test_a_gap_loses_only_those_who_do_not_know_what_is_in_it(room: Room) -> None:
    behind = room.join(POSITIONED)
    room.publish(offset=1)
    knows, knows_less, knows_more = (room.join(Delivery(positioned=True, ahead=top)) for top in (4, 3, 6))
    assert room.publish(offset=5) == Outcome(lost=True)
    assert room.offsets(knows) == [5]
    assert room.offsets(knows_less) == []
    assert [room.channel.group_of(peer.sink).is_lost for peer in (behind, knows, knows_less, knows_more)] == [
        True,
        False,
        True,
        False,
    ]
    for offset in (6, 7):
        room.publish(offset=offset)
    assert room.offsets(knows) == [6, 7]
    assert room.offsets(knows_more) == [7]


def test_a_new_stream_loses_those_ahead_as_well(room: Room) -> None:
    room.join(POSITIONED)
    room.publish(offset=1)
    ahead = room.join(Delivery(positioned=True, ahead=3))
    assert room.publish(offset=4, epoch="ZtYk") == Outcome(lost=True)
    assert room.channel.group_of(ahead.sink).is_lost


def test_a_publication_that_was_under_way_for_too_long_is_a_loss() -> None:
    room = Room(max_lag=5.0)
    positioned, plain = room.join(POSITIONED), room.join()
    assert room.publish(time_ms=(NOW - 5) * 1000) == Outcome()
    assert room.publish(time_ms=(NOW - 6) * 1000) == Outcome(lost=True)
    assert (room.offsets(positioned), room.offsets(plain)) == ([1], [1, 2])
    room.close()


def test_losing_all_moves_them_at_once(room: Room) -> None:
    positioned, plain = room.join(POSITIONED), room.join()
    room.publish()
    lose_all(room.channel)
    room.publish()
    assert (room.offsets(positioned), room.offsets(plain)) == ([1], [1, 2])


# ------------------------------------------------------------------ filters


def test_a_filter_hides_publications_but_not_their_offsets(room: Room) -> None:
    tags_filter = compile_filter(FilterNode(key="k", cmp="eq", val="a"))
    filtered = room.join(Delivery(positioned=True, filter=tags_filter))
    unpositioned = room.join(Delivery(filter=tags_filter))
    for tag in "abba":
        assert room.publish(tags={"k": tag}) == Outcome()
    room.publish()
    assert room.offsets(filtered) == [1, 4]
    assert room.offsets(unpositioned) == [1, 4]


def test_what_a_filter_hides_is_counted_for_each_subscriber(room: Room) -> None:
    wants_a, wants_b = (
        Delivery(filter=compile_filter(FilterNode(key="k", cmp="eq", val=value))) for value in "ab"
    )
    for variant in (JSON, JSON, PROTOBUF):
        room.join(wants_a, variant)
    room.join(wants_b)
    room.join()
    room.join(Delivery(positioned=True, is_lost=True, filter=wants_a.filter))
    room.publish(tags={"k": "b"})
    assert room.filtered.value == 3
    room.publish(tags={"k": "a"})
    assert room.filtered.value == 4


def test_equal_filters_share_a_group(room: Room) -> None:
    for _ in range(2):
        room.join(Delivery(filter=compile_filter(FilterNode(key="k", cmp="eq", val="a"))))
    assert len(room.channel.arrays) == 1


# ------------------------------------------------------------------ delta

LONG = b'{"text":"%s","n":%d}'


def payload(number: int) -> bytes:
    return LONG % (b"x" * 100, number)


def test_the_first_publication_is_whole_and_the_next_ones_are_patches(room: Room) -> None:
    delta, plain = room.join(DELTA), room.join()
    for number in range(3):
        room.publish(payload(number))
    first, *rest = room.seen(delta)
    assert first == {"data": payload(0).decode(), "offset": 1}
    assert all(pub["delta"] and len(pub["data"]) < 60 for pub in rest)
    assert [pub["data"]["n"] for pub in room.seen(plain)] == [0, 1, 2]


def test_who_joins_later_gets_the_whole_first_and_shares_the_group_then(room: Room) -> None:
    room.join(DELTA)
    room.publish(payload(0))
    late = room.join(DELTA)
    room.publish(payload(1))
    room.publish(payload(2))
    whole, patch = room.seen(late)
    assert whole == {"data": payload(1).decode(), "offset": 2}
    assert patch["delta"]
    assert len(room.channel.arrays) == 1


def test_without_a_previous_publication_everybody_gets_the_whole(room: Room) -> None:
    delta = room.join(DELTA)
    room.publish(payload(0))
    room.last = None
    room.publish(payload(1))
    assert [pub.get("delta", False) for pub in room.seen(delta)] == [False, False]


def test_a_patch_is_never_longer_than_the_whole(room: Room) -> None:
    delta = room.join(DELTA)
    room.publish(b"1")
    room.publish(b"2")
    assert room.seen(delta) == [{"data": "1", "offset": 1}, {"data": "2", "offset": 2}]


def test_what_is_no_part_of_the_stream_is_no_base(room: Room) -> None:
    delta = room.join(DELTA)
    room.publish(payload(0))
    room.publish(payload(7), offset=0)
    room.publish(payload(1))
    room.publish(payload(2))
    assert [pub.get("delta", False) for pub in room.seen(delta)] == [False, False, False, True]


def test_without_a_position_everything_is_whole_and_text(room: Room) -> None:
    delta = room.join(Delivery(delta=True))
    room.publish(payload(0))
    room.publish(payload(1))
    assert room.seen(delta) == [
        {"data": payload(0).decode(), "offset": 1},
        {"data": payload(1).decode(), "offset": 2},
    ]


def test_a_base_that_was_recovered_is_known_at_once(room: Room) -> None:
    room.publish(payload(0))
    delta = room.join(Delivery(positioned=True, delta=True, has_base=True))
    room.publish(payload(1))
    assert [pub["delta"] for pub in room.seen(delta)] == [True]


def test_both_encodings_and_all_groups_share_one_channel(room: Room) -> None:
    peers = [
        room.join(group, variant) for group in (PLAIN, POSITIONED, DELTA) for variant in (JSON, PROTOBUF)
    ]
    for number in range(3):
        room.publish(payload(number))
    room.turns.run()
    assert all(len(peer.received()) > 0 for peer in peers)


# ------------------------------------------------------------------ payloads that are no JSON


def test_json_clients_refuse_what_is_no_json_and_others_get_it(room: Room) -> None:
    refuses, takes, takes_text = room.join(), room.join(variant=PROTOBUF), room.join(DELTA)
    assert room.publish(b"\xff") == Outcome(refused=True, lost=True)
    room.turns.run()
    assert room.channel.group_of(refuses.sink) == Delivery(is_lost=True, is_refused=True)
    assert b"\xff" in takes.received()
    assert room.seen(takes_text) == [{"data": "\ufffd", "offset": 1}]


def test_who_has_refused_something_gets_nothing_more(room: Room) -> None:
    refuses = room.join()
    room.publish(b"\xff")
    comes_later = room.join()
    assert room.publish(b"1", offset=2) == Outcome()
    room.turns.run()
    assert refuses.received() == b""
    assert room.seen(comes_later) == [{"data": 1, "offset": 2}]


# ------------------------------------------------------------------ join and leave


def test_joins_reach_those_who_asked(room: Room) -> None:
    asked, silent = room.join(Delivery(join_leave=True)), room.join()
    gone = room.join(Delivery(join_leave=True, positioned=True, is_lost=True))
    push = Push(channel="news", join=Join(info_to_wire(ClientInfo("42", "c"))))
    assert room.deliverer.push(room.channel, push) == Outcome()
    room.turns.run()
    assert asked.messages() == [b'{"push":{"channel":"news","join":{"info":{"user":"42","client":"c"}}}}']
    assert silent.received() == gone.received() == b""


def test_an_info_that_is_no_json_can_not_be_shown_to_json_clients(room: Room) -> None:
    json_peer, other = room.join(Delivery(join_leave=True)), room.join(Delivery(join_leave=True), PROTOBUF)
    push = Push(channel="news", join=Join(info_to_wire(ClientInfo("42", "c", b"\xff"))))
    assert room.deliverer.push(room.channel, push) == Outcome(refused=True, lost=True)
    room.turns.run()
    assert room.channel.group_of(json_peer.sink) == Delivery(join_leave=True, is_lost=True, is_refused=True)
    assert b"\xff" in other.received()
