"""This server: joins hub and engine. Commands and the server API call it, the engine reports to it.

The line of a publication: ``publish`` ─▶ broker ─▶ ``on_publication`` ─▶ ``hub.broadcast`` ─▶ ``_core``.
"""

import asyncio
from collections.abc import Container, Mapping, Sequence

from msgspec import Raw

from centrifast import __version__, eager, errors, log
from centrifast.auth.tokens import TokenVerifier
from centrifast.channels import ChannelRules
from centrifast.clock import Clock
from centrifast.config.schema import ChannelOptions, Config
from centrifast.engine.contract import NO_HISTORY, Broker, HistoryOptions, PublishOptions, PublishResult
from centrifast.errors import ClientError, Disconnect, DisconnectCode
from centrifast.glob import Glob
from centrifast.hub import PLAIN_SUBSCRIPTION, Client, Hub, Subscription
from centrifast.limits import CONNECTION_LIMIT_LOG_INTERVAL
from centrifast.model import ClientInfo, NodeInfo, Publication, StreamPosition
from centrifast.protocol.wire import NO_DATA, Info, Pub, Push, Subscribe


class Node:
    """One node: local clients in ``hub``, everything shared in the broker."""

    def __init__(
        self, config: Config, clock: Clock, hub: Hub, broker: Broker, tokens: TokenVerifier, name: str
    ) -> None:
        self.config = config
        self.clock = clock
        self.hub = hub
        self.rules = ChannelRules(config.channel)
        self.tokens = tokens
        self.subscription_tokens = tokens
        self.name = name
        self.uid = clock.new_id()
        self._broker = broker
        self._interest = Interest(broker, hub.channels)
        self._started_at = clock.monotonic()
        self._rate = RateLimit(config.client.connection_rate_limit, self._started_at)
        self._limit_logged_at = -CONNECTION_LIMIT_LOG_INTERVAL
        self._histories: dict[int, HistoryOptions] = {}

    async def start(self) -> None:
        """Connect to the engine."""
        await self._broker.start(self)

    async def close(self) -> None:
        """Let go of the engine."""
        await self._interest.close()
        await self._broker.close()

    # --------------------------------------------------------- connections

    def admits_connection(self) -> bool:
        """Whether one more connection may open (server specification 2.5); the excess is logged once per interval."""
        now = self.clock.monotonic()
        if not self._rate.take(now):
            return False
        limit = self.config.client.connection_limit
        if limit <= 0 or len(self.hub.clients) < limit:
            return True
        if now - self._limit_logged_at >= CONNECTION_LIMIT_LOG_INTERVAL:
            self._limit_logged_at = now
            log.warn("connection limit reached", limit=limit)
        return False

    # ------------------------------------------------------------ channels

    def channel_options(self, channel: str) -> ChannelOptions:
        """Options of the channel's namespace. Raises UNKNOWN_CHANNEL."""
        return self.rules.options_of(channel)

    def check_data(self, options: ChannelOptions, data: bytes) -> bool:
        """Whether a payload has the format that the namespace demands (server specification 3.5)."""
        return self.rules.check_data(options, data)

    def _history_of(self, options: ChannelOptions) -> HistoryOptions:
        """What the broker must know of a namespace's history; made once per namespace."""
        if options.history_size <= 0 or options.history_ttl <= 0:
            return NO_HISTORY
        known = self._histories.get(id(options))  # options live as long as the configuration
        if known is None:
            meta_ttl = options.history_meta_ttl or self.config.channel.history_meta_ttl
            known = HistoryOptions(options.history_size, options.history_ttl, meta_ttl)
            self._histories[id(options)] = known
        return known

    # -------------------------------------------------------- publications

    async def publish(
        self,
        channel: str,
        data: bytes,
        *,
        history: bool = True,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str = "",
        version: int = 0,
        version_epoch: str = "",
        info: ClientInfo | None = None,
    ) -> PublishResult:
        """Hand a publication to the engine. Raises UNKNOWN_CHANNEL, or INTERNAL when the engine is away."""
        kept = self._history_of(self.rules.options_of(channel)) if history else NO_HISTORY
        try:
            return await self._broker.publish(
                channel,
                data,
                PublishOptions(
                    history=kept,
                    info=info,
                    tags=tags,
                    idempotency_key=idempotency_key,
                    version=version,
                    version_epoch=version_epoch,
                ),
            )
        except (ConnectionError, TimeoutError) as away:
            log.error("publish failed", detail=str(away))
            raise ClientError(errors.INTERNAL) from away

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        """The engine delivers: everyone subscribed here gets it."""
        for session in self.hub.broadcast(channel, to_wire(publication)):
            session.disconnect(errors.INAPPROPRIATE_PROTOCOL)

    def on_join(self, channel: str, info: ClientInfo) -> None:
        """A client has subscribed somewhere."""

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        """A client has left somewhere."""

    # ------------------------------------------------------- subscriptions

    async def prepare_subscription(self, session: Client, channel: str, subscription: Subscription) -> None:
        """Hold the channel for the session and wait until its publications come to this node.

        Who may have it is decided before. Raises Disconnect 3004 when the engine is away (client protocol 3.4).
        """
        session.subscriptions[channel] = subscription
        prepared = False
        try:
            await self._interest.hold(channel)
            prepared = True
        except (ConnectionError, TimeoutError) as away:
            log.error("subscribe failed", detail=str(away))
            raise Disconnect(errors.INTERNAL_SERVER_ERROR) from away
        finally:
            if not prepared and session.subscriptions.get(channel) is subscription:
                self.remove_subscription(session, channel, deliver=False)

    def start_subscription(self, session: Client, channel: str, subscription: Subscription) -> bool:
        """Send publications to the session from here on; False if what was prepared has been taken away since.

        To be called in the step that queues the client's answer: no publication comes before it (client
        protocol 13).
        """
        if session.subscriptions.get(channel) is not subscription:
            return False
        subscription.started = True
        if subscription.is_plain:
            session.subscriptions[channel] = PLAIN_SUBSCRIPTION
        self.hub.subscribe(channel, session.sink)
        self._interest.let_go(channel)
        return True

    def remove_subscription(self, session: Client, channel: str, *, deliver: bool) -> None:
        """End a subscription, prepared or started; with *deliver* the client still gets what came before."""
        if not session.subscriptions.pop(channel).started:
            self._interest.let_go(channel)
        elif self.hub.unsubscribe(channel, session.sink, deliver=deliver):
            self._interest.review(channel)

    # ---------------------------------------------------- the server's API

    def _targets(self, user: str, client: str, session: str) -> Sequence[Client]:
        """Sessions an API call means. No transport here has session ids, so naming one matches nothing."""
        return () if session else self.hub.sessions_of(user, client)

    async def subscribe(
        self,
        user: str,
        channel: str,
        *,
        client: str = "",
        session: str = "",
        info: bytes = b"",
        data: bytes = b"",
        expire_at: int = 0,
        override: Mapping[str, bool] | None = None,
    ) -> None:
        """Subscribe a user's connections to a channel and tell them (server specification 6.5).

        *override* changes options of features that this version does not have, so it changes nothing yet.
        """
        self.rules.options_of(channel)
        push = Push(channel=channel, subscribe=Subscribe(data=Raw(data) if data else NO_DATA))
        for target in self._targets(user, client, session):
            if target.client not in self.hub.clients:
                continue  # it went while another one was waited for (invariant 6)
            if expire_at and expire_at <= self.clock.unix():
                raise ClientError(errors.INTERNAL)
            if channel not in target.subscriptions:
                if len(target.subscriptions) >= self.config.client.channel_limit:
                    target.disconnect(errors.CHANNEL_LIMIT)
                    continue
                subscription = Subscription(server_side=True, chan_info=info, expires_at=expire_at)
                try:
                    await self.prepare_subscription(target, channel, subscription)
                except Disconnect as failed:
                    raise ClientError(errors.INTERNAL) from failed
                if not self.start_subscription(target, channel, subscription):
                    continue
                target.schedule_wake()
            target.push(push)

    async def unsubscribe(self, user: str, channel: str, *, client: str = "", session: str = "") -> None:
        """End a user's subscriptions to a channel; each client that had one is told (client protocol 13)."""
        self.rules.options_of(channel)
        for target in self._targets(user, client, session):
            if channel in target.subscriptions:
                target.unsubscribe(channel, errors.SERVER_UNSUBSCRIBE)

    async def disconnect(
        self,
        user: str,
        *,
        client: str = "",
        session: str = "",
        whitelist: Sequence[str] = (),
        disconnect: DisconnectCode,
    ) -> None:
        """End a user's connections, all but those in *whitelist*."""
        for target in self._targets(user, client, session):
            if target.client not in whitelist:
                target.disconnect(disconnect)

    async def channels(self, pattern: str) -> Mapping[str, int]:
        """Channels with subscribers whose name matches the glob, or all."""
        matches = Glob(pattern).matches if pattern else None
        return {
            name: count for name, count in self.hub.subscriber_counts() if matches is None or matches(name)
        }

    async def info(self) -> Sequence[NodeInfo]:
        """This node in numbers."""
        return [
            NodeInfo(
                uid=self.uid,
                name=self.name,
                version=__version__,
                num_clients=len(self.hub.clients),
                num_users=self.hub.user_count,
                num_subs=self.hub.subscription_count,
                num_channels=len(self.hub.channels),
                uptime=int(self.clock.monotonic() - self._started_at),
            )
        ]


class Interest:
    """Keeps what the broker sends here in step with what is wanted here.

    A channel is wanted while it is *subscribed* (the hub's channels) or held. Requests about one channel never
    overlap: while one runs, what is wanted may change any number of times; when it is done, the next one follows
    if broker and wishes still differ. A second request for the same thing is harmless.
    """

    def __init__(self, broker: Broker, subscribed: Container[str]) -> None:
        self._broker = broker
        self._subscribed = subscribed
        self._holds: dict[str, int] = {}
        self._changes: dict[str, asyncio.Task[None]] = {}

    async def hold(self, channel: str) -> None:
        """Want the channel until ``let_go``, which must follow even if this fails; returns when it is delivered."""
        self._holds[channel] = self._holds.get(channel, 0) + 1
        change = self._changes.get(channel)
        if change is None and channel not in self._subscribed:
            change = self._change(channel, delivered=False)
        if change is not None:
            await asyncio.shield(change)  # shared by all who wait for it

    def let_go(self, channel: str) -> None:
        """Undo one ``hold``."""
        left = self._holds.pop(channel) - 1
        if left:
            self._holds[channel] = left
        self.review(channel)

    def review(self, channel: str) -> None:
        """Tell the broker if nobody wants the channel any more."""
        if channel not in self._changes and not self._is_wanted(channel):
            self._change(channel, delivered=True)

    async def close(self) -> None:
        """Stop asking."""
        changes = tuple(self._changes.values())
        for change in changes:
            change.cancel()
        if changes:
            await asyncio.wait(changes)

    def _is_wanted(self, channel: str) -> bool:
        return channel in self._subscribed or channel in self._holds

    def _change(self, channel: str, *, delivered: bool) -> "asyncio.Task[None] | None":
        """Ask the broker at once; the task is kept here if that takes time."""
        change = eager.start(self._follow(channel, delivered))
        if change is not None:
            self._changes[channel] = change
        return change

    async def _follow(self, channel: str, delivered: bool) -> None:
        """Ask until what is *delivered* is what is wanted. Raises what ``Broker.subscribe`` raises."""
        try:
            while delivered != self._is_wanted(channel):
                if delivered:
                    await self._unsubscribe(channel)
                else:
                    await self._subscribe(channel)
                delivered = not delivered
        finally:
            self._changes.pop(channel, None)  # before anybody who waits for it goes on

    async def _subscribe(self, channel: str) -> None:
        """A request that failed may have been served: it is taken back, here or when those who want it let go."""
        try:
            await self._broker.subscribe(channel)
        except (ConnectionError, TimeoutError):
            if self._is_wanted(channel):
                raise

    async def _unsubscribe(self, channel: str) -> None:
        try:
            await self._broker.unsubscribe(channel)
        except (ConnectionError, TimeoutError) as away:  # what still comes finds nobody
            log.error("unsubscribe failed", detail=str(away))


class RateLimit:
    """Token bucket: *rate* a second, as many at once; 0 = no limit (server specification 2.5, decision)."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed at *now*, in seconds."""
        if self._rate <= 0:
            return True
        self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def to_wire(publication: Publication) -> Pub:
    """A publication as clients see it."""
    info = publication.info
    return Pub(
        data=Raw(publication.data),
        info=None if info is None else client_info_to_wire(info),
        offset=publication.offset,
        tags=publication.tags or None,
        epoch=publication.epoch if publication.offset == 1 else "",
    )


def client_info_to_wire(info: ClientInfo) -> Info:
    """Client info as clients see it."""
    return Info(
        user=info.user,
        client=info.client,
        conn_info=Raw(info.conn_info) if info.conn_info else NO_DATA,
        chan_info=Raw(info.chan_info) if info.chan_info else NO_DATA,
    )
