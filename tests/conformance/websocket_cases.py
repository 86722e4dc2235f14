"""What a WebSocket client may send, right and wrong, and what an echo server owes it (RFC 6455).

A table of our own in the spirit of the Autobahn test suite: its groups 1 to 7 and 10, with the limits of group 9.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame

PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009
LIMIT = 65536

OPCODES = {"text": TEXT, "binary": BINARY}
HELLO = frame(TEXT, b"hello")
HELLO_BACK = Frame(TEXT, b"hello")


@dataclass(frozen=True)
class Case:
    """Frames to be *sent*, what comes *back* before any close frame, and its code.

    *close* None: the connection stays usable. *payload*: what the close frame must carry; default the code alone.
    *together*: all must be read at once, because the server hangs up before the last of it.
    """

    name: str
    sent: tuple[bytes, ...]
    back: tuple[Frame, ...] = ()
    close: int | None = None
    payload: bytes | None = None
    together: bool = False

    @property
    def close_payload(self) -> bytes:
        """What the server's close frame must carry."""
        assert self.close is not None
        return self.close.to_bytes(2, "big") if self.payload is None else self.payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def pattern(size: int) -> bytes:
    """Bytes among which a lost or doubled one shows; ASCII, so that they are text as well."""
    return bytes(33 + i % 89 for i in range(size))


def messages() -> Iterator[Case]:
    """Group 1: whole messages around every border of the length field."""
    for name, opcode in OPCODES.items():
        for size in (0, 1, 125, 126, 127, 128, 65535, LIMIT):
            payload = pattern(size)
            yield Case(f"{name}-{size}", (frame(opcode, payload),), (Frame(opcode, payload),))
        yield Case(f"{name}-many", (frame(opcode, b"x"),) * 200, (Frame(opcode, b"x"),) * 200)
    yield Case("binary-any-byte", (frame(BINARY, bytes(range(256))),), (Frame(BINARY, bytes(range(256))),))
    for head, name in (
        (b"\x82\xfe\x00\x05", "16-bit-length-for-5"),
        (b"\x82\xff" + (5).to_bytes(8, "big"), "64-bit-length-for-5"),
        (b"\x82\xff" + (65535).to_bytes(8, "big"), "64-bit-length-for-65535"),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big"), "64-bit-length-with-the-top-bit"),
    ):
        yield Case(name, (head + b"mask" + b"hello",), (), PROTOCOL_ERROR)


def pings() -> Iterator[Case]:
    """Group 2."""
    for size in (0, 1, 2, 124, 125):
        yield Case(f"ping-{size}", (frame(PING, pattern(size)),), (Frame(PONG, pattern(size)),))
    yield Case("ping-any-byte", (frame(PING, b"\x00\xff\xfe\x80"),), (Frame(PONG, b"\x00\xff\xfe\x80"),))
    yield Case("ping-126", (HELLO, frame(PING, b"x" * 126), HELLO), (HELLO_BACK,), PROTOCOL_ERROR)
    yield Case(
        "pings-in-order",
        tuple(frame(PING, b"%d" % number) for number in range(10)),
        tuple(Frame(PONG, b"%d" % number) for number in range(10)),
    )
    yield Case(
        "pings-between-messages",
        (frame(PING, b"1"), HELLO, frame(PING, b"2"), HELLO),
        (Frame(PONG, b"1"), HELLO_BACK, Frame(PONG, b"2"), HELLO_BACK),
    )
    yield Case("pong-unasked", (frame(PONG, b""), frame(PONG, b"x"), HELLO), (HELLO_BACK,))
    yield Case("pong-125", (frame(PONG, b"x" * 125), HELLO), (HELLO_BACK,))
    yield Case("pong-126", (frame(PONG, b"x" * 126),), (), PROTOCOL_ERROR)


def reserved_bits() -> Iterator[Case]:
    """Group 3: no extension is ever agreed, so no bit has a meaning."""
    kinds = {"text": TEXT, "binary": BINARY, "ping": PING, "pong": PONG}
    for rsv in range(1, 8):
        for name, opcode in kinds.items():
            wrong = frame(opcode, b"x", rsv=rsv)
            yield Case(f"rsv{rsv}-{name}", (HELLO, wrong, HELLO), (HELLO_BACK,), PROTOCOL_ERROR)
        wrong = frame(CLOSE, b"\x03\xe8", rsv=rsv)
        yield Case(f"rsv{rsv}-close", (wrong,), (), PROTOCOL_ERROR)
        begun = frame(TEXT, b"x", fin=False)
        yield Case(f"rsv{rsv}-continuation", (begun, frame(CONTINUATION, b"x", rsv=rsv)), (), PROTOCOL_ERROR)
        yield Case(
            f"rsv{rsv}-first-fragment", (frame(TEXT, fin=False, payload=b"x", rsv=rsv),), (), PROTOCOL_ERROR
        )


def reserved_opcodes() -> Iterator[Case]:
    """Group 4."""
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"opcode-{opcode}-first", (frame(opcode, b""),), (), PROTOCOL_ERROR)
        yield Case(
            f"opcode-{opcode}-between",
            (HELLO, HELLO, frame(opcode, b"x"), HELLO),
            (HELLO_BACK,) * 2,
            PROTOCOL_ERROR,
        )
        yield Case(
            f"opcode-{opcode}-in-fragments",
            (frame(TEXT, b"a", fin=False), frame(opcode, b"x"), frame(CONTINUATION, b"b")),
            (),
            PROTOCOL_ERROR,
        )


def fragments() -> Iterator[Case]:
    """Group 5."""
    for name, opcode in OPCODES.items():
        first = frame(opcode, b"one ", fin=False)
        middle = frame(CONTINUATION, b"two ", fin=False)
        last = frame(CONTINUATION, b"three")
        whole = Frame(opcode, b"one two three")
        ping, pong = frame(PING, b"p"), Frame(PONG, b"p")
        yield Case(f"{name}-two", (first, last), (Frame(opcode, b"one three"),))
        yield Case(f"{name}-three", (first, middle, last), (whole,))
        yield Case(f"{name}-twice", (first, middle, last) * 2, (whole,) * 2)
        yield Case(f"{name}-ping-between", (first, ping, middle, ping, last), (pong, pong, whole))
        yield Case(f"{name}-pong-between", (first, frame(PONG, b"p"), last), (Frame(opcode, b"one three"),))
        yield Case(f"{name}-close-between", (first, close_frame(1000)), (), 1000)
        yield Case(f"{name}-unfinished-before-another", (first, frame(opcode, b"x")), (), PROTOCOL_ERROR)
        yield Case(f"{name}-begun-twice", (first, middle, first), (), PROTOCOL_ERROR)
        yield Case(
            f"{name}-all-empty",
            (frame(opcode, b"", fin=False), frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, b"")),
            (Frame(opcode, b""),),
        )
        yield Case(
            f"{name}-only-the-middle-has-bytes",
            (frame(opcode, b"", fin=False), middle, frame(CONTINUATION, b"")),
            (Frame(opcode, b"two "),),
        )
        yield Case(
            f"{name}-one-byte-each",
            (
                frame(opcode, b"", fin=False),
                *(frame(CONTINUATION, bytes([byte]), fin=False) for byte in pattern(300)),
                frame(CONTINUATION, b""),
            ),
            (Frame(opcode, pattern(300)),),
        )
        yield Case(f"{name}-stray-after-message", (HELLO, last, HELLO), (HELLO_BACK,), PROTOCOL_ERROR)
        yield Case(
            f"{name}-stray-after-fragmented",
            (first, last, last),
            (Frame(opcode, b"one three"),),
            PROTOCOL_ERROR,
        )
    for fin in (True, False):
        yield Case(f"stray-continuation-fin-{fin}", (frame(CONTINUATION, b"x", fin=fin),), (), PROTOCOL_ERROR)
        yield Case(f"stray-empty-fin-{fin}", (frame(CONTINUATION, b"", fin=fin),), (), PROTOCOL_ERROR)
    for opcode in (PING, PONG, CLOSE):
        wrong = frame(opcode, b"", fin=False)
        yield Case(f"fragmented-control-{opcode}", (HELLO, wrong, HELLO), (HELLO_BACK,), PROTOCOL_ERROR)


VALID_TEXT = {
    "ascii": b"plain",
    "greek": "κόσμε".encode(),
    "first-of-2": b"\xc2\x80",
    "last-of-2": b"\xdf\xbf",
    "first-of-3": b"\xe0\xa0\x80",
    "before-surrogates": b"\xed\x9f\xbf",
    "after-surrogates": b"\xee\x80\x80",
    "replacement": b"\xef\xbf\xbd",
    "last-of-3": b"\xef\xbf\xbf",
    "first-of-4": b"\xf0\x90\x80\x80",
    "highest": b"\xf4\x8f\xbf\xbf",
    "nul": b"\x00",
    "ascii-then-2": b"12345678\xc3\xa9",
    "ascii-then-4": b"1234567\xf0\x9f\x98\x80 and on",
}
INVALID_TEXT_BYTES = {
    "lone-continuation": b"\x80",
    "lone-continuation-bf": b"\xbf",
    "lone-lead-2": b"\xc3",
    "lone-lead-3": b"\xe2",
    "lone-lead-4": b"\xf0",
    "cut-3": b"\xe2\x82",
    "cut-4": b"\xf0\x9f\x98",
    "lead-then-ascii": b"\xc3a",
    "overlong-2": b"\xc0\xaf",
    "overlong-2-highest": b"\xc1\xbf",
    "overlong-3": b"\xe0\x80\xaf",
    "overlong-3-highest": b"\xe0\x9f\xbf",
    "overlong-4": b"\xf0\x80\x80\xaf",
    "overlong-4-highest": b"\xf0\x8f\xbf\xbf",
    "overlong-nul": b"\xc0\x80",
    "first-surrogate": b"\xed\xa0\x80",
    "last-surrogate": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above-highest": b"\xf4\x90\x80\x80",
    "lead-f5": b"\xf5\x80\x80\x80",
    "5-bytes": b"\xf8\x88\x80\x80\x80",
    "6-bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "in-the-eighth-byte": b"1234567\xff",
    "in-the-ninth-byte": b"12345678\xff",
    "after-good-ones": "κόσμε".encode() + b"\xed\xa0\x80edited",
}


def utf8() -> Iterator[Case]:
    """Group 6: text is UTF-8, wherever it is cut; binary is not looked at."""
    for name, payload in VALID_TEXT.items():
        yield Case(f"valid-{name}", (frame(TEXT, payload),), (Frame(TEXT, payload),))
        yield Case(f"valid-{name}-cut-everywhere", tuple(in_single_bytes(payload)), (Frame(TEXT, payload),))
    for name, payload in INVALID_TEXT_BYTES.items():
        yield Case(f"invalid-{name}", (HELLO, frame(TEXT, payload), HELLO), (HELLO_BACK,), INVALID_TEXT)
        yield Case(f"invalid-{name}-cut-everywhere", tuple(in_single_bytes(payload)), (), INVALID_TEXT)
        yield Case(f"binary-{name}", (frame(BINARY, payload),), (Frame(BINARY, payload),))
    yield Case(
        "code-point-around-a-ping",
        (frame(TEXT, b"\xe2\x82", fin=False), frame(PING, b"\xff"), frame(CONTINUATION, b"\xac")),
        (Frame(PONG, b"\xff"), Frame(TEXT, "€".encode())),
    )
    yield Case(
        "invalid-bytes-in-fragmented-binary",
        (frame(BINARY, b"\xff", fin=False), frame(CONTINUATION, b"\xfe")),
        (Frame(BINARY, b"\xff\xfe"),),
    )


def in_single_bytes(payload: bytes) -> Iterator[bytes]:
    """A text message in fragments of one byte."""
    for index in range(len(payload)):
        yield frame(
            CONTINUATION if index else TEXT, payload[index : index + 1], fin=index == len(payload) - 1
        )


def closes() -> Iterator[Case]:
    """Group 7."""
    yield Case("empty", (frame(CLOSE, b""),), (), 1005, b"")
    for code in (
        1000,
        1001,
        1002,
        1003,
        1007,
        1008,
        1009,
        1010,
        1011,
        1012,
        1013,
        1014,
        3000,
        3999,
        4000,
        4999,
    ):
        yield Case(f"code-{code}", (close_frame(code),), (), code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"invalid-{code}", (close_frame(code),), (), PROTOCOL_ERROR)
        yield Case(
            f"invalid-{code}-with-reason", (HELLO, close_frame(code, b"why")), (HELLO_BACK,), PROTOCOL_ERROR
        )
    yield Case("one-byte", (frame(CLOSE, b"\x03"),), (), PROTOCOL_ERROR)
    yield Case("with-reason", (close_frame(1000, b"bye"),), (), 1000)
    yield Case("with-longest-reason", (close_frame(1000, b"x" * 123),), (), 1000)
    yield Case("with-too-long-reason", (close_frame(1000, b"x" * 124),), (), PROTOCOL_ERROR)
    yield Case("with-greek-reason", (close_frame(1000, "κόσμε".encode()),), (), 1000)
    for name, reason in INVALID_TEXT_BYTES.items():
        yield Case(f"reason-{name}", (close_frame(1000, reason),), (), INVALID_TEXT)
    yield Case("after-messages", (HELLO, HELLO, close_frame(1000)), (HELLO_BACK,) * 2, 1000)
    yield Case("message-after-it", (HELLO, close_frame(1000), HELLO), (HELLO_BACK,), 1000, together=True)
    yield Case("ping-after-it", (close_frame(1000), frame(PING, b"x")), (), 1000, together=True)
    yield Case("twice", (close_frame(1000), close_frame(1001)), (), 1000, together=True)
    yield Case("garbage-after-it", (close_frame(1000), b"\xff" * 50), (), 1000, together=True)
    yield Case("after-a-violation", (frame(TEXT, b"x", rsv=1), close_frame(1000)), (), PROTOCOL_ERROR)


def limits() -> Iterator[Case]:
    """Group 9 as far as a server with a limit has it, and group 10."""
    for name, opcode in OPCODES.items():
        pieces = list(in_pieces(opcode, pattern(LIMIT), 1300))
        yield Case(f"{name}-largest-in-fragments", tuple(pieces), (Frame(opcode, pattern(LIMIT)),))
        yield Case(
            f"{name}-one-over", (HELLO, frame(opcode, pattern(LIMIT + 1)), HELLO), (HELLO_BACK,), TOO_BIG
        )
        over = (*in_pieces(opcode, pattern(LIMIT + 1), 1300), HELLO)
        yield Case(f"{name}-one-over-in-fragments", (HELLO, *over), (HELLO_BACK,), TOO_BIG)
        unfinished = (frame(opcode, pattern(LIMIT), fin=False), frame(CONTINUATION, b"x", fin=False))
        yield Case(f"{name}-over-before-its-end", unfinished, (), TOO_BIG)
        head = bytes([0x80 | opcode, 0xFF])
        for size in (LIMIT + 1, 1_000_000, 1 << 31, 1 << 32, 1 << 62):
            announced = head + size.to_bytes(8, "big")
            yield Case(f"{name}-announces-{size}", (HELLO, announced), (HELLO_BACK,), TOO_BIG)
    yield Case("million-bytes", (frame(BINARY, bytes(1_000_000)),), (), TOO_BIG)


def in_pieces(opcode: int, payload: bytes, size: int) -> Iterator[bytes]:
    """A message in fragments of *size* bytes."""
    for start in range(0, len(payload), size):
        last = start + size >= len(payload)
        yield frame(CONTINUATION if start else opcode, payload[start : start + size], fin=last)


def masks() -> Iterator[Case]:
    """RFC 6455 section 5.1: what is not masked ends the connection; what came before is still served."""
    for name, opcode in (
        ("text", TEXT),
        ("binary", BINARY),
        ("ping", PING),
        ("pong", PONG),
        ("close", CLOSE),
    ):
        wrong = frame(opcode, b"", masked=False)
        yield Case(f"{name}-first", (wrong,), (), PROTOCOL_ERROR)
        yield Case(f"{name}-between", (HELLO, HELLO, wrong, HELLO), (HELLO_BACK,) * 2, PROTOCOL_ERROR)
    wrong = frame(CONTINUATION, b"", masked=False)
    yield Case("continuation", (frame(TEXT, b"", fin=False), wrong), (), PROTOCOL_ERROR)
    for name, key in (("zero", bytes(4)), ("ones", b"\xff" * 4), ("any", b"\x01\x80\x7f\xfe")):
        payload = pattern(300)
        masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        sent = b"\x82\xfe" + (300).to_bytes(2, "big") + key + masked
        yield Case(f"key-{name}", (sent,), (Frame(BINARY, payload),))


GROUPS = {
    "messages": messages,
    "pings": pings,
    "reserved-bits": reserved_bits,
    "reserved-opcodes": reserved_opcodes,
    "fragments": fragments,
    "utf8": utf8,
    "closes": closes,
    "limits": limits,
    "masks": masks,
}
CASES = [replace(case, name=f"{name}-{case.name}") for name, group in GROUPS.items() for case in group()]
