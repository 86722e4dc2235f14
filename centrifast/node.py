"""This server: joins hub and engine. Commands and the server API call it.

The line of a publication: ``publish`` ─▶ broker ─▶ ``subscriptions.on_publication`` ─▶ ``delivery`` ─▶ ``_core``.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from centrifast import __version__, errors, log
from centrifast._framing import Variant
from centrifast.admission import Admission
from centrifast.auth.tokens import TokenVerifier
from centrifast.background import Background
from centrifast.channels import ChannelRules
from centrifast.clock import Clock
from centrifast.config.schema import ChannelOptions, Config
from centrifast.control import Control
from centrifast.delivery import Deliverer
from centrifast.engine.contract import (
    NO_HISTORY,
    Engine,
    History,
    HistoryFilter,
    PublishOptions,
    PublishResult,
)
from centrifast.errors import ClientError
from centrifast.history_options import HistoryRules
from centrifast.hub import Hub
from centrifast.metrics.aggregate import Aggregate
from centrifast.metrics.collector import Collector, Population
from centrifast.metrics.metrics import Metrics
from centrifast.model import NO_METRICS, ClientInfo, NodeInfo, PresenceStats, StreamPosition
from centrifast.positions import Losses, PositionWatch
from centrifast.protocol.codec import Codec
from centrifast.recovered_cache import RecoveredCache
from centrifast.slow_clients import stats_of
from centrifast.subscriptions import Subscriptions


class Node:
    """One node: local clients in ``hub``, what they hold in ``subscriptions``, everything shared in the engine."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        hub: Hub,
        codecs: Mapping[Variant, Codec],
        engine: Engine,
        tokens: tuple[TokenVerifier, TokenVerifier],
        name: str,
    ) -> None:
        """Join the parts; *tokens* are the verifiers of connection and of subscription tokens."""
        self.config = config
        self.clock = clock
        self.hub = hub
        self.rules = ChannelRules(config.channel)
        self.histories = HistoryRules(config.channel)
        self.tokens, self.subscription_tokens = tokens
        self.name = name
        self.uid = clock.new_id()
        self.metrics = Metrics(recovered_publications=config.prometheus.recovered_publications_histogram)
        self.collector = Collector(self.metrics, codecs, hub.drain, self._population, clock)
        self.snapshot = partial(self.collector.snapshot, self.uid, name)
        interval = config.node.info_metrics_aggregate_interval
        self._aggregate = Aggregate(self.collector.collect, clock, interval)
        self.own_stats = partial(stats_of, self.snapshot, hub.clients)
        self.admission = Admission(config.client, clock, hub, self.metrics.connection_limit)
        self._broker, self._presence, self._stores = engine.broker, engine.presence, engine.stores
        self._background = Background()
        self._losses = Losses(clock)
        self._watch = PositionWatch(
            clock, hub.channels, self._losses, self._read_top, config.client.channel_position_check_delay
        )
        self.subscriptions = self._make_subscriptions(engine, codecs)
        self.control = control = Control(self, engine.controller, engine.siblings)
        self.subscribe, self.unsubscribe = control.subscribe, control.unsubscribe
        self.disconnect, self.refresh = control.disconnect, control.refresh
        self.channels, self.info, self.stats = control.channels, control.info, control.stats
        self.taps, self.open_taps = self.subscriptions.taps, self.subscriptions.taps.open
        self.recovered = RecoveredCache()
        self._started_at = clock.monotonic()

    def _make_subscriptions(self, engine: Engine, codecs: Mapping[Variant, Codec]) -> Subscriptions:
        client, filtered = self.config.client, self.metrics.filtered
        return Subscriptions(
            self.hub,
            engine,
            Deliverer(codecs, self.clock, client.channel_position_max_time_lag, filtered),
            self._losses,
            self._watch,
            self._background,
            self.clock,
            recovery_limit=client.recovery_max_publication_limit,
            metrics=self.metrics,
        )

    async def start(self) -> None:
        """Connect to the engine."""
        for store in self._stores:
            await store.start(self.metrics)
        await self._presence.start()
        await self._broker.start(self.subscriptions)
        await self.control.start()
        self._watch.start()
        self._aggregate.start()

    async def close(self) -> None:
        """Let go of the engine."""
        self._aggregate.close()
        await self._watch.close()
        self._losses.close()
        await self.subscriptions.close()
        await self._background.close()
        await self.control.close()
        await self._broker.close()
        await self._presence.close()
        for store in self._stores:
            await store.close()

    def stores_away(self) -> Sequence[str]:
        """The names of servers that the engine needs and can not use now."""
        return [store.name for store in self._stores if not store.is_usable]

    # ------------------------------------------------------------ channels

    def channel_options(self, channel: str) -> ChannelOptions:
        """Options of the channel's namespace. Raises UNKNOWN_CHANNEL."""
        return self.rules.options_of(channel)

    def check_data(self, options: ChannelOptions, data: bytes) -> bool:
        """Whether a payload has the format that the namespace demands (server specification 3.5)."""
        return self.rules.check_data(options, data)

    # ------------------------------------------- publications and presence

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
        delta: bool = False,
        info: ClientInfo | None = None,
    ) -> PublishResult:
        """Hand a publication to the engine. Raises UNKNOWN_CHANNEL, or INTERNAL when the engine is away."""
        options = self.rules.options_of(channel)
        self.metrics.sent["publication"].add()
        try:
            result = await self._broker.publish(
                channel,
                data,
                PublishOptions(
                    history=self.histories.of(options) if history else NO_HISTORY,
                    info=info,
                    tags=tags,
                    idempotency_key=idempotency_key,
                    version=version,
                    version_epoch=version_epoch,
                    delta=delta or options.delta_publish,
                ),
            )
        except (ConnectionError, TimeoutError) as away:
            raise engine_failed("publish", away) from away
        if result.suppressed:
            self.metrics.suppressed.of(result.reason).add()
        return result

    async def history(self, channel: str, wanted: HistoryFilter) -> History:
        """Read a part of the stream.

        Raises UNKNOWN_CHANNEL, NOT_AVAILABLE without history, BAD_REQUEST for ``reverse`` from offset 0 (nothing is
        below it), UNRECOVERABLE_POSITION for another epoch, INTERNAL when the engine is away.
        """
        kept = self.histories.of(self.rules.options_of(channel))
        if kept is NO_HISTORY:
            raise ClientError(errors.NOT_AVAILABLE)
        if wanted.reverse and wanted.since is not None and not wanted.since.offset:
            raise ClientError(errors.BAD_REQUEST)
        self.metrics.actions["history"].add()
        try:
            return await self._broker.history(channel, wanted, kept)
        except (ConnectionError, TimeoutError) as away:
            raise engine_failed("history", away) from away

    async def remove_history(self, channel: str) -> None:
        """Drop the publications; the position stays. Raises like ``history``."""
        if self.histories.of(self.rules.options_of(channel)) is NO_HISTORY:
            raise ClientError(errors.NOT_AVAILABLE)
        self.metrics.actions["history_remove"].add()
        try:
            await self._broker.remove_history(channel)
        except (ConnectionError, TimeoutError) as away:
            raise engine_failed("history removal", away) from away

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """Who is subscribed, by client id. Raises UNKNOWN_CHANNEL, NOT_AVAILABLE without presence, INTERNAL."""
        if not self.rules.options_of(channel).presence:
            raise ClientError(errors.NOT_AVAILABLE)
        self.metrics.actions["presence"].add()
        try:
            return await self._presence.presence(channel)
        except (ConnectionError, TimeoutError) as away:
            raise engine_failed("presence", away) from away

    async def presence_stats(self, channel: str) -> PresenceStats:
        """How many are subscribed. Raises like ``presence``."""
        if not self.rules.options_of(channel).presence:
            raise ClientError(errors.NOT_AVAILABLE)
        self.metrics.actions["presence_stats"].add()
        try:
            return await self._presence.stats(channel)
        except (ConnectionError, TimeoutError) as away:
            raise engine_failed("presence stats", away) from away

    async def _read_top(self, channel: str) -> StreamPosition:
        """Where the stream is, for a channel with positioned subscribers. Raises ClientError if nothing is kept of it.

        A reload may have taken history, or the whole namespace, from a channel whose subscribers stay.
        """
        kept = self.histories.of(self.rules.options_of(channel))
        if kept is NO_HISTORY:
            raise ClientError(errors.NOT_AVAILABLE)
        self.metrics.actions["history_stream_top"].add()
        return (await self._broker.history(channel, HistoryFilter(), kept)).position

    def _population(self) -> Population:
        return replace(self.hub.population(), nodes=1 + self.control.other_nodes)

    def describe(self, *, metrics: bool = True) -> NodeInfo:
        """This node in numbers; what it counts is left out if that is not wanted."""
        return NodeInfo(
            uid=self.uid,
            name=self.name,
            version=__version__,
            num_clients=len(self.hub.clients),
            num_users=self.hub.user_count,
            num_subs=self.hub.subscription_count,
            num_channels=len(self.hub.channels),
            uptime=int(self.clock.monotonic() - self._started_at),
            metrics=self._aggregate.report() if metrics else NO_METRICS,
        )


def engine_failed(what: str, away: Exception) -> ClientError:
    """The engine could not be reached: worth a line in the log, and a retry."""
    log.error("engine is away", request=what, error=str(away))
    return ClientError(errors.INTERNAL)
