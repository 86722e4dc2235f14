"""permessage-deflate (RFC 7692): what is agreed on in the handshake, and messages made small and whole again. Sans-I/O.

No context takeover in either direction, whatever the client offers: every message is deflated by itself. So one
deflated frame serves all subscribers (invariant 3), and a connection owns no window of 32 KiB.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from centrifast.limits import EXTENSIONS_SIZE, FINAL_BLOCKS

EXTENSION = "permessage-deflate"

WINDOWS = (15, 12, 9)
"""Sizes of the window, in bits, that the server deflates with. A client may ask for a smaller one than the largest and
is then given the next of these (RFC 7692 section 7.1.2.1: "the same or smaller"): more sizes would mean more variants,
each of which deflates every publication again."""

TAIL = b"\x00\x00\xff\xff"
"""End of every deflated message, which is not sent (RFC 7692 section 7.2.1)."""

_END = b"\x03\x00"  # an empty last block: what is whole ends with it
_SMALLEST = 6  # bytes; nothing shorter gets smaller, which spares every ping an attempt
_LARGEST_WINDOW = 15
_BITS = {str(bits): bits for bits in range(8, _LARGEST_WINDOW + 1)}
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN)
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*({_TOKEN}|"(?:[^"\\]|\\.)*"))?')
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t,]*|\Z)")
_ESCAPE = re.compile(r"\\(.)")

Parameters = Sequence[tuple[str, str | None]]


class ExtensionsError(ValueError):
    """The header does not follow the grammar of RFC 6455 section 9.1, which ends the handshake."""


class InflateError(ValueError):
    """A message can not be inflated."""


class InflatedTooLargeError(ValueError):
    """A message is larger than allowed when it is inflated."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """An offer that is accepted: the server's *window_bits*, one of ``WINDOWS``, and the header that says so."""

    window_bits: int
    header: str


@lru_cache(maxsize=32)  # nearly all clients are of a few kinds, and say the same
def agree(header: str) -> Agreement | None:
    """Accept the first acceptable offer in a Sec-WebSocket-Extensions, several headers joined by commas.

    None if there is none (RFC 7692 section 7). Raises ``ExtensionsError``.
    """
    if len(header) > EXTENSIONS_SIZE:
        return None
    offers = [parameters for name, parameters in _extensions(header) if name == EXTENSION]
    for parameters in offers:
        if not _is_valid(parameters):
            continue
        wanted = dict(parameters).get("server_max_window_bits")
        most = _LARGEST_WINDOW if wanted is None else _BITS[wanted]
        bits = next((bits for bits in WINDOWS if bits <= most), None)
        if bits is None:  # 8: zlib has no such window
            continue
        answer = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
        return Agreement(bits, answer if wanted is None else f"{answer}; server_max_window_bits={bits}")
    return None


def _is_valid(parameters: Parameters) -> bool:
    """Whether an offer may be accepted at all (RFC 7692 sections 7 and 7.1)."""
    if len({name for name, _ in parameters}) != len(parameters):
        return False
    for name, value in parameters:
        match name:
            case "server_no_context_takeover" | "client_no_context_takeover":
                is_valid = value is None
            case "server_max_window_bits":
                is_valid = value in _BITS
            case "client_max_window_bits":
                is_valid = value is None or value in _BITS
            case _:
                is_valid = False
        if not is_valid:
            return False
    return True


def _extensions(header: str) -> Iterator[tuple[str, Parameters]]:
    """Names and parameters of all extensions in a header."""
    position = len(header) - len(header.lstrip(" \t,"))
    while position < len(header):
        name = _NAME.match(header, position)
        if name is None:
            raise ExtensionsError(f"no extension at character {position}")
        position = name.end()
        parameters = []
        while parameter := _PARAMETER.match(header, position):
            parameters.append((parameter[1], _unquoted(parameter[2])))
            position = parameter.end()
        separator = _SEPARATOR.match(header, position)
        if separator is None:
            raise ExtensionsError(f"malformed at character {position}")
        position = separator.end()
        yield name[0], parameters


def _unquoted(value: str | None) -> str | None:
    """A parameter's value; a quoted one must be a token inside its quotes (RFC 6455 section 9.1)."""
    if value is None or not value.startswith('"'):
        return value
    text = _ESCAPE.sub(r"\1", value[1:-1])
    if not _NAME.fullmatch(text):
        raise ExtensionsError("a quoted value is no token")
    return text


class Deflater:
    """Makes messages smaller: *level* 1 to 9, *min_size* in bytes, *window_bits* of ``WINDOWS``.

    A call returns what a frame with RSV1 carries, or None where the message is better sent as it is: it is shorter
    than *min_size*, or would not get smaller. O(size): 8 µs for 150 bytes, up to 20 ms for a megabyte at level 1.
    """

    __slots__ = ("_level", "_min_size", "_window_bits")

    def __init__(self, level: int, min_size: int, window_bits: int) -> None:
        self._level = level
        self._min_size = max(min_size, _SMALLEST)
        self._window_bits = window_bits

    def __call__(self, message: bytes) -> bytes | None:
        if len(message) < self._min_size:
            return None
        compressor = zlib.compressobj(self._level, zlib.DEFLATED, -self._window_bits)
        deflated = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        size = len(deflated) - len(TAIL)
        return deflated[:size] if size < len(message) else None


def inflate(message: bytes, limit: int) -> bytes:
    """The message that a client has deflated by itself; nothing is inflated beyond *limit* bytes.

    Raises ``InflatedTooLargeError`` and ``InflateError``.
    """
    if not message:  # what zlib makes of nothing if it was flushed before
        return b""
    inflated = b""
    rest = message + TAIL + _END
    for _ in range(FINAL_BLOCKS):
        inflater = zlib.decompressobj(-_LARGEST_WINDOW)
        try:
            inflated += inflater.decompress(rest, limit + 1 - len(inflated))
        except zlib.error as error:
            raise InflateError(str(error)) from None
        if len(inflated) > limit:
            raise InflatedTooLargeError(f"more than {limit} bytes")
        if not inflater.eof:
            raise InflateError("the last block is cut")
        rest = inflater.unused_data
        # Behind a block that says it is the last one (section 7.2.3.4) others may follow, at least an empty one, which
        # some forget.
        if rest in (b"", TAIL + _END, b"\x00" + TAIL + _END):
            return inflated
    raise InflateError("too many last blocks")
