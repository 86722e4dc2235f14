"""Frames and what they carry; tests for ``_framing.pyx``."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast._framing import Variant, encode_frame

LENGTH_BORDERS = (0, 1, 125, 126, 127, 128, 65535, 65536, 65537)


def frames_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """First byte and payload of each frame in *data*; demands the shortest form of the length and no mask."""
    while data:
        size, start = data[1], 2
        assert size <= 127, "masked"
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
            assert size >= 126
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
            assert size >= 65536
        assert len(data) >= start + size, "cut"
        yield data[0], data[start : start + size]
        data = data[start + size :]


@pytest.mark.parametrize("size", LENGTH_BORDERS)
def test_a_frame_has_the_shortest_header(size: int) -> None:
    payload = bytes(i % 251 for i in range(size))
    frame = encode_frame(0x82, payload)
    assert list(frames_of(frame)) == [(0x82, payload)]
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65536 else 10)


@given(opcode=st.integers(0, 255), payload=st.binary(max_size=300))
def test_a_frame_carries_its_payload_unchanged(opcode: int, payload: bytes) -> None:
    assert list(frames_of(encode_frame(opcode, payload))) == [(opcode, payload)]


def test_a_frame_carries_bytes_only() -> None:
    for wrong in ("text", bytearray(b"x"), 1):
        with pytest.raises(TypeError):
            encode_frame(0x81, wrong)  # type: ignore[arg-type]


def test_a_variant_knows_its_name_and_its_ping() -> None:
    variant = Variant("json", 1, b"\n", b"{}", b"[]")
    assert (variant.name, variant.ping, variant.pong) == ("json", b"{}", b"[]")


@given(
    messages=st.lists(st.binary(max_size=40), max_size=70),
    separator=st.sampled_from([b"", b"\n", b", "]),
    max_messages=st.integers(1, 40),
)
def test_messages_share_frames_in_order(messages: list[bytes], separator: bytes, max_messages: int) -> None:
    variant = Variant("any", 2, separator, b"", b"", max_messages)
    parts = [messages[start : start + max_messages] for start in range(0, len(messages), max_messages)]
    assert list(frames_of(variant.frame(messages))) == [(0x82, separator.join(part)) for part in parts]


@given(messages=st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b" ")), min_size=1))
def test_no_message_is_lost_to_the_separator(messages: list[bytes]) -> None:
    variant = Variant("json", 1, b"\n", b"{}", b"{}")
    found = [line for _, payload in frames_of(variant.frame(messages)) for line in payload.split(b"\n")]
    assert found == messages


def test_sixteen_messages_share_a_frame_unless_told_otherwise() -> None:
    variant = Variant("protobuf", 2, b"", b"", b"")
    assert [len(payload) for _, payload in frames_of(variant.frame([b"x"] * 40))] == [16, 16, 8]


def test_no_messages_are_no_frame() -> None:
    assert Variant("json", 1, b"\n", b"{}", b"{}").frame([]) == b""


@pytest.mark.parametrize("size", LENGTH_BORDERS)
def test_the_length_of_joined_messages_counts_separators(size: int) -> None:
    variant = Variant("json", 1, b"\n", b"{}", b"{}")
    halves = [b"a" * (size // 2), b"b" * (size - size // 2)]
    assert list(frames_of(variant.frame(halves))) == [(0x81, b"\n".join(halves))]


# ------------------------------------------------------------------ deflating


def halved(payload: bytes) -> bytes | None:
    """Stands for a compressor: halves what is longer than three bytes."""
    return payload[::2] if len(payload) > 3 else None


def test_a_frame_says_whether_it_is_deflated() -> None:
    variant = Variant("json", 1, b"\n", b"{}", b"{}").deflating(halved)
    assert list(frames_of(variant.encode(0x82, b"abcd"))) == [(0xC2, b"ac")]
    assert list(frames_of(variant.encode(0x82, b"abc"))) == [(0x82, b"abc")]
    assert variant.encode(0x81, b"abc") == Variant("json", 1, b"\n", b"{}", b"{}").encode(0x81, b"abc")


@given(messages=st.lists(st.binary(max_size=10), max_size=50), max_messages=st.integers(1, 20))
def test_messages_are_joined_before_they_are_deflated(messages: list[bytes], max_messages: int) -> None:
    plain = Variant("any", 1, b", ", b"", b"", max_messages)
    expected = []
    for opcode, payload in frames_of(plain.frame(messages)):
        deflated = halved(payload)
        expected.append((opcode, payload) if deflated is None else (opcode | 0x40, deflated))
    assert list(frames_of(plain.deflating(halved).frame(messages))) == expected


def test_a_deflating_variant_is_like_the_plain_one_but_counts_by_itself() -> None:
    plain = Variant("json", 1, b"\n", b"{}", b"[]", 5, "sse")
    deflating = plain.deflating(halved)
    names = ("name", "ping", "pong", "transport")
    assert [getattr(deflating, name) for name in names] == [getattr(plain, name) for name in names]
    deflating.count_received(0, 100)
    assert plain.counted() != deflating.counted()


def test_what_a_compressor_returns_must_be_bytes() -> None:
    variant = Variant("json", 1, b"\n", b"{}", b"{}").deflating(lambda payload: "text")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError):
        variant.encode(0x81, b"payload")
