"""Recovered publications are encoded once for all who missed the same, and forgotten when there are too many."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from centrifast.delivery import Delivery
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.codec import Codec, NotJsonError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.tags_filter import compile_filter
from centrifast.protocol.wire import EncodedPublications, FilterNode
from centrifast.recovered_cache import ENTRY_SIZE, RecoveredCache
from centrifast.recovery import Recovery

JSON, PROTOBUF = JsonCodec(), ProtobufCodec()
PLAIN = Delivery(positioned=True)
DELTA = Delivery(positioned=True, delta=True)
LONG = b'{"text":"%s","n":%d}'


def missed(first: int, last: int, epoch: str = "QpLd", time_ms: int = 1) -> Recovery:
    publications = [
        Publication(LONG % (b"x" * 100, offset), offset, time_ms=time_ms) for offset in range(first, last + 1)
    ]
    return Recovery(StreamPosition(last, epoch), recovered=True, publications=publications)


@dataclass
class Cache:
    """The cache, and whether an answer was made or found."""

    cache: RecoveredCache = field(default_factory=RecoveredCache)
    known: list[EncodedPublications] = field(default_factory=list)

    def is_found(
        self, recovery: Recovery, codec: Codec = JSON, delivery: Delivery = PLAIN, channel: str = "news"
    ) -> bool:
        encoded = self.cache.encoded(codec, channel, delivery, recovery)
        found = any(encoded is known for known in self.known)
        self.known.append(encoded)
        return found


def test_the_same_is_encoded_once() -> None:
    cache = Cache()
    assert not cache.is_found(missed(1, 3))
    assert cache.is_found(missed(1, 3))


@pytest.mark.parametrize(
    "other",
    [
        {"recovery": missed(1, 4)},
        {"recovery": missed(2, 3)},
        {"recovery": missed(1, 3, "ZtYk")},
        {"recovery": missed(1, 3, time_ms=2)},
        {"codec": PROTOBUF},
        {"delivery": DELTA},
        {"channel": "other"},
    ],
)
def test_what_differs_is_not_mixed_up(other: dict[str, Any]) -> None:
    cache = Cache()
    cache.is_found(missed(1, 3))
    assert not cache.is_found(**({"recovery": missed(1, 3)} | other))


def test_deltas_begin_with_the_whole_and_go_on_with_patches() -> None:
    plain = RecoveredCache().encoded(JSON, "news", PLAIN, missed(1, 3)).data
    delta = RecoveredCache().encoded(JSON, "news", DELTA, missed(1, 3)).data
    assert bytes(delta).count(b'"delta":true') == 2
    assert len(bytes(delta)) < len(bytes(plain))


def test_what_a_filter_lets_through_is_not_kept() -> None:
    cache = Cache()
    filtered = Delivery(positioned=True, filter=compile_filter(FilterNode(key="k", cmp="ex")))
    assert not cache.is_found(missed(1, 3), delivery=filtered)
    assert not cache.is_found(missed(1, 3), delivery=filtered)
    assert not cache.is_found(missed(1, 3))


def test_the_longest_unused_is_forgotten_first() -> None:
    size = len(bytes(RecoveredCache().encoded(JSON, "news", PLAIN, missed(1, 3)).data)) + ENTRY_SIZE
    cache = Cache(RecoveredCache(max_size=2 * size))
    cache.is_found(missed(1, 3))
    cache.is_found(missed(2, 4))
    assert cache.is_found(missed(1, 3))
    cache.is_found(missed(3, 5))
    assert cache.is_found(missed(1, 3))
    assert not cache.is_found(missed(2, 4))


def test_small_answers_count_with_what_it_costs_to_keep_them() -> None:
    cache = Cache(RecoveredCache(max_size=10 * ENTRY_SIZE))
    small = Recovery(StreamPosition(1, "QpLd"), recovered=True, publications=[Publication(b"1", 1)])
    for number in range(10):
        cache.is_found(small, channel=f"room{number}")
    assert not cache.is_found(small, channel="room0")


def test_what_is_larger_than_everything_that_may_be_kept_is_not_kept() -> None:
    cache = Cache(RecoveredCache(max_size=10))
    assert not cache.is_found(missed(1, 3))
    assert not cache.is_found(missed(1, 3))


def test_what_is_no_json_is_for_others_only() -> None:
    recovery = Recovery(StreamPosition(1, "QpLd"), recovered=True, publications=[Publication(b"\xff", 1)])
    cache = Cache()
    for _ in range(2):
        with pytest.raises(NotJsonError):
            cache.is_found(recovery)
    assert not cache.is_found(recovery, PROTOBUF)
    assert cache.is_found(recovery, PROTOBUF)
