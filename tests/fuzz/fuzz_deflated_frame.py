"""Any bytes from a client that agreed on permessage-deflate (RFC 7692): what is inflated is bounded, and right.

As ``fuzz_websocket_frame``, with messages that may be deflated. Seeds lead into every kind of block.
"""

import json
import zlib
from types import TracebackType

from centrifast.limits import FINAL_BLOCKS
from tests.fuzz.fuzz_websocket_frame import LIMIT, Violated, answered, answers
from tests.fuzz.mutate import main
from tests.in_process_server import InProcessServer
from tests.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    RSV1,
    TEXT,
    Frame,
    deflated,
    frame,
)

INFLATED_LIMIT = 10 * LIMIT
WORDS = "some wörds and some wörds ".encode() * 20


def small(payload: bytes, opcode: int = TEXT, level: int = 6) -> bytes:
    """A deflated message."""
    return frame(opcode, deflated(payload, level), rsv=RSV1)


PIECES = deflated(WORDS)
SEEDS = [
    small(WORDS),
    small(b"Hello") * 3 + frame(TEXT, b"plain"),
    small(WORDS, level=0),
    small(bytes(range(256)) * 4, BINARY, 9),
    small(bytes(INFLATED_LIMIT), BINARY),
    small(bytes(INFLATED_LIMIT + 1), BINARY),
    small(bytes(1_000_000), BINARY),
    frame(TEXT, PIECES[:5], fin=False, rsv=RSV1) + frame(PING, b"p") + frame(CONTINUATION, PIECES[5:]),
    frame(TEXT, b"", fin=False, rsv=RSV1) + frame(CONTINUATION, PIECES) + frame(CLOSE, b"\x03\xe8"),
    frame(BINARY, bytes.fromhex("f348cdc9c90700f348cdc9c9070000"), rsv=RSV1),
    frame(BINARY, b"\x03\x00" * 20, rsv=RSV1),
    frame(BINARY, b"", rsv=RSV1) + frame(BINARY, b"\x00", rsv=RSV1),
    small(b"\xff\xfe"),
    small(b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}')
    + small(b'{"id":3,"publish":{"channel":"news","data":{"words":"%s"}}}' % WORDS)
    + small(b"{}"),
]


def inflate(data: bytes) -> bytes:
    """A model of what is demanded: byte by byte, and no faster than it must be."""
    found, blocks = bytearray(), 0
    rest = list(data + b"\x00\x00\xff\xff\x03\x00" if data else b"\x03\x00")
    padding: tuple[list[int], ...] = ([], [0, 0, 255, 255, 3, 0], [0, 0, 0, 255, 255, 3, 0])
    while blocks < FINAL_BLOCKS:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while not inflater.eof:
            if not rest:
                raise Violated(1007)
            try:
                found += inflater.decompress(bytes([rest.pop(0)]))
            except zlib.error:
                raise Violated(1007) from None
            if len(found) > INFLATED_LIMIT:
                raise Violated(1009, b"inflated message too big")
        if rest in padding:
            return bytes(found)
        blocks += 1
    raise Violated(1007)


class Target:
    """A server and a connection to it that must go on working. Use as a context manager."""

    def __enter__(self) -> "Target":
        flags = {"websocket.message_size_limit": LIMIT, "websocket.compression": True}
        self._server = InProcessServer(flags).__enter__()
        self._reference = self._server.echo(headers=DEFLATE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reference.socket.close()
        self._server.__exit__(kind, error, trace)

    def check(self, data: bytes) -> None:
        """Raises when a connection gets what it should not, or another one is hurt."""
        received = [got.inflated for got in answered(self._server.echo(headers=DEFLATE), data)]
        assert received == list(answers(data, inflate))
        for got in answered(self._server.client(headers=DEFLATE), data):
            if got.opcode == TEXT:
                for line in got.inflated.payload.split(b"\n"):
                    json.loads(line)
            else:
                assert got.opcode in (CLOSE, PONG)
                assert got.rsv == 0
        self._reference.send_bytes(small(WORDS))
        assert self._reference.receive() == Frame(TEXT, deflated(WORDS, 1), rsv=RSV1)
        assert self._server.take_errors() == []


if __name__ == "__main__":
    with Target() as target:
        main(target.check, SEEDS)
