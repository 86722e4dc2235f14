"""Responses that are written while something happens: a tail, and whatever else streams over plain HTTP.

A handler returns a ``StreamingResponse``. When its head is queued, ``open`` is given a ``ResponseStream`` to write to:

    write ──▶ transport, while it takes more ──▶ peer
       └────▶ queue of at most ``queue_limit`` bytes, while it does not; beyond that ``write`` says no

So nobody who writes ever waits for the peer. A peer that does not read for the write timeout is dropped.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from centrifast.limits import STREAM_QUEUE_SIZE
from centrifast.protocol.http1 import REASONS, Response

LAST_CHUNK = b"0\r\n\r\n"


class StreamOwner(Protocol):
    """What a stream tells whoever writes to it."""

    def on_stream_writable(self) -> None:
        """What was queued has gone: there is room again."""

    def on_stream_stop(self) -> None:
        """The server stops: say goodbye and ``end``, now or soon."""

    def on_stream_lost(self) -> None:
        """The peer is gone; called at most once, never after ``end``, and nothing after it."""


class StreamingResponse(Response, frozen=True, kw_only=True, gc=True):
    """A response without an end that is known. *open* is called once, or never if the peer is gone by then.

    What must be let go of belongs into ``open``, not into the handler before it.
    """

    open: Callable[["ResponseStream"], None]
    """Whoever has more to say later sets the stream's ``owner``."""
    queue_limit: int = STREAM_QUEUE_SIZE


class ResponseStream:
    """The body of one response: in chunks (RFC 9112 section 7.1), or until the connection closes for HTTP/1.0."""

    __slots__ = (
        "_chunked",
        "_is_paused",
        "_on_end",
        "_queue",
        "_queue_limit",
        "_queued",
        "_transport",
        "owner",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        on_end: Callable[[], None],
        queue_limit: int,
        *,
        chunked: bool,
        paused: bool,
    ) -> None:
        self._transport = transport
        self._on_end: Callable[[], None] | None = on_end  # None: it has ended
        self._queue_limit = queue_limit
        self._chunked = chunked
        self._is_paused = paused
        self._queue: list[bytes] = []
        self._queued = 0  # bytes
        self.owner: StreamOwner | None = None

    @property
    def remote_address(self) -> str:
        """Host and port of the peer, as the socket knows it."""
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "")

    def write(self, data: bytes) -> bool:
        """Write a part of the body, or queue it; False if it was dropped, for want of room or after the end."""
        if self._on_end is None:
            return False
        if not data:
            return True  # an empty chunk would be the last one
        if not self._is_paused:
            self._transport.write(self._framed(data))
            return True
        if self._queued + len(data) > self._queue_limit:
            return False
        self._queue.append(self._framed(data))
        self._queued += len(data)
        return True

    def end(self, data: bytes = b"") -> None:
        """Write the last part, whatever is queued, and end the response; harmless when it has ended."""
        on_end, self._on_end = self._on_end, None
        if on_end is None:
            return
        if data:
            self._queue.append(self._framed(data))
        if self._chunked:
            self._queue.append(LAST_CHUNK)
        self._write_queued()
        self.owner = None
        on_end()

    # ------------------------------------------- called by the connection

    def pause(self) -> None:
        """The transport takes no more."""
        self._is_paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self._is_paused = False
        self._write_queued()
        if self.owner is not None and not self._is_paused:
            self.owner.on_stream_writable()

    def stop(self) -> None:
        """The server stops."""
        if self.owner is not None:
            self.owner.on_stream_stop()
        else:
            self.end()

    def lose(self) -> None:
        """The peer is gone."""
        owner, self.owner, self._on_end = self.owner, None, None
        self._queue.clear()
        if owner is not None:
            owner.on_stream_lost()

    # -------------------------------------------------------------- inside

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def _write_queued(self) -> None:
        if self._queue:
            self._transport.write(b"".join(self._queue))
            self._queue.clear()
            self._queued = 0


def encode_head(response: Response, *, keep_alive: bool, chunked: bool, date: bytes) -> bytes:
    """The head of a response whose length nobody knows; *date* is a whole ``Date`` line or nothing."""
    lines = [
        f"HTTP/1.1 {response.status} {REASONS.get(response.status, '')}",
        f"Content-Type: {response.content_type}",
    ]
    lines.extend(f"{name}: {value}" for name, value in response.headers)
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n" + date + b"\r\n"
