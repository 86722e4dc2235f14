"""A stream must behave like a plain list of everything ever published, cut down naively on each look."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from centrifast.engine.contract import HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.stream import NEVER, Stream
from centrifast.model import ClientInfo, Publication, StreamPosition

EPOCH = "abcdefgh"


def stream_of(count: int, *, size: int = 100, ttl: float = 60.0, meta_ttl: float = 600.0) -> Stream:
    """Return a stream that saw *count* publications at time 0."""
    stream = Stream(EPOCH)
    for number in range(1, count + 1):
        append(stream, b"%d" % number, size=size, ttl=ttl, meta_ttl=meta_ttl)
    return stream


def append(
    stream: Stream,
    data: bytes = b"{}",
    *,
    size: int = 100,
    ttl: float = 60.0,
    meta_ttl: float = 600.0,
    version: int = 0,
    version_epoch: str = "",
    now: float = 0.0,
) -> Publication:
    options = PublishOptions(
        HistoryOptions(size, ttl, meta_ttl), version=version, version_epoch=version_epoch
    )
    return stream.append(data, options, 0, now)


def admits(stream: Stream, version: int, version_epoch: str = "") -> bool:
    return stream.admits(PublishOptions(version=version, version_epoch=version_epoch))


def offsets(stream: Stream, limit: int = -1, *, since: int | None = None, reverse: bool = False) -> list[int]:
    position = None if since is None else StreamPosition(since, EPOCH)
    return [publication.offset for publication in stream.read(HistoryFilter(limit, position, reverse))]


def test_offsets_start_at_one_and_have_no_gaps() -> None:
    stream = Stream(EPOCH)
    assert stream.position == StreamPosition(0, EPOCH)
    assert [append(stream).offset for _ in range(3)] == [1, 2, 3]
    assert stream.position == StreamPosition(3, EPOCH)


def test_append_keeps_everything_given() -> None:
    stream = Stream(EPOCH)
    info = ClientInfo("42", "client")
    stream.append(b"1", PublishOptions(HistoryOptions(1, 1.0, 1.0), info, {"a": "b"}), 17, 0.0)
    assert stream.read(HistoryFilter(-1)) == [Publication(b"1", 1, info, {"a": "b"}, EPOCH, 17)]


def test_only_the_first_publication_carries_the_epoch() -> None:
    stream = Stream(EPOCH)
    assert [append(stream).epoch for _ in range(3)] == [EPOCH, "", ""]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_trimming_to_size_is_exact(size: int) -> None:
    stream = Stream(EPOCH)
    for number in range(1, 40):
        append(stream, size=size)
        assert offsets(stream) == list(range(max(1, number - size + 1), number + 1))
        assert len(stream) == min(number, size)


def test_smaller_size_trims_at_the_next_append_and_a_bigger_one_brings_nothing_back() -> None:
    stream = stream_of(10, size=10)
    append(stream, size=3)
    assert offsets(stream) == [9, 10, 11]
    append(stream, size=10)
    assert offsets(stream) == [9, 10, 11, 12]


@pytest.mark.parametrize(
    ("limit", "since", "reverse", "expected"),
    [
        (0, None, False, []),
        (0, 4, False, []),
        (0, None, True, []),
        (2, None, False, [4, 5]),
        (2, None, True, [8, 7]),
        (100, None, False, [4, 5, 6, 7, 8]),
        (-1, None, False, [4, 5, 6, 7, 8]),
        (-1, None, True, [8, 7, 6, 5, 4]),
        (-1, 5, False, [6, 7, 8]),
        (1, 5, False, [6]),
        (-1, 5, True, [4]),
        (1, 7, True, [6]),
        (-1, 0, False, [4, 5, 6, 7, 8]),  # the next one is trimmed: start with the oldest kept
        (-1, 3, False, [4, 5, 6, 7, 8]),
        (-1, 8, False, []),
        (-1, 9, False, []),
        (-1, 1000, False, []),
        (-1, 9, True, [8, 7, 6, 5, 4]),
        (-1, 10, True, []),  # 9 is not kept
        (-1, 1000, True, []),
        (-1, 4, True, []),  # 3 is trimmed
        (-1, 1, True, []),
        (-1, 0, True, []),
    ],
)
def test_read_follows_the_tables(limit: int, since: int | None, reverse: bool, expected: list[int]) -> None:
    assert offsets(stream_of(8, size=5), limit, since=since, reverse=reverse) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_empty_stream_reads_as_nothing(reverse: bool) -> None:
    assert offsets(Stream(EPOCH), reverse=reverse) == []
    assert offsets(Stream(EPOCH), since=1, reverse=reverse) == []


def test_publications_expire_together_and_position_stays() -> None:
    stream = Stream(EPOCH)
    append(stream, ttl=60, now=0)
    append(stream, ttl=60, now=30)  # re-arms the time of the first as well
    stream.refresh(89.9)
    assert offsets(stream) == [1, 2]
    stream.refresh(90)
    assert offsets(stream) == []
    assert stream.position == StreamPosition(2, EPOCH)
    assert append(stream, now=91).offset == 3
    assert offsets(stream) == [3]


def test_read_of_what_expired_gives_nothing_in_any_direction() -> None:
    stream = stream_of(3)
    stream.remove()
    assert offsets(stream, since=1) == []
    assert offsets(stream, since=4, reverse=True) == []
    assert offsets(stream, reverse=True) == []


def test_remove_keeps_epoch_and_top() -> None:
    stream = stream_of(3)
    stream.remove()
    assert len(stream) == 0
    assert stream.position == StreamPosition(3, EPOCH)
    assert append(stream).offset == 4


def test_stream_ends_its_meta_ttl_after_the_last_use() -> None:
    stream = stream_of(1, ttl=10, meta_ttl=100)
    assert not stream.has_ended(99)
    stream.touch(100, 50)
    assert not stream.has_ended(149)
    assert stream.has_ended(150)


def test_epoch_does_not_end_before_its_publications() -> None:
    stream = stream_of(1, ttl=60, meta_ttl=600)
    stream.touch(5, 0)
    assert not stream.has_ended(59)
    assert stream.has_ended(60)


def test_meta_ttl_of_zero_means_for_ever() -> None:
    stream = stream_of(1, ttl=10, meta_ttl=0)
    assert stream.meta_until == NEVER
    assert not stream.has_ended(1e12)


def test_restart_begins_at_zero_with_the_new_epoch_and_no_version() -> None:
    stream = stream_of(3)
    append(stream, version=5)
    stream.restart("hgfedcba")
    assert stream.position == StreamPosition(0, "hgfedcba")
    assert offsets(stream) == []
    assert admits(stream, 1)
    assert append(stream).epoch == "hgfedcba"


def test_version_must_grow() -> None:
    stream = Stream(EPOCH)
    assert admits(stream, 5)
    append(stream, version=5)
    assert not admits(stream, 5)
    assert not admits(stream, 4)
    assert admits(stream, 6)


def test_other_version_epoch_passes_and_replaces() -> None:
    stream = Stream(EPOCH)
    append(stream, version=5, version_epoch="x")
    assert not admits(stream, 5, "x")
    assert not admits(stream, 5)  # an empty one compares with any
    assert admits(stream, 1, "y")
    append(stream, version=1, version_epoch="y")
    assert not admits(stream, 1, "y")
    assert admits(stream, 1, "x")


def test_publication_without_version_is_admitted_and_resets_nothing() -> None:
    stream = Stream(EPOCH)
    append(stream, version=5)
    assert admits(stream, 0)
    append(stream)
    assert not admits(stream, 5)


def test_version_survives_the_publications() -> None:
    stream = stream_of(1)
    append(stream, version=5)
    stream.remove()
    assert not admits(stream, 5)


@dataclass
class NaiveStream:
    """Every publication ever made and the rules, in the plainest way."""

    published: list[int] = field(default_factory=list)
    forgotten: int = 0  # offsets up to this one are gone
    data_until: float = NEVER

    def append(self, size: int, ttl: float, now: float) -> None:
        self.published.append(len(self.published) + 1)
        self.forgotten = max(self.forgotten, len(self.published) - size)
        self.data_until = now + ttl

    def look(self, now: float) -> None:
        if self.data_until <= now:
            self.forgotten = len(self.published)

    def read(self, limit: int, since: int | None, reverse: bool) -> list[int]:
        kept = [offset for offset in self.published if offset > self.forgotten]
        if reverse:
            if since is not None and since - 1 not in kept:
                return []
            kept = [offset for offset in reversed(kept) if since is None or offset < since]
        else:
            kept = [offset for offset in kept if since is None or offset > since]
        return kept if limit < 0 else kept[:limit]


class StreamAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream(EPOCH)
        self.model = NaiveStream()
        self.now = 0.0

    @rule(size=st.integers(1, 6), ttl=st.floats(1, 20), count=st.integers(1, 5))
    def publish(self, size: int, ttl: float, count: int) -> None:
        for _ in range(count):
            self.model.look(self.now)
            self.stream.refresh(self.now)
            self.model.append(size, ttl, self.now)
            append(self.stream, size=size, ttl=ttl, now=self.now)

    @rule(seconds=st.floats(0.1, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def remove(self) -> None:
        self.stream.remove()
        self.model.forgotten = len(self.model.published)

    @rule(limit=st.integers(-1, 8), since=st.none() | st.integers(0, 60), reverse=st.booleans())
    def read(self, limit: int, since: int | None, reverse: bool) -> None:
        self.model.look(self.now)
        self.stream.refresh(self.now)
        expected = self.model.read(limit, since, reverse)
        assert offsets(self.stream, limit, since=since, reverse=reverse) == expected

    @invariant()
    def position_counts_every_publication(self) -> None:
        assert self.stream.position == StreamPosition(len(self.model.published), EPOCH)


TestStreamAgainstModel = StreamAgainstModel.TestCase
TestStreamAgainstModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
