"""The chunked transfer coding of HTTP/1.1 (RFC 9112 section 7.1): bytes in, a body out. Sans-I/O."""

import re
from collections.abc import Callable

CHUNK_LINE_LIMIT = 256
"""Bytes of a chunk's size line with its extensions, which mean nothing to us."""

TRAILERS_SIZE_LIMIT = 16 * 1024
"""Bytes of header lines after the last chunk, which are checked and dropped."""

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*+;[\t -~\x80-\xff]*+)?\r\n")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)*+\r\n")


class ChunkedError(Exception):
    """The coding is broken, so nobody knows where the body ends."""


class ChunkedBody:
    """Decodes one body. *check_size* gets the size known so far, before it is kept, and may raise."""

    __slots__ = ("_check_size", "_data_left", "_in_trailers", "_pending", "body", "complete")

    def __init__(self, check_size: Callable[[int], None]) -> None:
        self._check_size = check_size
        self._pending = b""  # part of a size line, of a chunk's CRLF or of the trailers
        self._data_left = 0  # bytes of the current chunk with its CRLF
        self._in_trailers = False
        self.body = bytearray()
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Take *data*; once the body is ``complete``, returns what lies behind. Raises ``ChunkedError``."""
        data = self._pending + data
        self._pending = b""
        position = 0
        while not self._in_trailers:
            advanced = self._read_data(data, position) if self._data_left else self._read_size(data, position)
            if advanced < 0:
                self._pending = data[position:]
                return b""
            position = advanced
        return self._read_trailers(data, position)

    def _read_data(self, data: bytes, position: int) -> int:
        """Take what is there of a chunk: where it goes on, or -1 if more is needed."""
        if self._data_left > 2:
            end = min(len(data), position + self._data_left - 2)
            self.body += memoryview(data)[position:end]
            self._data_left -= end - position
            return end if end > position else -1
        if len(data) < position + 2:
            return -1
        if data[position : position + 2] != b"\r\n":
            raise ChunkedError("bad end of chunk")
        self._data_left = 0
        return position + 2

    def _read_size(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position, position + CHUNK_LINE_LIMIT) + 1
        if not end:
            if len(data) - position >= CHUNK_LINE_LIMIT:
                raise ChunkedError("bad chunk size")
            return -1
        match = _SIZE_LINE.fullmatch(data, position, end)
        if match is None:
            raise ChunkedError("bad chunk size")
        size = int(match[1], 16)
        self._check_size(len(self.body) + size)
        self._in_trailers = size == 0
        self._data_left = size + 2 if size else 0
        return end

    def _read_trailers(self, data: bytes, position: int) -> bytes:
        if data.startswith(b"\r\n", position):
            end = position + 2
        else:
            end = data.find(b"\r\n\r\n", position) + 4
            size = end - position if end > 3 else len(data) - position + 1
            if size > TRAILERS_SIZE_LIMIT:
                raise ChunkedError("trailers too large")
            if end < 4:
                self._pending = data[position:]
                return b""
            if not _TRAILERS.fullmatch(data, position, end):
                raise ChunkedError("malformed trailers")
        self.complete = True
        return data[end:]
