"""What a connection makes of numbered publications, offsets, joins and leaves: exactly what came, however it came."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from centrifast_loadgen._board import Board, Counter, Histogram
from centrifast_loadgen._client import SUBSCRIPTION_ID_BASE, Connection, Encoding
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol import client_pb2 as pb
from tests.loadgen.test_client import FakeFuture, Watcher, deliver, new_board, new_plan, prepared

CONNECTED = {"id": 1, "connect": {"client": "me"}}
ENCODINGS = [Encoding.JSON, Encoding.PROTOBUF]


def publication(sequence: int, channel: int = 0, channels: int = 1, offset: int = 0) -> dict[str, object]:
    """A push of one numbered publication."""
    data = {"p": f"#t=1#{sequence * channels + channel}#xxx"}
    return {
        "push": {"channel": f"ch{channel}", "pub": {"data": data, **({"offset": offset} if offset else {})}}
    }


def send(connection: Connection, *messages: dict[str, object]) -> None:
    """Hand over JSON messages in one frame."""
    deliver(connection, "\n".join(json.dumps(message) for message in messages).encode())


def subscribed(board: Board, channels: int = 1, owner: Watcher | None = None, **result: object) -> Connection:
    """A JSON connection that is ready, with these results of its subscriptions."""
    connection = prepared(new_plan(board, Encoding.JSON, channels, owner))
    replies = [{"id": SUBSCRIPTION_ID_BASE + slot, "subscribe": result} for slot in range(channels)]
    send(connection, CONNECTED, *replies)
    assert connection.is_open
    return connection


def received(sequences: Sequence[int], published: int = 0) -> tuple[Board, Connection]:
    """A connection that got these publications of its only channel, of so many."""
    board = new_board()
    connection = subscribed(board)
    send(connection, *map(publication, sequences))
    for _ in range(published):
        board.count_published(0)
    return board, connection


@pytest.mark.parametrize(
    ("sequences", "missing", "disordered", "doubled"),
    [
        ([1, 2, 3], 0, 0, 0),
        ([1, 3], 1, 0, 0),
        ([1, 3, 2], 0, 1, 0),
        ([3, 2, 1], 0, 2, 0),
        ([1, 1, 2], 0, 0, 1),
        ([1, 2, 1], 0, 0, 1),
        ([1, 3, 2, 2], 0, 1, 1),
        ([5], 4, 0, 0),
        ([1, 9, 4, 5, 6, 7, 8, 2, 3], 0, 7, 0),
        ([1, 5, 3, 3, 5], 2, 1, 2),
    ],
)
def test_what_is_skipped_late_or_doubled_is_told_apart(
    sequences: list[int], missing: int, disordered: int, doubled: int
) -> None:
    board, connection = received(sequences)
    assert board.total(Counter.MISSING) == connection.missing == missing
    assert board.total(Counter.DISORDERED) == disordered
    assert board.total(Counter.DOUBLED) == doubled
    assert board.total(Counter.DELIVERED) == len(sequences)


@given(st.lists(st.integers(1, 30), max_size=60))
def test_any_arrival_is_counted_as_a_model_counts_it(sequences: list[int]) -> None:
    board, connection = received(sequences, published=30)
    seen: set[int] = set()
    doubled = disordered = 0
    for sequence in sequences:
        doubled += sequence in seen
        disordered += sequence not in seen and any(other > sequence for other in seen)
        seen.add(sequence)
    assert connection.lost() == 30 - len(seen)
    assert (board.total(Counter.DOUBLED), board.total(Counter.DISORDERED)) == (doubled, disordered)


def test_what_is_missing_at_the_end_is_lost_as_well_as_what_was_skipped() -> None:
    assert received([1, 3], published=5)[1].lost() == 3


def test_every_channel_has_numbers_of_its_own() -> None:
    board = new_board(channels=4)
    connection = subscribed(board, 3)  # number 0: channels 0, 1, 2
    send(connection, *(publication(1, channel, 4) for channel in (2, 0, 1)), publication(3, 1, 4))
    assert board.total(Counter.MISSING) == 1
    send(connection, publication(1, 3, 4))
    assert board.total(Counter.STRAY) == 1


def test_a_connection_that_wraps_around_the_channels_knows_which_it_has() -> None:
    board = new_board(channels=3)
    connection = prepared(new_plan(board, Encoding.RAW, 2), 1)  # channels 2 and 0
    deliver(connection, b"#t=1#%d##t=1#%d##t=1#%d#" % (1 * 3 + 2, 1 * 3 + 0, 1 * 3 + 1))
    assert (board.total(Counter.STRAY), board.total(Counter.MISSING)) == (1, 0)


def test_a_subscription_begins_behind_what_was_published_or_with_what_comes() -> None:
    board = new_board()
    for _ in range(7):
        board.count_published(0)
    exact, whatever = (prepared(new_plan(board), exact=exact) for exact in (True, False))
    for connection in (exact, whatever):
        deliver(connection, b"#t=1#9#")
    assert (exact.missing, whatever.missing) == (1, 0)


def test_what_is_older_than_the_first_is_out_of_order_not_doubled() -> None:
    board = new_board()
    deliver(prepared(new_plan(board), exact=False), b"#t=1#9##t=1#8#")
    assert (board.total(Counter.DISORDERED), board.total(Counter.DOUBLED)) == (1, 0)


def test_more_gaps_than_are_remembered_stay_lost() -> None:
    board, connection = received(range(2, 4000, 2))
    assert connection.missing == 1999
    send(connection, publication(1))
    assert connection.missing == 1999
    assert board.total(Counter.DOUBLED) == 1


def test_gaps_filled_in_any_order_leave_nothing() -> None:
    odd = list(range(1, 400, 2))
    random.Random(1).shuffle(odd)
    _, connection = received([*range(2, 401, 2), *odd])
    assert connection.missing == 0


# ---------------------------------------------------------------- offsets and recovery

POSITIONED: dict[str, Any] = {"positioned": True, "recoverable": True, "epoch": "e", "offset": 10}


def test_offsets_of_a_positioned_channel_must_grow_by_one() -> None:
    board = new_board()
    connection = subscribed(board, **POSITIONED)
    send(connection, publication(1, offset=11), publication(2, offset=14), publication(3, offset=14))
    assert board.total(Counter.OFFSET_GAPS) == 2
    assert board.total(Counter.OFFSET_REPEATS) == 1
    assert connection.position(0) == ("e", 14)


def test_offsets_of_a_channel_without_position_mean_nothing() -> None:
    board = new_board()
    send(subscribed(board), publication(1, offset=11), publication(2, offset=14))
    assert board.total(Counter.OFFSET_GAPS) == 0


def test_protobuf_offsets_are_followed() -> None:
    board = new_board()
    connection = prepared(new_plan(board, Encoding.PROTOBUF))
    result = pb.SubscribeResult(positioned=True, recoverable=True, epoch="e", offset=10)
    replies = [pb.Reply(id=1, connect=pb.ConnectResult(client="me")), pb.Reply(id=2, subscribe=result)]
    for number, offset in enumerate((11, 13), 1):
        data = b'{"p":"#t=1#%d#"}' % number
        publication = pb.Publication(data=data, offset=offset, tags={"a": "b"})
        replies.append(pb.Reply(push=pb.Push(channel="ch0", pub=publication)))
    parts = [reply.SerializeToString() for reply in replies]
    deliver(connection, b"".join(bytes([len(part)]) + part for part in parts))
    assert (connection.delivered, board.total(Counter.OFFSET_GAPS)) == (2, 1)
    assert connection.position(0) == ("e", 13)


def test_a_publication_of_somebody_else_moves_the_stream() -> None:
    board = new_board()
    connection = subscribed(board, owner=Watcher(), **POSITIONED)
    send(
        connection, {"push": {"channel": "ch0", "pub": {"data": 1, "offset": 11}}}, publication(1, offset=12)
    )
    assert (board.total(Counter.OFFSET_GAPS), board.total(Counter.PUSHES)) == (0, 1)


def come_back(connection: Connection, **result: object) -> None:
    """Drop and subscribe again, with this result."""
    connection.drop()
    connection_again = prepared_again(connection)
    send(connection_again, CONNECTED, {"id": 2, "subscribe": result})


def prepared_again(connection: Connection) -> Connection:
    connection.prepare([], FakeFuture(), resume=True)  # type: ignore[arg-type]  # as far as it is used
    return connection


def missed(*sequences: int, first_offset: int = 12) -> list[dict[str, object]]:
    return [
        {"data": f"#t=1#{sequence}#", "offset": first_offset + index}
        for index, sequence in enumerate(sequences)
    ]


def test_recovered_publications_go_on_where_the_subscription_was() -> None:
    board = new_board()
    connection = subscribed(board, **POSITIONED)
    send(connection, publication(1, offset=11))
    come_back(connection, **POSITIONED, recovered=True, was_recovering=True, publications=missed(2, 3))
    send(connection, publication(4, offset=14))
    assert (board.total(Counter.RECOVERIES), board.total(Counter.RECOVERED)) == (1, 2)
    assert (connection.delivered, connection.missing, board.total(Counter.OFFSET_GAPS)) == (4, 0, 0)
    assert sum(board.histogram()) == 2  # how long one was away is no latency


def test_a_hole_in_what_was_recovered_is_seen() -> None:
    board = new_board()
    connection = subscribed(board, **POSITIONED)
    send(connection, publication(1, offset=11))
    come_back(
        connection, **POSITIONED, recovered=True, was_recovering=True, publications=missed(3, first_offset=13)
    )
    assert (connection.missing, board.total(Counter.OFFSET_GAPS)) == (1, 1)


def test_what_could_not_be_recovered_shows_as_missing_when_the_next_comes() -> None:
    board = new_board()
    connection = subscribed(board, **POSITIONED)
    send(connection, publication(1, offset=11))
    come_back(connection, **{**POSITIONED, "offset": 20}, was_recovering=True)
    send(connection, publication(10, offset=21))
    assert board.total(Counter.UNRECOVERED) == 1
    assert (connection.missing, board.total(Counter.OFFSET_GAPS)) == (8, 0)


def test_a_channel_that_is_recoverable_no_more_is_not_recovered() -> None:
    board = new_board()
    connection = subscribed(board, **POSITIONED)
    come_back(connection)
    assert board.total(Counter.UNRECOVERED) == 1
    assert connection.position(0) is None


@pytest.mark.parametrize("slot", [-1, 1])
def test_a_slot_outside_is_refused(slot: int) -> None:
    with pytest.raises(IndexError):
        subscribed(new_board()).position(slot)


def test_an_unsubscribe_is_told_with_its_channel() -> None:
    board, watcher = new_board(), Watcher()
    connection = subscribed(board, owner=watcher)
    ended = {"code": 2500, "reason": "insufficient state"}
    send(connection, {"push": {"channel": "ch0", "unsubscribe": ended}})
    assert watcher.unsubscribed == [(0, 2500)]
    assert board.total(Counter.UNSUBSCRIBED) == 1


# ---------------------------------------------------------------- joins and leaves


def presence_push(kind: str, client: str, encoding: Encoding) -> bytes:
    if encoding is Encoding.JSON:
        info = {"user": "u", "client": client, "chan_info": {"client": "no"}}
        return json.dumps({"push": {"channel": "ch0", kind: {"info": info}}}).encode()
    event = {"join": pb.Join, "leave": pb.Leave}[kind](info=pb.ClientInfo(user="u", client=client))
    push = pb.Reply(push=pb.Push(channel="ch0", **{kind: event})).SerializeToString()  # type: ignore[arg-type]
    return bytes([len(push)]) + push


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_joins_and_leaves_are_counted_and_doubled_ones_found(encoding: Encoding) -> None:
    board = new_board()
    plan = new_plan(board, encoding)
    plan.track_joins = True
    connection = prepared(plan)
    own = b'{"id":1,"connect":{"client":"me"}}\n'
    if encoding is Encoding.PROTOBUF:
        reply = pb.Reply(id=1, connect=pb.ConnectResult(client="me")).SerializeToString()
        own = bytes([len(reply)]) + reply
    deliver(connection, own)
    for client in ("a", "b", "a"):
        deliver(connection, presence_push("join", client, encoding))
    assert not connection.saw_itself
    deliver(connection, presence_push("join", "me", encoding))
    deliver(connection, presence_push("leave", "a", encoding))
    assert connection.saw_itself
    assert (board.total(Counter.JOINS), board.total(Counter.LEAVES)) == (4, 1)
    assert board.total(Counter.DOUBLED_JOINS) == 1


def test_many_clients_are_told_apart() -> None:
    board = new_board()
    plan = new_plan(board, Encoding.JSON)
    plan.track_joins = True
    connection = prepared(plan)
    for index in range(500):
        deliver(connection, presence_push("join", f"c{index}", Encoding.JSON))
    assert (board.total(Counter.JOINS), board.total(Counter.DOUBLED_JOINS)) == (500, 0)


# ---------------------------------------------------------------- slow ones, and those that leave


def test_a_slow_connection_is_counted_apart() -> None:
    board = new_board()
    connection = Connection(new_plan(board), 0)
    connection.slow = True
    prepared_again(connection)
    deliver(connection, b"#t=1#1#")
    assert (board.total(Counter.DELIVERED), board.total(Counter.SLOW_DELIVERED)) == (0, 1)
    assert (sum(board.histogram()), sum(board.histogram(Histogram.SLOW))) == (0, 1)
    assert board.largest(Counter.MAX_SLOW_US) > 0


def test_dropping_is_no_closing_and_what_comes_late_is_not_counted() -> None:
    board = new_board()
    connection = subscribed(board)
    connection.drop()
    connection.drop()
    assert [board.total(counter) for counter in (Counter.DROPPED, Counter.OPEN, Counter.CLOSED)] == [1, 0, 0]
    assert board.subscribers(0) == 0
    assert not connection.is_open
