"""What one PUB/SUB connection brings to this node."""

from collections.abc import Iterable

from centrifast import log
from centrifast.background import Background
from centrifast.engine.contract import BrokerEvents
from centrifast.engine.redis.codec import DecodeError, JoinFrame, PublicationFrame, decode_frame
from centrifast.engine.redis.contract import PubSub, Shard
from centrifast.limits import CHANNEL_LOG_SIZE
from centrifast.model import StreamPosition


class Feed:
    """The channels that one connection to *shard* is subscribed to, and their messages; ``contract.PubSubOwner``.

    A channel counts as subscribed from the moment it is asked for: the connection may be made anew before the answer
    comes, and subscribes to everything then.
    """

    def __init__(self, shard: Shard, service: bytes, slot_key: bytes | None, events: BrokerEvents) -> None:
        self._shard = shard
        self._events: BrokerEvents | None = events
        self._errors = events.metrics.pub_sub_errors.of("handle_client_message")
        self._dropped = events.metrics.pub_sub_dropped.of("client")
        self._channels: dict[bytes, str] = {}
        self._heard: dict[bytes, StreamPosition] = {}  # of the last publication that had one
        # Unsubscribed while the connection was being made, which may have subscribed to them.
        self._left: set[bytes] = set()
        self._background = Background()
        self._pubsub: PubSub = shard.pubsub(self, service, slot_key)

    @property
    def is_usable(self) -> bool:
        """Whether messages come."""
        return self._pubsub.is_usable

    async def start(self) -> None:
        """Connect. Raises ``ConnectionError`` or ``TimeoutError``."""
        await self._pubsub.start()

    async def close(self) -> None:
        """Disconnect; no event follows."""
        self._events = None
        await self._background.close()
        await self._pubsub.close()

    async def subscribe(self, redis_channel: bytes, channel: str) -> None:
        """Return when messages come. Raises ``ConnectionError`` or ``TimeoutError``."""
        is_known = redis_channel in self._channels
        self._channels[redis_channel] = channel
        self._left.discard(redis_channel)
        try:
            await self._pubsub.subscribe(redis_channel)
        except (ConnectionError, TimeoutError):
            if not is_known:
                self._forget(redis_channel)
            raise

    async def unsubscribe(self, redis_channel: bytes) -> None:
        """No message comes from here on, even if Redis can not be told now. Raises like ``subscribe``."""
        if not self.is_usable:
            self._forget(redis_channel)
            return
        self._channels.pop(redis_channel, None)
        self._heard.pop(redis_channel, None)
        await self._pubsub.unsubscribe(redis_channel)

    def _forget(self, redis_channel: bytes) -> None:
        self._heard.pop(redis_channel, None)
        if self._channels.pop(redis_channel, None) is not None:
            self._left.add(redis_channel)

    # ------------------------------------------------ called by the connection

    def wanted(self) -> Iterable[bytes]:
        """See ``PubSubOwner.wanted``."""
        self._left.clear()
        return tuple(self._channels)

    def on_restored(self) -> None:
        """What was left while everything was subscribed to is unsubscribed now; messages may have been missed."""
        for redis_channel in self._left:
            self._background.run("unsubscribe failed", self._pubsub.unsubscribe(redis_channel))
        self._left.clear()
        if self._events is not None:
            self._events.on_interrupted(tuple(self._channels.values()))

    def on_message(self, channel: bytes, message: bytes) -> None:
        """A message that can not be read is as good as lost: who must have all of them finds out by its position."""
        name = self._channels.get(channel)
        if name is None or self._events is None:
            return  # unsubscribed while it was on its way
        try:
            self._deliver(self._events, channel, name, message)
        except DecodeError as error:
            self._errors.add()
            self._dropped.add()
            shown = name[:CHANNEL_LOG_SIZE]
            log.error("message can not be read", channel=shown, shard=self._shard.name, error=str(error))

    def _deliver(self, events: BrokerEvents, channel: bytes, name: str, message: bytes) -> None:
        frame = decode_frame(message)
        if isinstance(frame, PublicationFrame):
            if frame.position.offset:
                self._follow(events, channel, name, frame.position)
            events.on_publication(name, frame.publication, frame.position, frame.previous)
        elif isinstance(frame, JoinFrame):
            events.on_join(name, frame.info)
        else:
            events.on_leave(name, frame.info)

    def _follow(self, events: BrokerEvents, channel: bytes, name: str, position: StreamPosition) -> None:
        """See whether the stream goes on. A replica that has become master may lack what the old one had said last.

        A member of a cluster may repeat what another one has said before the connection moved: that counts as well.
        """
        heard = self._heard.get(channel)
        if heard is not None and position.offset <= heard.offset and position.epoch == heard.epoch:
            log.info("stream has gone back", channel=name[:CHANNEL_LOG_SIZE], shard=self._shard.name)
            events.on_rewound(name)
        self._heard[channel] = position
