from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.protocol.chunked import CHUNK_LINE_LIMIT, TRAILERS_SIZE_LIMIT, ChunkedBody, ChunkedError


def decode(*parts: bytes) -> tuple[bytes, bytes, bool]:
    """Body, what lies behind it, and whether it is complete."""
    body = ChunkedBody(lambda size: None)
    rest = b""
    for part in parts:
        rest = rest + part if body.complete else body.feed(part)
    return bytes(body.body), rest, body.complete


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        (b"0\r\n\r\n", b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"003\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        (b"3;name=value\r\nabc\r\n0 ; x\r\n\r\n", b"abc"),
        (b"3\r\n\r\n\r\r\n0\r\n\r\n", b"\r\n\r"),
        (b"1\r\na\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", b"a"),
    ],
)
def test_chunks_are_joined(coded: bytes, expected: bytes) -> None:
    assert decode(coded) == (expected, b"", True)
    assert decode(*(coded[index : index + 1] for index in range(len(coded)))) == (expected, b"", True)


@pytest.mark.parametrize(
    "coded",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1\r\na0\r\n\r\n",
        b"1;\x00\r\n",
        b"1;a\nb\r\n",
        b"1234567890123456\r\n",
        b"1" * CHUNK_LINE_LIMIT,
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\nname : x\r\n\r\n",
        b"0\r\nname: \x00\r\n\r\n",
        b"0\r\nname: " + b"x" * TRAILERS_SIZE_LIMIT,
        b"0\r\nname: " + b"x" * TRAILERS_SIZE_LIMIT + b"\r\n\r\n",
    ],
)
def test_broken_coding_is_refused(coded: bytes) -> None:
    with pytest.raises(ChunkedError):
        decode(coded)
    with pytest.raises(ChunkedError):
        decode(*(coded[index : index + 1] for index in range(len(coded))))


def test_the_size_is_known_before_a_chunk_is_kept() -> None:
    sizes: list[int] = []
    body = ChunkedBody(sizes.append)
    body.feed(b"3\r\nabc\r\nffff\r\n")
    assert sizes == [3, 3 + 0xFFFF]
    assert bytes(body.body) == b"abc"


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    rest=st.binary(max_size=20),
    cuts=st.lists(st.integers(0, 300), max_size=6),
)
def test_any_split_gives_the_same_body(chunks: list[bytes], rest: bytes, cuts: list[int]) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + rest
    borders = [0, *sorted(cuts), len(coded)]
    parts = [coded[start:end] for start, end in pairwise(borders)]
    assert decode(*parts) == (b"".join(chunks), rest, True)
