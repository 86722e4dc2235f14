"""What is asked of Redis for a read of history, and what is made of its answer."""

import pytest

from centrifast.engine.contract import HistoryFilter
from centrifast.engine.redis.codec import encode_publication
from centrifast.engine.redis.history import in_list, in_stream, list_args, stream_args
from centrifast.model import StreamPosition

PAYLOAD = encode_publication(b"{}", None, None, 0)
EVERYTHING = HistoryFilter(-1)


def after(offset: int, limit: int = -1) -> HistoryFilter:
    return HistoryFilter(limit, StreamPosition(offset))


def before(offset: int, limit: int = -1) -> HistoryFilter:
    return HistoryFilter(limit, StreamPosition(offset), reverse=True)


@pytest.mark.parametrize(
    ("wanted", "args"),
    [
        (HistoryFilter(0), (0, 0, 0, 0)),
        (EVERYTHING, (1, 0, 0, 0)),
        (HistoryFilter(3), (1, 0, 3, 0)),
        (after(5, 3), (1, 6, 3, 0)),
        (after(2**64 - 2), (1, 2**64 - 1, 0, 0)),
        (after(2**64 - 1), (0, 0, 0, 0)),
        (HistoryFilter(3, reverse=True), (1, 0, 3, 1)),
        (before(5), (1, 4, 0, 1)),
        (before(1), (0, 0, 0, 0)),
        (before(0), (0, 0, 0, 0)),
    ],
)
def test_of_a_stream_the_part_that_is_wanted_is_read(wanted: HistoryFilter, args: tuple[int, ...]) -> None:
    assert stream_args(wanted) == args


@pytest.mark.parametrize(
    ("wanted", "args"),
    [
        (HistoryFilter(0), (0, 0)),
        (EVERYTHING, (1, -1)),
        (HistoryFilter(3), (1, -1)),
        (after(5, 3), (1, -1)),
        (HistoryFilter(3, reverse=True), (1, 2)),
        (HistoryFilter(-1, reverse=True), (1, -1)),
    ],
)
def test_of_a_list_all_is_read_unless_the_newest_are_wanted(
    wanted: HistoryFilter, args: tuple[int, ...]
) -> None:
    assert list_args(wanted) == args


def test_entries_that_cannot_be_read_are_left_out_and_counted() -> None:
    entries: list[tuple[bytes, list[bytes]]] = [
        (b"1-0", [b"d", PAYLOAD]),
        (b"2-0", [b"d", b"\x22"]),
        (b"3-0", [b"x", PAYLOAD]),
        (b"4-0", [b"x", b"y", b"d", PAYLOAD]),
    ]
    publications, unread = in_stream(entries)
    assert [publication.offset for publication in publications] == [1, 4]
    assert unread == 2


def element(offset: int, epoch: str = "abcd") -> bytes:
    return f"__p1:{offset}:{epoch}__".encode() + PAYLOAD


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (EVERYTHING, [2, 3, 4]),
        (HistoryFilter(2), [2, 3]),
        (after(2), [3, 4]),
        (after(2, 1), [3]),
        (HistoryFilter(2, reverse=True), [4, 3]),
        (HistoryFilter(-1, reverse=True), [4, 3, 2]),
    ],
)
def test_elements_are_put_in_order_and_selected(wanted: HistoryFilter, offsets: list[int]) -> None:
    elements = [element(4), b"garbage", element(3), element(2), element(9, "left")]
    publications, unread = in_list(elements, "abcd", wanted)
    assert [publication.offset for publication in publications] == offsets
    assert unread == 1
