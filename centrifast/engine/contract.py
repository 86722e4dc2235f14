"""What an engine promises: the broker half (PUB/SUB and history). Presence and control join it with their features.

Every method is a coroutine so that an engine may live in this process, in the supervisor or in Redis. The memory
engine never suspends, so its publish runs without a task (``centrifast.eager``).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition


class HistoryOptions(msgspec.Struct, frozen=True, gc=False):
    """How much of a channel is kept: *size* publications for *ttl* seconds, its position for *meta_ttl* seconds."""

    size: int = 0
    ttl: float = 0.0
    meta_ttl: float = 0.0


NO_HISTORY = HistoryOptions()


class PublishOptions(msgspec.Struct, frozen=True, gc=False):
    """How one publication is made. With *history* switched off it gets no offset."""

    history: HistoryOptions = NO_HISTORY
    info: ClientInfo | None = None
    tags: Mapping[str, str] | None = None
    idempotency_key: str = ""
    version: int = 0
    version_epoch: str = ""


class PublishResult(msgspec.Struct, frozen=True, gc=False):
    """Where the publication landed; *suppressed* when nothing was published (idempotency key or version)."""

    position: StreamPosition = NO_POSITION
    suppressed: bool = False


PUBLISHED = PublishResult()


class HistoryFilter(msgspec.Struct, frozen=True, gc=False):
    """Which part of a stream is read (client protocol 3.8): *limit* 0 = position only, negative = everything."""

    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class History(msgspec.Struct, frozen=True, gc=False):
    """Publications read, and the stream's top position whatever was asked."""

    publications: Sequence[Publication]
    position: StreamPosition


class BrokerEvents(Protocol):
    """What a broker tells the node, in the order of offsets per channel."""

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        """A publication of a channel this node is subscribed to; *position* has offset 0 without history."""


class Broker(Protocol):
    """PUB/SUB and history."""

    async def start(self, events: BrokerEvents) -> None:
        """Connect; from here on *events* may be called."""

    async def subscribe(self, channel: str) -> None:
        """This node wants the channel's publications."""

    async def unsubscribe(self, channel: str) -> None:
        """This node no longer wants them."""

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        """Assign an offset, keep and deliver, atomically per channel.

        A known idempotency key, or a version not above the stored one, publishes nothing and answers *suppressed*
        with the position to report. Raises ``ConnectionError`` or ``TimeoutError`` when the store is away.
        """

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        """Read a part of the stream; creates an empty stream with a fresh epoch if there is none.

        Raises ``ClientError`` UNRECOVERABLE_POSITION when ``since.epoch`` is given and not the stream's.
        """

    async def remove_history(self, channel: str) -> None:
        """Drop the publications; epoch and top offset stay."""

    async def close(self) -> None:
        """Let go of connections; no event follows."""
