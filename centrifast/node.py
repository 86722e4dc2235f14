"""This server: joins hub and engine. Commands and the server API call it, the engine reports to it.

The line of a publication: ``publish`` ─▶ broker ─▶ ``on_publication`` ─▶ ``hub.broadcast`` ─▶ ``_core``.
"""

from collections.abc import Mapping, Sequence

from msgspec import Raw

from centrifast import __version__, eager, errors, log
from centrifast.api.messages import NodeInfo
from centrifast.auth.tokens import TokenVerifier
from centrifast.channels import ChannelRules
from centrifast.clock import Clock
from centrifast.config.schema import ChannelOptions, Config
from centrifast.engine.contract import NO_HISTORY, Broker, HistoryOptions, PublishOptions, PublishResult
from centrifast.errors import ClientError, DisconnectCode
from centrifast.hub import PLAIN_SUBSCRIPTION, Client, Hub, Subscription
from centrifast.limits import CONNECTION_LIMIT_LOG_INTERVAL
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.protocol.glob import Glob
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
        self._started_at = clock.monotonic()
        self._rate = RateLimit(config.client.connection_rate_limit, self._started_at)
        self._limit_logged_at = -CONNECTION_LIMIT_LOG_INTERVAL
        self._histories: dict[int, HistoryOptions] = {}

    async def start(self) -> None:
        """Connect to the engine."""
        await self._broker.start(self)

    async def close(self) -> None:
        """Let go of the engine."""
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

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        """The engine delivers: everyone subscribed here gets it."""
        for session in self.hub.broadcast(channel, to_wire(publication)):
            session.disconnect(errors.INAPPROPRIATE_PROTOCOL)

    # ------------------------------------------------------- subscriptions

    async def add_subscription(
        self,
        session: Client,
        channel: str,
        *,
        server_side: bool,
        chan_info: bytes = b"",
        expires_at: float = 0,
        from_token: bool = False,
    ) -> None:
        """Make the session a subscriber; who may is decided before."""
        if server_side or chan_info or expires_at:
            subscription = Subscription(
                server_side=server_side, chan_info=chan_info, expires_at=expires_at, from_token=from_token
            )
        else:
            subscription = PLAIN_SUBSCRIPTION
        session.subscriptions[channel] = subscription
        if self.hub.subscribe(channel, session.sink):
            await self._broker.subscribe(channel)

    def remove_subscription(self, session: Client, channel: str, *, deliver: bool) -> None:
        """Undo ``add_subscription``; with *deliver* the client still gets what came before."""
        del session.subscriptions[channel]
        if self.hub.unsubscribe(channel, session.sink, deliver=deliver):
            eager.start(self._broker.unsubscribe(channel))

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
            if expire_at and expire_at <= self.clock.unix():
                raise ClientError(errors.INTERNAL)
            if channel not in target.subscriptions:
                if len(target.subscriptions) >= self.config.client.channel_limit:
                    target.disconnect(errors.CHANNEL_LIMIT)
                    continue
                await self.add_subscription(
                    target, channel, server_side=True, chan_info=info, expires_at=expire_at
                )
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
