import asyncio
import itertools
import logging
import threading
from typing import Any, cast

import pytest
from centrifast_loadgen import wire
from centrifast_loadgen._client import (
    Board,
    Connection,
    Counter,
    Encoding,
    Plan,
    Shard,
    histogram_bucket,
)
from hypothesis import given
from hypothesis import strategies as st
from picows import WSFrame, WSMsgType, WSTransport
from picows import picows as picows_core

NOW = 5_000_000_000
SENT = 4_000_000_000  # one second before

markers = st.integers(0, NOW).map(lambda ns: b"#t=%d#" % ns)
# Bytes that cannot complete or begin a marker together with their neighbours.
fillers = st.binary(max_size=40).map(lambda data: data.replace(b"#", b".").replace(b"\n", b"."))
messages = st.lists(st.tuples(fillers, markers, fillers).map(b"".join), max_size=5).map(b"|".join)


def new_board(workers: int = 1, channels: int = 1) -> Board:
    return Board(bytearray(Board.size(workers, channels)), workers, channels)


def new_connection(board: Board, encoding: Encoding = Encoding.RAW) -> Connection:
    parse = wire.parse_protobuf_reply if encoding is Encoding.PROTOBUF else wire.parse_json_reply
    plan = Plan(board.shard(0), encoding, board.channels, 1, parse, lambda reason: None)
    return Connection(plan, 0, [], cast("asyncio.Future[str | None]", FakeFuture()))


class FakeTransport:
    """What picows needs of an asyncio transport; remembers what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else True  # as if encrypted, so that all is written through `write`

    def fileno(self) -> int:
        return -1

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def create_future(self) -> "FakeFuture":
        return FakeFuture()

    def open(self) -> WSTransport:
        make = cast("Any", WSTransport)
        return cast("WSTransport", make(True, self, logging.getLogger("picows.test"), self))


class FakeFuture:
    """A future without a loop."""

    def __init__(self) -> None:
        self.outcomes: list[str | None] = []

    def done(self) -> bool:
        return bool(self.outcomes)

    def set_result(self, outcome: str | None) -> None:
        self.outcomes.append(outcome)


def frame(payload: bytes, kind: WSMsgType = WSMsgType.TEXT, fin: bool = True) -> WSFrame:
    make = cast("Any", picows_core)._make_test_ws_frame
    return cast("WSFrame", make(kind, payload, fin, False))


def deliver(connection: Connection, *parts: bytes) -> FakeTransport:
    """Hand over one message in as many frames as there are parts; return where answers went."""
    fake = FakeTransport()
    transport = fake.open()
    for index, part in enumerate(parts):
        kind = WSMsgType.CONTINUATION if index else WSMsgType.TEXT
        connection.on_ws_frame(transport, frame(part, kind, fin=index == len(parts) - 1))
    return fake


@pytest.fixture
def board() -> Board:
    return new_board()


@pytest.fixture
def shard(board: Board) -> Shard:
    return board.shard(0)


def test_a_marker_is_counted_with_its_latency(board: Board, shard: Shard) -> None:
    assert shard.scan(b'{"p":"#t=%d#xxx"}' % SENT, NOW) == 1
    assert shard.get(Counter.DELIVERED) == 1
    assert shard.get(Counter.LAST_NS) == NOW
    assert shard.get(Counter.MAX_US) == 1_000_000
    assert board.histogram()[histogram_bucket(1_000_000)] == 1


@pytest.mark.parametrize(
    "text",
    [b"", b"#", b"#t", b"#t=", b"#t=#", b"#t=1", b"#t=1x#", b"t=1#", b"##t==1#", b"#t=" + b"1" * 20 + b"#"],
)
def test_what_is_not_a_whole_marker_is_not_counted(shard: Shard, text: bytes) -> None:
    assert shard.scan(text, NOW) == 0
    assert shard.get(Counter.DELIVERED) == 0


@pytest.mark.parametrize("text", [b"##t=1#", b"#t=x#t=1#", b"#t=#t=1#", b"#u=1#t=1#t"])
def test_a_false_start_does_not_hide_the_marker_after_it(shard: Shard, text: bytes) -> None:
    assert shard.scan(text, NOW) == 1


@given(messages)
def test_every_marker_of_a_message_is_counted(message: bytes) -> None:
    assert new_board().shard(0).scan(message, NOW) == message.count(b"#t=")


@given(st.data())
def test_any_split_into_fragments_counts_the_same(data: st.DataObject) -> None:
    message = data.draw(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=6)))
    parts = [message[start:end] for start, end in itertools.pairwise([0, *cuts, len(message)])]
    board = new_board()
    connection = new_connection(board)
    deliver(connection, *parts)
    assert connection.delivered == board.total(Counter.DELIVERED) == message.count(b"#t=")
    assert board.total(Counter.MESSAGES) == 1
    assert board.total(Counter.BYTES) == len(message)


def test_a_control_frame_between_fragments_is_not_part_of_the_message(board: Board) -> None:
    connection = new_connection(board)
    transport = FakeTransport().open()
    connection.on_ws_frame(transport, frame(b"#t=1", fin=False))
    connection.on_ws_frame(transport, frame(b"x", WSMsgType.PONG))
    connection.on_ws_frame(transport, frame(b"2#", WSMsgType.CONTINUATION))
    assert connection.delivered == 1


def test_several_messages_in_one_frame_are_told_apart(board: Board) -> None:
    connection = new_connection(board)
    deliver(connection, b'{"a":"#t=1#"}\n{"b":1}\n{"c":"#t=2#"}\n')
    assert connection.delivered == 2


@given(st.lists(st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"#", b".")), max_size=5))
def test_protobuf_messages_in_one_frame_are_told_apart(bodies: list[bytes]) -> None:
    board = new_board()
    connection = new_connection(board, Encoding.PROTOBUF)
    pushes = [b"\x22" + bytes([len(part)]) + part for part in (body[:80] + b"#t=1#" for body in bodies)]
    deliver(connection, b"".join(bytes([len(push)]) + push for push in pushes))
    assert connection.delivered == len(bodies)


@pytest.mark.parametrize("data", [b"\x05\x22", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80"])
def test_a_protobuf_length_that_cannot_be_reads_nothing_beyond_the_frame(board: Board, data: bytes) -> None:
    connection = new_connection(board, Encoding.PROTOBUF)
    assert deliver(connection, data).closed
    assert board.total(Counter.PINGS) == 0


def test_what_is_no_reply_ends_the_connection(board: Board) -> None:
    assert deliver(new_connection(board, Encoding.JSON), b"nonsense").closed


@pytest.mark.parametrize(
    ("encoding", "message", "pong_size"),
    [
        (Encoding.JSON, b"{}", 2),
        (Encoding.JSON, b'{"push":{}}\n{}\n{"push":{}}', 2),
        (Encoding.PROTOBUF, b"\x00", 1),
        (Encoding.PROTOBUF, b"\x02\x22\x00\x00", 1),
    ],
)
def test_a_ping_is_answered_with_a_masked_pong(
    board: Board, encoding: Encoding, message: bytes, pong_size: int
) -> None:
    answers = deliver(new_connection(board, encoding), message)
    assert board.total(Counter.PINGS) == 1
    assert answers.written[1] == 0x80 | pong_size
    assert len(answers.written) == 6 + pong_size


def test_connections_are_spread_evenly_over_the_channels() -> None:
    board = new_board(channels=6)
    plan = Plan(board.shard(0), Encoding.JSON, 6, 4, wire.parse_json_reply, lambda reason: None)
    taken = [channel for number in range(9) for channel in plan.channels_of(number)]
    assert all(taken.count(channel) == 6 for channel in range(6))
    assert all(len(set(plan.channels_of(number))) == 4 for number in range(9))


def test_a_connection_is_ready_when_all_replies_have_come(board: Board) -> None:
    connection = new_connection(board, Encoding.JSON)
    deliver(connection, b'{"id":1,"connect":{}}')
    assert not connection.is_open
    deliver(connection, b'{"push":{"channel":"a","pub":{"data":1}}}\n{"id":2,"subscribe":{}}')
    assert connection.is_open
    assert board.total(Counter.READY) == 1
    assert board.subscribers(0) == 1


def test_totals_add_up_the_workers() -> None:
    board = new_board(workers=3, channels=2)
    for worker in range(3):
        board.shard(worker).add(Counter.PINGS, worker + 1)
        board.shard(worker).scan(b"#t=%d#" % (NOW - 1000 * worker), NOW)
    assert board.total(Counter.PINGS) == 6
    assert board.largest(Counter.PINGS) == 3
    assert board.total(Counter.DELIVERED) == sum(board.histogram()) == 3


def test_published_counts_per_channel() -> None:
    board = new_board(workers=2, channels=2)
    board.count_published(1)
    board.count_published(1)
    assert [board.published(channel) for channel in range(2)] == [0, 2]
    assert board.total(Counter.CONNECTED) == 0


@pytest.mark.parametrize("index", [-1, 1])
def test_an_index_outside_the_board_is_refused(board: Board, index: int) -> None:
    for call in (board.shard, board.subscribers, board.count_published, board.published):
        with pytest.raises(IndexError):
            call(index)


def test_a_buffer_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller"):
        Board(bytearray(64), 1, 1)


def test_waiting_ends_when_the_deliveries_are_there(board: Board, shard: Shard) -> None:
    waiter = threading.Thread(target=lambda: shard.scan(b"#t=1#", NOW))
    waiter.start()
    assert board.wait_delivered(1, timeout=30)
    waiter.join()


def test_waiting_ends_when_the_time_is_up(board: Board) -> None:
    assert not board.wait_delivered(1, timeout=0.001)
