"""The client side of permessage-deflate (RFC 7692) without context takeover: each message is compressed by itself.

So nothing is kept per connection: 32 KiB and more for 10,000 clients each would measure the load generator. No I/O.
"""

import zlib

OFFER = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
EXTENSION = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"  # of every compressed message, and not sent: RFC 7692 section 7.2.1
MAX_MESSAGE = 64 << 20  # bytes, inflated


class DeflateError(ValueError):
    """The server agreed to what was not offered, or sent what can not be inflated."""


def is_agreed(header: str | None) -> bool:
    """Whether the response's Sec-WebSocket-Extensions accepts the offer. Raises DeflateError when it may not.

    RFC 7692 section 7.1: a server that accepts says ``server_no_context_takeover`` back, may add
    ``client_no_context_takeover`` and ``server_max_window_bits`` (15 bits inflate everything), and nothing else.
    """
    if not header:
        return False
    name, *parameters = [part.strip() for part in header.split(";")]
    names = [parameter.partition("=")[0].strip() for parameter in parameters]
    allowed = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits"}
    if name != EXTENSION or len(set(names)) != len(names) or not allowed.issuperset(names):
        raise DeflateError(f"the server agreed to an extension that was not offered: {header[:200]}")
    if "server_no_context_takeover" not in names:
        raise DeflateError(
            "the server wants context takeover for permessage-deflate: load it without --deflate"
        )
    return True


def compress(message: bytes) -> bytes:
    """A message as it is sent with RSV1. Level 1, as a client's messages are small."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def decompress(message: bytes, agreed: bool, limit: int = MAX_MESSAGE) -> bytes:
    """A message that came with RSV1, at most *limit* bytes long. Raises DeflateError."""
    if not agreed:
        raise DeflateError("a compressed message though permessage-deflate was not agreed")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(message + TAIL, limit)
    except zlib.error as error:
        raise DeflateError(f"a message that can not be inflated: {error}") from error
    if inflater.unconsumed_tail:
        raise DeflateError(f"a message of more than {limit} bytes inflated")
    return inflated
