"""Channels lie where Centrifugo looks for them (engines specification, appendix A; server specification 10.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.engine.redis.hashing import fnv1a64, jump, shard_of

COUNTS = (1, 2, 3, 4, 8, 16, 128)

VECTORS = [
    ("", 0xCBF29CE484222325, (0, 1, 1, 1, 1, 13, 90), (37, 8997)),
    ("news", 0xE5495BBAA03A6526, (0, 1, 2, 3, 3, 3, 81), (38, 9510)),
    ("chat:index", 0x4E648CA6BAF3D6B9, (0, 0, 0, 0, 0, 0, 78), (57, 5817)),
    ("chat:room-1", 0xAF12F5739B69853E, (0, 0, 0, 0, 7, 11, 11), (62, 1342)),
    ("personal:#42", 0x3CC57FB6F4E9D6D0, (0, 1, 1, 3, 3, 3, 112), (16, 5840)),
    ("$private:x", 0xEEB019378C1C7C5C, (0, 0, 2, 2, 2, 14, 14), (28, 15452)),
    ("канал", 0x5BA05FA0749D2D79, (0, 1, 2, 2, 6, 8, 36), (57, 11641)),
]

OBSERVED = [  # of two, three, four and eight shards
    ("news", 0xE5495BBAA03A6526, (1, 2, 3, 3)),
    ("chat:1", 0xF2ED15031AB6B336, (0, 0, 0, 0)),
    ("chat:2", 0xF2ED14031AB6B183, (1, 1, 3, 3)),
    ("dialog#42,567", 0x73FDFFE76153E57C, (0, 0, 0, 4)),
    ("$private", 0xA3A68C18A6B7E4BE, (0, 2, 2, 2)),
    ("канал", 0x5BA05FA0749D2D79, (1, 2, 2, 6)),
]


@pytest.mark.parametrize(("channel", "value", "places", "rests"), VECTORS)
def test_vectors(channel: str, value: int, places: tuple[int, ...], rests: tuple[int, int]) -> None:
    assert fnv1a64(channel.encode()) == value
    assert tuple(shard_of(channel, count) for count in COUNTS) == places
    assert (value % 64, value % 16_384) == rests


@pytest.mark.parametrize(("channel", "value", "places"), OBSERVED)
def test_observed_placements(channel: str, value: int, places: tuple[int, ...]) -> None:
    assert fnv1a64(channel.encode()) == value
    assert tuple(shard_of(channel, count) for count in (2, 3, 4, 8)) == places


@given(st.integers(0, 2**64 - 1), st.integers(1, 1000))
def test_one_place_more_takes_keys_and_moves_no_other(key: int, count: int) -> None:
    place = jump(key, count)
    assert 0 <= place < count
    assert jump(key, count + 1) in (place, count)
