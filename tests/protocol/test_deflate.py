"""permessage-deflate: which offers are accepted (RFC 7692 section 7), and messages there and back."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.limits import EXTENSIONS_SIZE, FINAL_BLOCKS
from centrifast.protocol.deflate import (
    TAIL,
    WINDOWS,
    Deflater,
    ExtensionsError,
    InflatedTooLargeError,
    InflateError,
    agree,
    inflate,
)

ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
LIMIT = 1 << 20
NOISE = random.Random(1).randbytes(5000)


@pytest.mark.parametrize(
    ("offer", "bits", "addition"),
    [
        ("permessage-deflate", 15, ""),
        ("permessage-deflate; client_max_window_bits", 15, ""),
        ("permessage-deflate; client_max_window_bits=8", 15, ""),
        ("permessage-deflate;client_max_window_bits=15", 15, ""),
        ("permessage-deflate; server_no_context_takeover", 15, ""),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", 15, ""),
        ("permessage-deflate; server_max_window_bits=15", 15, "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=14", 12, "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=12", 12, "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=11", 9, "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=9", 9, "; server_max_window_bits=9"),
        ('permessage-deflate; server_max_window_bits="10"', 9, "; server_max_window_bits=9"),
        (r'permessage-deflate; server_max_window_bits="1\0"', 9, "; server_max_window_bits=9"),
        (
            "permessage-deflate ;\tserver_max_window_bits = 10 ;client_max_window_bits",
            9,
            "; server_max_window_bits=9",
        ),
        (", ,permessage-deflate , ,", 15, ""),
        ("x-other; a=b; a, permessage-deflate", 15, ""),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", 15, ""),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", 9, "; server_max_window_bits=9"),
        ("permessage-deflate; unknown, permessage-deflate; client_max_window_bits", 15, ""),
        ("permessage-deflate, permessage-deflate; server_max_window_bits=9", 15, ""),
        # declined
        ("", None, ""),
        ("x-webkit-deflate-frame", None, ""),
        ("Permessage-Deflate", None, ""),
        ("permessage-deflate; server_max_window_bits=8", None, ""),
        ("permessage-deflate; server_max_window_bits", None, ""),
        ("permessage-deflate; server_max_window_bits=7", None, ""),
        ("permessage-deflate; server_max_window_bits=16", None, ""),
        ("permessage-deflate; server_max_window_bits=09", None, ""),
        ("permessage-deflate; server_max_window_bits=+9", None, ""),
        ("permessage-deflate; server_max_window_bits=nine", None, ""),
        ("permessage-deflate; client_max_window_bits=7", None, ""),
        ("permessage-deflate; client_max_window_bits=16", None, ""),
        ("permessage-deflate; client_max_window_bits=08", None, ""),
        ("permessage-deflate; server_no_context_takeover=1", None, ""),
        ("permessage-deflate; client_no_context_takeover=true", None, ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None, ""),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", None, ""),
        ("permessage-deflate; unknown", None, ""),
        ("permessage-deflate; Client_Max_Window_Bits", None, ""),
        ("permessage-deflate" + " " * EXTENSIONS_SIZE, None, ""),
    ],
)
def test_the_first_acceptable_offer_is_accepted(offer: str, bits: int | None, addition: str) -> None:
    agreement = agree(offer)
    if bits is None:
        assert agreement is None
    else:
        assert agreement is not None
        assert (agreement.window_bits, agreement.header) == (bits, ANSWER + addition)


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a==1",
        'permessage-deflate; a="b',
        'permessage-deflate; a="',
        'permessage-deflate; a="b"c',
        'permessage-deflate; a=""',
        'permessage-deflate; a="b c"',
        'permessage-deflate, other; a="b, c"',
        "permessage-deflate client_max_window_bits",
        "permessage-deflate; a b",
        "; a",
        "permessage-deflate; \xe9",
        "permessage-deflate, (other)",
    ],
)
def test_what_breaks_the_grammar_is_an_error(header: str) -> None:
    with pytest.raises(ExtensionsError):
        agree(header)


@given(st.text(alphabet='ab;=," \t\\', max_size=60))
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        assert agree(header) is None
    except ExtensionsError:
        pass


# ------------------------------------------------------------------ messages


@given(
    message=st.one_of(
        st.binary(max_size=300), st.text(alphabet="ab ", max_size=3000).map(lambda text: text.encode())
    ),
    level=st.integers(1, 9),
    bits=st.sampled_from(WINDOWS),
)
def test_what_was_deflated_is_inflated(message: bytes, level: int, bits: int) -> None:
    deflated = Deflater(level, 0, bits)(message)
    if deflated is not None:
        assert len(deflated) < len(message)
        assert inflate(deflated, len(message)) == message


@pytest.mark.parametrize("bits", WINDOWS)
def test_a_window_of_the_agreed_size_is_enough(bits: int) -> None:
    message = NOISE[:400] + bytes(2000) + NOISE[:400] + bytes(40_000) + NOISE
    deflated = Deflater(9, 0, bits)(message)
    assert deflated is not None
    assert not deflated.endswith(TAIL)
    inflater = zlib.decompressobj(-bits)
    assert inflater.decompress(deflated + TAIL) == message


def test_each_message_is_deflated_by_itself() -> None:
    deflater = Deflater(6, 0, 15)
    assert deflater(b"the same words " * 5) == deflater(b"the same words " * 5)


@pytest.mark.parametrize(("size", "is_deflated"), [(99, False), (100, True), (101, True)])
def test_what_is_shorter_than_the_minimum_stays_as_it_is(size: int, is_deflated: bool) -> None:
    assert (Deflater(1, 100, 15)(b"a" * size) is not None) == is_deflated


@pytest.mark.parametrize("message", [b"", b"{}", b"\x00", b'{"id":1,"ping":{}}', NOISE[:100], NOISE])
def test_what_does_not_get_smaller_stays_as_it_is(message: bytes) -> None:
    assert Deflater(9, 0, 15)(message) is None


@pytest.mark.parametrize(
    ("deflated", "message"),
    [
        # RFC 7692 section 7.2.3
        ("f248cdc9c90700", b"Hello"),
        ("000500faff48656c6c6f00", b"Hello"),
        ("f348cdc9c9070000", b"Hello"),
        ("f24805000000ffffcac9c90700", b"Hello"),
        # no message, and what some make of it
        ("00", b""),
        ("0200", b""),
        ("", b""),
        # a last block without the empty one behind it; two last blocks
        ("f348cdc9c90700", b"Hello"),
        ("f348cdc9c90700f348cdc9c9070000", b"HelloHello"),
    ],
)
def test_every_form_of_a_message_is_inflated(deflated: str, message: bytes) -> None:
    assert inflate(bytes.fromhex(deflated), LIMIT) == message


@pytest.mark.parametrize(
    "deflated",
    [
        b"\xff\xff",
        b"\x06",
        b"\x07\x00",
        bytes.fromhex("f248cdc9"),  # cut
        bytes.fromhex("f348cd"),  # cut in a last block
        bytes.fromhex("000500faff4865"),  # cut in a stored one
        bytes.fromhex("000500fafe48656c6c6f00"),  # wrong length
        b"Hello",
        b"\x03\x00" * (FINAL_BLOCKS + 1),
    ],
)
def test_what_is_no_deflated_message_is_an_error(deflated: bytes) -> None:
    with pytest.raises(InflateError):
        inflate(deflated, LIMIT)


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_the_limit_is_exact(size: int) -> None:
    deflated = raw(bytes(size))
    assert inflate(deflated, size) == bytes(size)
    if size:
        with pytest.raises(InflatedTooLargeError):
            inflate(deflated, size - 1)


def test_the_limit_is_of_all_blocks_together() -> None:
    hello = bytes.fromhex("f348cdc9c90700")
    assert inflate(hello * 3 + b"\x00", 15) == b"Hello" * 3
    with pytest.raises(InflatedTooLargeError):
        inflate(hello * 3 + b"\x00", 14)


@given(st.binary(max_size=200))
def test_any_bytes_are_inflated_or_refused(data: bytes) -> None:
    try:
        assert len(inflate(data, 1000)) <= 1000
    except (InflateError, InflatedTooLargeError):
        pass


def raw(message: bytes) -> bytes:
    """Deflated as a client does it, also where it does not help."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
