"""One end of a Unix socket between a worker and its supervisor: whole messages, in order, in both directions.

A message is its length (four bytes, little endian) and its MessagePack form. What is sent in one turn of the loop
leaves in one write. Nobody reads faster than both sides can: while what waits to be written is above ``HIGH_WATER``
the owner is told, and a peer that does not read at all costs no more than ``LINK_QUEUE_SIZE`` bytes.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Protocol, cast

from centrifast import log
from centrifast.limits import LINK_MESSAGE_SIZE, LINK_QUEUE_SIZE, MIB

HIGH_WATER = 4 * MIB
"""Bytes waiting to be written from which on the other links should pause."""

_SIZE = struct.Struct("<I")
_PREFIX = _SIZE.size


class LinkOwner(Protocol):
    """Who is told what a link hears."""

    def on_message(self, link: "Link", message: bytes) -> None:
        """A whole message has arrived."""

    def on_crowded(self, link: "Link", is_crowded: bool) -> None:
        """More than ``HIGH_WATER`` waits to be written, or no longer."""

    def on_lost(self, link: "Link") -> None:
        """The peer is gone; comes once, and nothing after it."""


class Link(asyncio.Protocol):
    """See above. ``send`` after the end is silently dropped: whoever waits for an answer hears of it by ``on_lost``."""

    _transport: asyncio.Transport

    def __init__(self, owner: LinkOwner) -> None:
        self._owner = owner
        self._received = bytearray()
        self._out: list[bytes] = []
        self._room = 0  # bytes that may still be sent in this turn
        self.is_open = False
        self._schedule: Callable[[Callable[[], None]], object] = asyncio.get_running_loop().call_soon

    def send(self, message: bytes) -> None:
        """Queue a message; it leaves at the end of this turn of the loop."""
        if not self.is_open:
            return
        out, size = self._out, len(message)
        if not out:
            self._schedule(self._flush)
            self._room = LINK_QUEUE_SIZE - self._transport.get_write_buffer_size()
        out.append(_SIZE.pack(size))
        out.append(message)
        self._room -= _PREFIX + size
        if self._room < 0:
            log.error("a worker link is given up: its peer does not read", limit=LINK_QUEUE_SIZE)
            self.abort()

    def pause_reading(self) -> None:
        """Leave in the socket what arrives until ``resume_reading``."""
        if self.is_open:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.is_open:
            self._transport.resume_reading()

    def close(self) -> None:
        """Write what waits, then end."""
        if self.is_open:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        if self.is_open:
            self._transport.abort()

    # ------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(HIGH_WATER)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        begun = self._received
        received: bytes | bytearray = data
        if begun:
            begun += data
            received = begun
        start, length = 0, len(received)
        while length - start >= _PREFIX:
            (size,) = _SIZE.unpack_from(received, start)
            if size > LINK_MESSAGE_SIZE:
                log.error("a worker link is given up: a message is too large", size=size)
                self.abort()
                return
            end = start + _PREFIX + size
            if length < end:
                break
            self._owner.on_message(self, bytes(received[start + _PREFIX : end]))
            start = end
        if begun:
            del begun[:start]
        elif start < length:
            begun += data[start:]

    def pause_writing(self) -> None:
        self._owner.on_crowded(self, True)

    def resume_writing(self) -> None:
        self._owner.on_crowded(self, False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._out.clear()
        self._owner.on_lost(self)

    # -------------------------------------------------------------- inside

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self.is_open:
            self._transport.write(b"".join(out))
