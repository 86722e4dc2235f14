import asyncio
import itertools
import logging
from typing import Any, cast

import pytest
from centrifast_loadgen import messages
from centrifast_loadgen._board import Board, Counter
from centrifast_loadgen._client import Connection, Encoding, Plan
from hypothesis import given
from hypothesis import strategies as st
from picows import WSFrame, WSMsgType, WSTransport
from picows import picows as picows_core

from tests.loadgen.server import protobuf_push

markers = st.integers(0, 5_000_000_000).map(lambda ns: b"#t=%d#" % ns)
# Bytes that cannot complete or begin a marker together with their neighbours.
fillers = st.binary(max_size=40).map(lambda data: data.replace(b"#", b".").replace(b"\n", b"."))
texts = st.lists(st.tuples(fillers, markers, fillers).map(b"".join), max_size=5).map(b"|".join)


class Watcher:
    """Who is told of what happens to ready connections."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.unsubscribed: list[tuple[int, int]] = []  # slot and code

    def on_closed(self, connection: Connection, reason: str) -> None:
        self.closed.append(reason)

    def on_unsubscribed(self, connection: Connection, slot: int, ended: messages.Unsubscribed) -> None:
        self.unsubscribed.append((slot, ended.code))

    def slot_of(self, connection: Connection, channel: str) -> int:
        return int(channel.removeprefix("ch")) if channel.startswith("ch") else -1


def new_board(workers: int = 1, channels: int = 1) -> Board:
    return Board(bytearray(Board.size(workers, channels)), workers, channels)


def new_plan(
    board: Board, encoding: Encoding = Encoding.RAW, own_channels: int = 1, owner: Watcher | None = None
) -> Plan:
    decode = messages.decode_protobuf if encoding is Encoding.PROTOBUF else messages.decode_json
    return Plan(board.shard(0), encoding, board.channels, own_channels, decode, owner or Watcher())


def prepared(plan: Plan, number: int = 0, **options: bool) -> Connection:
    connection = Connection(plan, number)
    connection.prepare([], cast("asyncio.Future[str | None]", FakeFuture()), **options)
    return connection


def new_connection(board: Board, encoding: Encoding = Encoding.RAW) -> Connection:
    return prepared(new_plan(board, encoding))


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


@given(st.data())
def test_any_split_into_fragments_counts_the_same(data: st.DataObject) -> None:
    message = data.draw(texts)
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
    deliver(connection, b"".join(protobuf_push(body + b"#t=1#") for body in bodies))
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
    plan = new_plan(board, Encoding.JSON, 4)
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
