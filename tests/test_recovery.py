"""What a client that comes back is given: the decision tables of client protocol 6.3, 6.4 and 6.7."""

from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given

from centrifast.engine.contract import History
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.tags_filter import compile_filter
from centrifast.protocol.wire import FilterNode
from centrifast.recovery import (
    Delivered,
    HoleError,
    Recovery,
    only_position,
    recover_cache,
    recover_stream,
)

EPOCH = "QpLd"


def pub(offset: int, **tags: str) -> Publication:
    return Publication(b"%d" % offset, offset, tags=tags or None)


def history(offsets: Sequence[int], top: int, epoch: str = EPOCH) -> History:
    return History([pub(offset) for offset in offsets], StreamPosition(top, epoch))


def buffered(*offsets: int, epoch: str = EPOCH) -> list[Delivered]:
    return [Delivered(pub(offset), StreamPosition(offset, epoch)) for offset in offsets]


def offsets(recovery: Recovery) -> list[int]:
    return [publication.offset for publication in recovery.publications]


@pytest.mark.parametrize(
    ("asked", "epoch", "found", "top", "recovered"),
    [
        (5, EPOCH, [], 5, True),  # up to date
        (5, "", [], 5, True),  # an empty epoch is not compared
        (5, "ZtYk", [], 5, False),  # the store was lost
        (5, "ZtYk", [6, 7], 7, False),
        (5, EPOCH, [], 7, False),  # expired
        (9, EPOCH, [], 7, False),  # from the future
        (5, EPOCH, [6, 7], 7, True),
        (0, "", [1, 2, 3], 3, True),  # recover alone: from the begin
        (0, "", [2, 3], 3, False),
        (5, EPOCH, [7, 8], 8, False),  # trimmed
        (5, EPOCH, [6, 7], 9, False),  # more missed than the limit
        (0, "", [], 0, True),
    ],
)
def test_the_decision_table(asked: int, epoch: str, found: list[int], top: int, recovered: bool) -> None:
    recovery = recover_stream(StreamPosition(asked, epoch), history(found, top), [])
    assert recovery.recovered is recovered
    assert offsets(recovery) == (found if recovered else [])
    assert recovery.position == StreamPosition(top, EPOCH)


def test_what_came_by_is_appended_once_and_in_order() -> None:
    recovery = recover_stream(StreamPosition(5, EPOCH), history([6, 7], 7), buffered(6, 7, 9, 8, 8))
    assert offsets(recovery) == [6, 7, 8, 9]
    assert recovery.position == StreamPosition(9, EPOCH)


def test_without_recovery_what_came_by_is_only_counted() -> None:
    recovery = recover_stream(StreamPosition(1, EPOCH), history([6, 7], 7), buffered(8))
    assert (recovery.recovered, offsets(recovery), recovery.position.offset) == (False, [], 8)


@pytest.mark.parametrize("came_by", [buffered(9), buffered(8, 10), buffered(8, epoch="ZtYk")])
def test_a_hole_is_never_passed_over(came_by: list[Delivered]) -> None:
    for decide in (recover_stream, recover_cache):
        with pytest.raises(HoleError):
            decide(StreamPosition(5, EPOCH), history([6, 7], 7), came_by)
    with pytest.raises(HoleError):
        only_position(history([], 7), came_by)


def test_what_an_older_stream_said_before_the_read_is_forgotten() -> None:
    came_by = [*buffered(40, 41, epoch="old"), *buffered(1, 2)]
    assert only_position(history([], 1), came_by) == Recovery(StreamPosition(2, EPOCH))


def test_a_position_is_the_top_and_what_came_after_it() -> None:
    assert only_position(history([], 7), []) == Recovery(StreamPosition(7, EPOCH))
    assert only_position(history([], 7), buffered(6, 7, 8)) == Recovery(StreamPosition(8, EPOCH))


def test_offsets_that_a_filter_hides_are_no_holes() -> None:
    tags_filter = compile_filter(FilterNode(key="k", cmp="eq", val="a"))
    kept = History([pub(6, k="a"), pub(7, k="b"), pub(8, k="b")], StreamPosition(8, EPOCH))
    came_by = [
        Delivered(pub(9, k="b"), StreamPosition(9, EPOCH)),
        Delivered(pub(10, k="a"), StreamPosition(10, EPOCH)),
    ]
    recovery = recover_stream(StreamPosition(5, EPOCH), kept, came_by, tags_filter)
    assert (recovery.recovered, offsets(recovery), recovery.position.offset) == (True, [6, 10], 10)


@pytest.mark.parametrize(
    ("asked", "epoch", "found", "recovered", "given"),
    [
        (7, EPOCH, [], True, []),
        (6, EPOCH, [], False, []),
        (7, "ZtYk", [], False, []),
        (0, "", [], False, []),
        (7, EPOCH, [7], True, []),
        (6, EPOCH, [7], True, [7]),
        (7, "ZtYk", [7], True, [7]),  # a stale position still gets the newest value
        (0, "", [7], True, [7]),
        (0, "", [6], False, []),  # its top is not kept
    ],
)
def test_the_cache_table(asked: int, epoch: str, found: list[int], recovered: bool, given: list[int]) -> None:
    recovery = recover_cache(StreamPosition(asked, epoch), history(found, 7), [])
    assert (recovery.recovered, offsets(recovery)) == (recovered, given)
    assert recovery.position == StreamPosition(7, EPOCH)


def test_the_cache_gives_the_newest_of_what_came_by() -> None:
    for asked, found in ((7, [7]), (3, [7]), (0, [])):
        recovery = recover_cache(StreamPosition(asked, EPOCH), history(found, 7), buffered(7, 8, 9))
        assert (recovery.recovered, offsets(recovery), recovery.position.offset) == (True, [9], 9)


def test_the_cache_gives_the_newest_that_a_filter_lets_through() -> None:
    tags_filter = compile_filter(FilterNode(key="k", cmp="eq", val="a"))
    newest_first = History([pub(8, k="b"), pub(7, k="a"), pub(6, k="a")], StreamPosition(8, EPOCH))
    recovery = recover_cache(StreamPosition(), newest_first, [], tags_filter)
    assert (recovery.recovered, offsets(recovery)) == (True, [7])
    none = recover_cache(StreamPosition(), History([pub(8)], StreamPosition(8, EPOCH)), [], tags_filter)
    assert (none.recovered, offsets(none)) == (False, [])


@given(
    asked=st.integers(0, 12),
    oldest=st.integers(1, 12),
    top=st.integers(0, 12),
    more=st.integers(0, 5),
    repeats=st.lists(st.integers(0, 4), max_size=4),
    limit=st.integers(1, 12),
)
def test_a_recovered_client_has_exactly_what_it_missed(
    asked: int, oldest: int, top: int, more: int, repeats: list[int], limit: int
) -> None:
    kept = [offset for offset in range(oldest, top + 1) if offset > asked][:limit]
    arrived = [*range(top + 1, top + more + 1)]
    came_by = buffered(*(arrived[index] for index in repeats if index < more), *arrived)
    recovery = recover_stream(StreamPosition(asked, EPOCH), history(kept, top), came_by)
    assert recovery.position.offset == top + more
    if recovery.recovered:
        assert offsets(recovery) == [*range(asked + 1, top + more + 1)]
    else:
        assert offsets(recovery) == []
        assert kept != [*range(asked + 1, top + 1)] or asked > top
