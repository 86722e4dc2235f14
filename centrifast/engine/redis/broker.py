"""Publications, history and PUB/SUB through Redis, in Centrifugo's layout (engines specification 3).

How it works. A channel lives on one shard, which is found by a hash of its name. Publishing is one script there: it
looks at the idempotency key and the version, counts the offset, keeps the publication and hands it to PUB/SUB, all of
it atomically, so subscribers of every node see offsets in their order (invariant 2). Nothing is sent twice: a call
fails when its shard is away, and whoever made it decides.

PUB/SUB loses what is published while a connection is down. When it is up again the node is told which channels that
concerns, and compares their positions.

    publish ─▶ Shard.run(script) ─▶ Redis ─▶ PUBLISH ─▶ PubSub of every node that wants it ─▶ Feed ─▶ BrokerEvents
"""

import math
from collections.abc import Sequence

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.contract import (
    PUBLISHED,
    BrokerEvents,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.idempotency import KEY_TTL
from centrifast.engine.redis import scripts
from centrifast.engine.redis.codec import encode_join, encode_leave, encode_publication
from centrifast.engine.redis.contract import Reply, Shard
from centrifast.engine.redis.feed import Feed
from centrifast.engine.redis.hashing import shard_of
from centrifast.engine.redis.history import in_list, in_stream, list_args, stream_args
from centrifast.engine.redis.keys import Keys
from centrifast.engine.redis.refusal import answer_of
from centrifast.errors import NOT_AVAILABLE, UNRECOVERABLE_POSITION, ClientError
from centrifast.limits import CHANNEL_LOG_SIZE
from centrifast.metrics.metrics import IDEMPOTENCY, VERSION
from centrifast.model import ClientInfo, StreamPosition


class _Place:
    """Where some channels are: a shard, its names, and its PUB/SUB connections by partition."""

    def __init__(self, shard: Shard, keys: Keys, events: BrokerEvents) -> None:
        self.shard = shard
        self.keys = keys
        self.publish = b"spublish" if keys.partitions else b"publish"
        services = [keys.service(number) for number in range(keys.partitions or 1)]
        self.feeds = [
            Feed(shard, service, service if keys.partitions else None, events) for service in services
        ]

    def feed_of(self, channel: str) -> Feed:
        return self.feeds[self.keys.partition(channel)]


class RedisBroker:
    """``contract.Broker`` over *shards*, in the order of the configuration, which every node must have.

    They are started and closed by others.
    *use_lists*: history in lists instead of streams; then reverse history from an offset is refused with NOT_AVAILABLE.
    *partitions*: of sharded PUB/SUB, for shards that are clusters; 0 = classic PUB/SUB.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        prefix: str,
        clock: Clock,
        *,
        use_lists: bool = False,
        partitions: int = 0,
    ) -> None:
        self._shards = shards
        self._prefix = prefix
        self._clock = clock
        self._use_lists = use_lists
        self._partitions = partitions
        self._places: list[_Place] = []

    async def start(self, events: BrokerEvents) -> None:
        """Listen on all shards. Raises ``ConnectionError`` or ``TimeoutError``."""
        for shard in self._shards:
            keys = Keys(self._prefix, is_cluster=shard.is_cluster, partitions=self._partitions)
            place = _Place(shard, keys, events)
            self._places.append(place)
            for feed in place.feeds:
                await feed.start()

    async def close(self) -> None:
        """Listen no more; no event follows."""
        for place in self._places:
            for feed in place.feeds:
                await feed.close()

    @property
    def is_listening(self) -> bool:
        """Whether messages come from all shards."""
        return all(feed.is_usable for place in self._places for feed in place.feeds)

    # ------------------------------------------------------------- PUB/SUB

    async def subscribe(self, channel: str) -> None:
        """See ``Broker.subscribe``. Raises ClientError BAD_REQUEST for a name that a cluster can not hold."""
        place = self._place_of(channel)
        await place.feed_of(channel).subscribe(place.keys.client + place.keys.name(channel), channel)

    async def unsubscribe(self, channel: str) -> None:
        """See ``Broker.unsubscribe``; a name that could not be subscribed to is not subscribed."""
        place = self._place_of(channel)
        if place.keys.can_name(channel):
            await place.feed_of(channel).unsubscribe(place.keys.client + place.keys.name(channel))

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """See ``Broker.publish_join``."""
        await self._send(channel, encode_join(info))

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """See ``Broker.publish_leave``."""
        await self._send(channel, encode_leave(info))

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        """See ``Broker.publish``. Raises ClientError BAD_REQUEST for a name that a cluster can not hold."""
        history = options.history
        is_kept = history.size > 0 and history.ttl > 0
        time_ms = int(self._clock.unix() * 1000)
        delta = options.delta and not is_kept  # else the frame says it
        payload = encode_publication(data, options.info, options.tags, time_ms, delta=delta)
        if is_kept:
            reply = await self._publish_kept(channel, payload, options)
        elif options.idempotency_key:
            reply = await self._publish_once(channel, payload, options.idempotency_key)
        else:
            await self._send(channel, payload)
            return PUBLISHED
        offset, epoch, is_repeated, is_stale = reply
        position = StreamPosition(int(offset), epoch.decode())
        if is_repeated == b"1":
            return PublishResult(position, suppressed=True, reason=IDEMPOTENCY)
        if is_stale == b"1":
            return PublishResult(position, suppressed=True, reason=VERSION)
        return PublishResult(position)

    async def _send(self, channel: str, message: bytes) -> None:
        place = self._place_of(channel)
        redis_channel = place.keys.client + place.keys.name(channel)
        await answer_of(place.shard, place.shard.call(redis_channel, (place.publish, redis_channel, message)))

    async def _publish_once(self, channel: str, payload: bytes, key: str) -> Reply:
        place = self._place_of(channel)
        name = place.keys.name(channel)
        args = (payload, place.keys.client + name, place.publish, _seconds(KEY_TTL))
        result = b"%b%b.%b" % (place.keys.result, name, key.encode())
        return await answer_of(place.shard, place.shard.run(scripts.PUBLISH_ONCE, (result,), args))

    async def _publish_kept(self, channel: str, payload: bytes, options: PublishOptions) -> Reply:
        place = self._place_of(channel)
        keys, history, key = place.keys, options.history, options.idempotency_key
        name = keys.name(channel)
        names = self._names_of(keys, name)
        if key:
            names.append(b"%b%b.%b" % (keys.result, name, key.encode()))
        args = (
            payload,
            history.size - 1 if self._use_lists else history.size,
            _seconds(history.ttl),
            keys.client + name,
            _seconds(history.meta_ttl),
            self._clock.new_epoch(),
            place.publish,
            _seconds(KEY_TTL) if key else b"",
            b"1" if options.delta else b"",
            max(options.version, 0),
            options.version_epoch,
        )
        script = scripts.PUBLISH_LIST if self._use_lists else scripts.PUBLISH_STREAM
        return await answer_of(place.shard, place.shard.run(script, names, args))

    # ------------------------------------------------------------- history

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        """See ``Broker.history``; the life of the epoch is extended even when the read is refused."""
        since = wanted.since
        if self._use_lists and wanted.reverse and since is not None:
            raise ClientError(NOT_AVAILABLE)
        place = self._place_of(channel)
        names = self._names_of(place.keys, place.keys.name(channel))
        script = scripts.READ_LIST if self._use_lists else scripts.READ_STREAM
        part = list_args(wanted) if self._use_lists else stream_args(wanted)
        args: tuple[str | int, ...] = (*part, _seconds(options.meta_ttl), self._clock.new_epoch())
        top, epoch, found = await answer_of(place.shard, place.shard.run(script, names, args))
        position = StreamPosition(int(top), epoch.decode())
        if since is not None and since.epoch not in ("", position.epoch):
            raise ClientError(UNRECOVERABLE_POSITION)
        publications, unread = in_list(found, position.epoch, wanted) if self._use_lists else in_stream(found)
        if unread:  # holes, which recovery finds
            log.error("publications can not be read", channel=channel[:CHANNEL_LOG_SIZE], count=unread)
        return History(publications, position)

    async def remove_history(self, channel: str) -> None:
        """See ``Broker.remove_history``."""
        place = self._place_of(channel)
        key = self._names_of(place.keys, place.keys.name(channel))[0]
        await answer_of(place.shard, place.shard.call(key, (b"DEL", key)))

    # -------------------------------------------------------------- inside

    def _names_of(self, keys: Keys, name: bytes) -> list[bytes]:
        """Of what is kept, and of its position."""
        if self._use_lists:
            return [keys.list + name, keys.list_meta + name]
        return [keys.stream + name, keys.stream_meta + name]

    def _place_of(self, channel: str) -> _Place:
        return self._places[shard_of(channel, len(self._places))]


def _seconds(ttl: float) -> int:
    """Whole seconds, as Redis is told them; 0 = for ever."""
    return math.ceil(ttl) if ttl > 0 else 0
