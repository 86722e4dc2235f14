import threading

import pytest
from centrifast_loadgen._board import Board, Counter, Shard, histogram_bucket
from hypothesis import given

from tests.loadgen.test_client import new_board, texts

NOW = 5_000_000_000
SENT = 4_000_000_000  # one second before


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


@given(texts)
def test_every_marker_of_a_message_is_counted(message: bytes) -> None:
    assert new_board().shard(0).scan(message, NOW) == message.count(b"#t=")


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
