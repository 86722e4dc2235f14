"""What a client that agreed on permessage-deflate may send, right and wrong (RFC 7692; Autobahn's groups 12 and 13)."""

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.conformance.websocket_cases import (
    CASES,
    HELLO,
    HELLO_BACK,
    INVALID_TEXT,
    INVALID_TEXT_BYTES,
    LIMIT,
    OPCODES,
    PROTOCOL_ERROR,
    TOO_BIG,
    VALID_TEXT,
    Case,
    in_pieces,
    pattern,
)
from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, TEXT, Frame, deflated, frame

INFLATED_LIMIT = 10 * LIMIT
INVALID_DATA = INVALID_TEXT
NOISE = random.Random(7).randbytes(LIMIT)
WORDS = b"one two three " * 100
TOO_BIG_INFLATED = TOO_BIG.to_bytes(2, "big") + b"inflated message too big"


def small(opcode: int, payload: bytes) -> bytes:
    """A whole message, deflated."""
    return frame(opcode, deflated(payload), rsv=RSV1)


def small_in_pieces(opcode: int, payload: bytes, size: int) -> Iterator[bytes]:
    """A deflated message in fragments of *size* bytes; only the first says so (RFC 7692 section 6)."""
    data = deflated(payload)
    for start in range(0, len(data), size):
        piece, last = data[start : start + size], start + size >= len(data)
        yield (frame(CONTINUATION, piece, fin=last) if start else frame(opcode, piece, fin=last, rsv=RSV1))


def messages() -> Iterator[Case]:
    """Whole messages of every size, in every form."""
    for name, opcode in OPCODES.items():
        for size in (0, 1, 125, 126, 127, 1000, 65535, LIMIT, INFLATED_LIMIT):
            payload = pattern(size)
            yield Case(f"{name}-{size}", (small(opcode, payload),), (Frame(opcode, payload),))
        yield Case(f"{name}-many", (small(opcode, WORDS),) * 100, (Frame(opcode, WORDS),) * 100)
        yield Case(
            f"{name}-in-turn-with-plain-ones",
            (small(opcode, WORDS), HELLO, frame(PING, b"p"), small(opcode, b"x"), HELLO),
            (Frame(opcode, WORDS), HELLO_BACK, Frame(PONG, b"p"), Frame(opcode, b"x"), HELLO_BACK),
        )
        for form, data in {
            "fixed-codes": "f248cdc9c90700",
            "stored": "000500faff48656c6c6f00",
            "last-block": "f348cdc9c9070000",
            "last-block-alone": "f348cdc9c90700",
            "two-blocks": "f24805000000ffffcac9c90700",
        }.items():
            sent = frame(opcode, bytes.fromhex(data), rsv=RSV1)
            yield Case(f"{name}-{form}", (sent,), (Frame(opcode, b"Hello"),))
        yield Case(f"{name}-nothing", (frame(opcode, b"", rsv=RSV1),), (Frame(opcode, b""),))
    yield Case("binary-noise", (small(BINARY, NOISE[:60_000]),), (Frame(BINARY, NOISE[:60_000]),))


def fragments() -> Iterator[Case]:
    """Messages in pieces."""
    ping, pong = frame(PING, b"p"), Frame(PONG, b"p")
    for name, opcode in OPCODES.items():
        back = Frame(opcode, WORDS)
        for size in (1, 2, 10):
            pieces = tuple(small_in_pieces(opcode, WORDS, size))
            yield Case(f"{name}-of-{size}", pieces, (back,))
            yield Case(f"{name}-of-{size}-twice", pieces * 2, (back,) * 2)
        between = tuple(part for piece in pieces for part in (ping, piece))
        yield Case(f"{name}-with-pings-between", between, (pong,) * len(pieces) + (back,))
        data = deflated(WORDS)
        first = frame(opcode, b"", fin=False, rsv=RSV1)
        yield Case(f"{name}-first-is-empty", (first, frame(CONTINUATION, data)), (back,))
        begun = frame(opcode, data, fin=False, rsv=RSV1)
        yield Case(f"{name}-last-is-empty", (begun, frame(CONTINUATION, b"")), (back,))
        yield Case(f"{name}-all-are-empty", (first, frame(CONTINUATION, b"")), (Frame(opcode, b""),))
        yield Case(f"{name}-plain-behind-it", (*pieces, HELLO), (back, HELLO_BACK))
        plain = tuple(in_pieces(opcode, WORDS, 500))
        yield Case(f"{name}-plain-ones-behind-it", (*pieces, *plain), (back, back))
        yield Case(f"{name}-behind-plain-ones", (*plain, *pieces), (back, back))
        for what, marked in {
            "plain": (frame(opcode, b"x", fin=False), frame(CONTINUATION, b"x", rsv=RSV1)),
            "deflated": (begun, frame(CONTINUATION, b"", rsv=RSV1)),
        }.items():
            yield Case(
                f"{name}-marked-continuation-of-{what}", (HELLO, *marked), (HELLO_BACK,), PROTOCOL_ERROR
            )
        yield Case(f"{name}-begun-inside", (begun, small(opcode, b"x")), (), PROTOCOL_ERROR)
    stray = frame(CONTINUATION, deflated(WORDS), rsv=RSV1)
    yield Case("stray-marked-continuation", (stray,), (), PROTOCOL_ERROR)


def reserved_bits() -> Iterator[Case]:
    """The first bit has a meaning on messages only, the others have none."""
    for name, opcode in {"ping": PING, "pong": PONG}.items():
        wrong = frame(opcode, b"", rsv=RSV1)
        yield Case(f"rsv1-{name}", (HELLO, wrong, HELLO), (HELLO_BACK,), PROTOCOL_ERROR)
    yield Case("rsv1-close", (frame(CLOSE, b"\x03\xe8", rsv=RSV1),), (), PROTOCOL_ERROR)
    for rsv in (1, 2, 3, 5, 6, 7):
        for name, opcode in OPCODES.items():
            wrong = frame(opcode, deflated(WORDS), rsv=rsv)
            yield Case(f"rsv-{rsv}-{name}", (HELLO, wrong, HELLO), (HELLO_BACK,), PROTOCOL_ERROR)


def broken() -> Iterator[Case]:
    """What can not be inflated, and text that is none."""
    for name, data in {
        "reserved-block-type": b"\x06",
        "noise": NOISE[:100],
        "plain-text": b"Hello",
        "cut": deflated(WORDS)[:-3],
        "wrong-length": bytes.fromhex("000500fafe48656c6c6f00"),
        "reference-to-the-message-before": bytes.fromhex("f200110000"),  # RFC 7692 section 7.2.3.2
        "endless-last-blocks": b"\x03\x00" * 30_000,
    }.items():
        hello, back = small(TEXT, b"Hello"), Frame(TEXT, b"Hello")
        for kind, opcode in OPCODES.items():
            wrong = frame(opcode, data, rsv=RSV1)
            yield Case(f"{name}-{kind}", (hello, wrong, hello), (back,), INVALID_DATA)
        first = frame(BINARY, data[:1], fin=False, rsv=RSV1)
        yield Case(f"{name}-in-pieces", (first, frame(CONTINUATION, data[1:])), (), INVALID_DATA)
    for name, payload in INVALID_TEXT_BYTES.items():
        yield Case(f"invalid-{name}", (small(TEXT, payload),), (), INVALID_TEXT)
        yield Case(f"binary-{name}", (small(BINARY, payload),), (Frame(BINARY, payload),))
    for name, payload in VALID_TEXT.items():
        pieces = tuple(small_in_pieces(TEXT, payload, 1))
        yield Case(f"valid-{name}-cut-everywhere", pieces, (Frame(TEXT, payload),))


def limits() -> Iterator[Case]:
    """How much may come, deflated and inflated."""
    for name, opcode in OPCODES.items():
        for size in (INFLATED_LIMIT + 1, 2 * INFLATED_LIMIT, 50_000_000):
            bomb = small(opcode, bytes(size))
            yield Case(f"{name}-bomb-{size}", (HELLO, bomb, HELLO), (HELLO_BACK,), TOO_BIG, TOO_BIG_INFLATED)
        pieces = tuple(small_in_pieces(opcode, bytes(50_000_000), 5000))
        yield Case(f"{name}-bomb-in-pieces", (HELLO, *pieces), (HELLO_BACK,), TOO_BIG, TOO_BIG_INFLATED)
    data = deflated(NOISE, 0)
    assert len(data) > LIMIT
    yield Case("one-over-deflated", (frame(BINARY, data, rsv=RSV1),), (), TOO_BIG)
    over = (frame(BINARY, data[:LIMIT], fin=False, rsv=RSV1), frame(CONTINUATION, data[LIMIT:]))
    yield Case("one-over-deflated-in-pieces", over, (), TOO_BIG)


GROUPS = {
    "messages": messages,
    "fragments": fragments,
    "reserved-bits": reserved_bits,
    "broken": broken,
    "limits": limits,
}
DEFLATED_CASES = [
    replace(case, name=f"deflated-{name}-{case.name}") for name, group in GROUPS.items() for case in group()
]
PLAIN_CASES = [case for case in CASES if not case.name.startswith("reserved-bits")]
"""Whoever has agreed on it may still send what is not deflated."""
