"""Connections that are told there is no room, and stay until they have read it (RFC 9112 section 9.6)."""

import asyncio
from collections.abc import Iterator

from centrifast.server.acceptor import UNAVAILABLE

REFUSED_AT_ONCE = 24
"""Refused connections that may stay for a moment; each needs one of the last descriptors."""

LINGER_TIMEOUT = 2.0
"""Seconds a refused peer may go on sending, so that a reset does not overtake the refusal."""


class Refusals:
    """All connections being refused on one listener."""

    def __init__(self) -> None:
        self._since: dict[asyncio.Transport, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def __iter__(self) -> Iterator[asyncio.Transport]:
        return iter(list(self._since))

    def refuse(self, transport: asyncio.Transport, now: float) -> None:
        """Answer 503 and close: when the peer has closed, or, with too many of them and over TLS, at once."""
        transport.write(UNAVAILABLE)
        if len(self._since) >= REFUSED_AT_ONCE or not transport.can_write_eof():
            transport.close()
            return
        self._since[transport] = now
        transport.set_protocol(_Refused(self, transport))
        transport.write_eof()

    def check_timeout(self, now: float) -> None:
        """Drop those that have had their time."""
        for transport, since in list(self._since.items()):
            if now - since >= LINGER_TIMEOUT:
                transport.abort()

    def forget(self, transport: asyncio.Transport) -> None:
        """It has gone."""
        self._since.pop(transport, None)


class _Refused(asyncio.Protocol):
    """Throws away what arrives; the end of it closes the connection."""

    def __init__(self, refusals: Refusals, transport: asyncio.Transport) -> None:
        self._refusals = refusals
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._refusals.forget(self._transport)
