"""Heads of HTTP requests that have been read before.

A backend sends the same head with every call, byte for byte, but for the length of the body. Reading it is most of
what a small request costs, and has the same outcome each time: that depends on nothing but the bytes. So the outcome
is kept, and of the next head like it llhttp is shown a short stand-in. It reads the body as ever, by a length it has
seen (docs/decisions/http-parsing.md; what it saves: ``bench/publish.py``).

Kept is only what nothing else has a say in: a body that anybody may send, whose size the head tells, on a connection
that goes on as HTTP. A caller that puts something of its own into every head, say the id of a trace, gains nothing
and makes the others be read again now and then.
"""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from centrifast.protocol.http1 import Request

HEADS = 1024
"""Heads that are kept; with one more it begins anew."""

HEAD_SIZE = 1024
"""Bytes of the largest head that is kept; callers of the API send 100 to 500."""

BODY_SIZE = 64 * 1024
"""Bytes of the largest body behind such a head: as much as anybody may send."""


class KnownHead(msgspec.Struct, frozen=True, gc=False):
    """What a head says: *request* lacks its body. *stand_in* is a head that announces the same body."""

    request: "Request"
    body_size: int
    stand_in: bytes


class KnownHeads:
    """Shared by the parsers of a listener; ``HEADS`` of ``HEAD_SIZE`` bytes and what they say are at most 4 MiB."""

    def __init__(self) -> None:
        self._known: dict[bytes, KnownHead] = {}
        self.find = self._known.get  # no call of ours in between, on the way of every request

    def note(self, head: bytes, request: "Request", body_size: int) -> None:
        """Keep what *head* says, if it is of the plain kind; a negative size is one that is not told."""
        if not 0 < body_size <= BODY_SIZE or len(head) > HEAD_SIZE:
            return
        if request.is_upgrade or not request.keep_alive or "expect" in request.headers:
            return
        if len(self._known) >= HEADS:
            self._known.clear()
        stand_in = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % body_size
        self._known[head] = KnownHead(request, body_size, stand_in)
