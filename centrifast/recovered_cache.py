"""Recovered publications, encoded once for all clients that come back together (client protocol 6.3)."""

from collections import OrderedDict

from centrifast.delivery import Delivery
from centrifast.limits import RECOVERED_CACHE_SIZE
from centrifast.protocol.codec import Codec
from centrifast.protocol.forms import delta_chain, to_wire
from centrifast.protocol.wire import EncodedPublications, Encoding
from centrifast.recovery import Recovery

ENTRY_SIZE = 480
"""Bytes of memory that an entry takes beside what is encoded (CPython 3.11): in a million channels with one small
publication each, that is nearly all."""


class RecoveredCache:
    """Recovered publications as they stand in a result: encoded once for all clients that missed the same.

    What stands between two offsets of a stream changes only when the store goes back and gives offsets again, which
    their times show. So nothing here is ever wrong, only forgotten: the longest unused first, when more than *max_size*
    bytes are kept.
    """

    def __init__(self, max_size: int = RECOVERED_CACHE_SIZE) -> None:
        self._max_size = max_size
        self._entries: OrderedDict[tuple[str, str, int, int, int, Encoding, bool], EncodedPublications] = (
            OrderedDict()
        )
        self._size = 0

    def encoded(
        self, codec: Codec, channel: str, delivery: Delivery, recovery: Recovery
    ) -> EncodedPublications:
        """The publications of *recovery* for connections of this encoding. Raises ``NotJsonError`` (JSON only)."""
        publications = recovery.publications
        if delivery.filter is not None:  # what this filter lets through; the next client has another one
            return codec.encode_publications([to_wire(publication) for publication in publications])
        first, last = publications[0].offset, publications[-1]
        epoch = recovery.position.epoch
        key = (channel, epoch, first, last.offset, last.time_ms, codec.encoding, delivery.delta)
        encoded = self._entries.get(key)
        if encoded is not None:
            self._entries.move_to_end(key)
            return encoded
        chain = delta_chain(codec, publications) if delivery.delta else map(to_wire, publications)
        encoded = codec.encode_publications(list(chain))
        self._size += len(encoded.data) + ENTRY_SIZE
        self._entries[key] = encoded
        while self._size > self._max_size:
            _, forgotten = self._entries.popitem(last=False)
            self._size -= len(forgotten.data) + ENTRY_SIZE
        return encoded
