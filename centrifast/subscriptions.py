"""Makes and ends the subscriptions of local clients, and gives them what the engine delivers.

The order that loses nothing (client protocol 6.4):

    prepare   begin to buffer ─▶ want the channel from the broker ─▶ presence ─▶ read history     may wait
    start     merge what was read with what came by ─▶ join the channel                           never waits

``start`` is called in the step that queues the client's answer, so no publication comes before it and none is missed.
The line of a publication: broker ─▶ ``on_publication`` ─▶ ``delivery`` ─▶ ``Subscribers.broadcast`` ─▶ socket.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from centrifast import log
from centrifast._channel import Channel
from centrifast._metrics import now
from centrifast.background import Background
from centrifast.catch_up import CatchUp, CatchUps
from centrifast.clock import Clock
from centrifast.delivery import Deliverer, Delivery, Outcome
from centrifast.engine.contract import (
    NO_HISTORY,
    Engine,
    History,
    HistoryFilter,
    HistoryOptions,
)
from centrifast.errors import (
    INSUFFICIENT_STATE,
    INTERNAL_SERVER_ERROR,
    UNRECOVERABLE_POSITION,
    ClientError,
    Disconnect,
)
from centrifast.hub import Client, Hub, Subscription
from centrifast.interest import Interest
from centrifast.metrics.metrics import Metrics
from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.positions import Losses, PositionWatch, lose_all
from centrifast.protocol.forms import info_to_wire
from centrifast.protocol.wire import Join, Leave, Push
from centrifast.recovery import HoleError, Recovery, only_position, recover_cache, recover_stream
from centrifast.taps import Taps


class Resume(Struct, frozen=True):
    """Where a client wants to go on. *newest_only* is the cache mode; *or_fail*: without recovery no subscription."""

    position: StreamPosition = NO_POSITION
    newest_only: bool = False
    or_fail: bool = False


class Preparation:
    """What has been found out for a subscription that has not started."""

    __slots__ = ("catch_up", "history", "resume", "start")

    def __init__(self, resume: Resume | None, catch_up: CatchUp | None) -> None:
        self.resume = resume
        self.catch_up = catch_up
        self.history: History | None = None
        self.start = 0


NOTHING_RECOVERED = Recovery(NO_POSITION)


class Subscriptions:
    """The subscriptions of this node; ``contract.BrokerEvents``. *recovery_limit* in publications."""

    def __init__(
        self,
        hub: Hub,
        engine: Engine,
        deliverer: Deliverer,
        losses: Losses,
        watch: PositionWatch,
        background: Background,
        clock: Clock,
        *,
        recovery_limit: int,
        metrics: Metrics | None = None,
    ) -> None:
        self._hub = hub
        self._broker, self._presence = engine.broker, engine.presence
        self._deliverer = deliverer
        self._losses = losses
        self._watch = watch
        self._background = background
        self._recovery_limit = recovery_limit
        self.metrics = metrics = metrics or Metrics()
        delay = engine.unsubscribe_delay
        self._interest = Interest(engine.broker, hub.channels, clock, metrics, delay=delay)
        self._received = metrics.received["publication"]
        self._broadcasts = metrics.broadcasts["publication"]
        self._catch_ups = CatchUps()
        self._end_is_near = False
        self.taps = Taps(hub, self._interest, background, clock)
        self._open_taps = self.taps.open

    def expect_end(self) -> None:
        """All clients of this node are about to be disconnected: from here on none is told who comes and goes.

        In a channel of 50,000 that is some 260 GB less to write.
        """
        self._end_is_near = True

    async def close(self) -> None:
        """Stop asking the broker."""
        await self._interest.close()
        await self._catch_ups.close()

    # -------------------------------------------------------------- making

    async def prepare(
        self,
        session: Client,
        channel: str,
        subscription: Subscription,
        history: HistoryOptions = NO_HISTORY,
        resume: Resume | None = None,
    ) -> None:
        """Hold the channel for the session, and find out all that must be known to start.

        Who may have it is decided before. Raises Disconnect 3004 when the engine is away (client protocol 3.4).
        If the session lets go meanwhile, ``start`` says so.
        """
        catch_up = self._catch_ups.begin(channel) if subscription.delivery.positioned else None
        subscription.preparation = preparation = Preparation(resume, catch_up)
        session.subscriptions[channel] = subscription
        prepared = False
        try:
            await self._interest.hold(channel)
            if subscription.presence and self._is_held(session, channel, subscription):
                await self._add_presence(session, channel)
            if catch_up is not None:
                preparation.history, preparation.start = await catch_up.read(
                    self._wanted(resume, subscription.delivery),
                    lambda wanted: self._read_history(channel, wanted, history, resume),
                )
            prepared = True
        except (ConnectionError, TimeoutError) as away:
            log.error("subscribe failed", error=str(away))
            raise Disconnect(INTERNAL_SERVER_ERROR) from away
        finally:
            if not prepared and self._is_held(session, channel, subscription):
                self.remove(session, channel, deliver=False)

    def start(self, session: Client, channel: str, subscription: Subscription) -> Recovery | None:
        """Make the session a subscriber; None if what was prepared has been taken away since.

        Raises ClientError UNRECOVERABLE_POSITION if that was asked for, Disconnect 3010 if something is missing.
        """
        if not self._is_held(session, channel, subscription):
            return None
        preparation = subscription.preparation
        assert isinstance(preparation, Preparation), "started twice"
        try:
            recovery, delivery = self._settle_position(channel, subscription, preparation)
        except HoleError as hole:
            self.remove(session, channel, deliver=False)
            raise Disconnect(INSUFFICIENT_STATE) from hole
        except ClientError:
            self.remove(session, channel, deliver=False)
            raise
        core = self._hub.open_channel(channel)
        if delivery.in_step:
            core.place(recovery.position.offset, recovery.position.epoch)
            self._watch.watch(core)
        self._hub.subscribe(core, session.sink, delivery)
        self._release(channel, subscription)
        subscription.started = True
        session.subscriptions[channel] = subscription.shared()
        session.meter.subscriptions.add()
        self.metrics.actions["add_subscription"].add()
        if preparation.resume is not None:
            self.metrics.recovery_ended(len(recovery.publications), recovered=recovery.recovered)
        return recovery

    def deliver_pending(self, session: Client, channel: str) -> bool:
        """Let what was published so far reach a subscriber before whatever it is sent next; False if it is lost."""
        core = self._hub.channels[channel]
        group: Delivery = core.group_of(session.sink)
        core.leave(session.sink)
        core.join(session.sink, group)
        return not group.is_lost

    def announce(self, session: Client, channel: str) -> None:
        """Tell others that the session has come; to be called when its answer is queued."""
        subscription = session.subscriptions.get(channel)
        if subscription is not None and subscription.announced:
            self.metrics.sent["join"].add()
            self._background.run("join failed", self._broker.publish_join(channel, session.info(channel)))

    def remove(self, session: Client, channel: str, *, deliver: bool) -> None:
        """End a subscription, prepared or started; with *deliver* the client still gets what came before.

        The leaving client does not see its own leave.
        """
        subscription = session.subscriptions[channel]
        info = session.info(channel) if subscription.announced else None
        del session.subscriptions[channel]
        if not subscription.started:
            self._release(channel, subscription)
        else:
            self.metrics.actions["remove_subscription"].add()
            session.meter.subscriptions.add(-1)
            if self._hub.unsubscribe(channel, session.sink, deliver=deliver):
                self._interest.review(channel)
        if subscription.presence:
            self._forget_presence(session, channel)
        if info is not None and subscription.started:
            self.metrics.sent["leave"].add()
            self._background.run("leave failed", self._broker.publish_leave(channel, info))

    def refresh_presence(self, session: Client) -> None:
        """Keep the session's presence entries alive, with what is known of it."""
        for channel, subscription in session.subscriptions.items():
            if subscription.presence and subscription.started:
                self._background.run("presence refresh failed", self._add_presence(session, channel))

    # ------------------------------------------------ called by the engine

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        """Everyone subscribed here gets it, and those who are about to be."""
        self._catch_ups.on_publication(channel, publication, position)
        self._received.add()
        if publication.time_ms:
            self.metrics.lag.observe_age(publication.time_ms)
        core = self._hub.channels.get(channel)
        if core is not None:
            started = now()
            self._act_on(core, self._deliverer.publish(core, publication, position, previous))
            self._broadcasts.observe_since(started)
        if self._open_taps:
            self.taps.on_publication(channel, publication, position)

    def on_join(self, channel: str, info: ClientInfo) -> None:
        """Those who want to know are told."""
        self._tell(channel, Push(channel=channel, join=Join(info_to_wire(info))), "join")
        if self._open_taps:
            self.taps.on_member(channel, info, joined=True)

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        """Those who want to know are told."""
        self._tell(channel, Push(channel=channel, leave=Leave(info_to_wire(info))), "leave")
        if self._open_taps:
            self.taps.on_member(channel, info, joined=False)

    def on_interrupted(self, channels: Sequence[str]) -> None:
        """Whoever missed something is found soon; the others, who are promised nothing, are not told."""
        self._watch.check_soon(channels)

    def on_rewound(self, channel: str) -> None:
        """Offsets do not show what is missing any more: all who follow the stream are told."""
        self._catch_ups.on_rewound(channel)
        core = self._hub.channels.get(channel)
        if core is not None:
            lose_all(core)
            self._losses.add(core, at_once=True)

    def _tell(self, channel: str, push: Push, kind: str) -> None:
        self.metrics.received[kind].add()
        core = self._hub.channels.get(channel)
        if core is not None and not self._end_is_near:
            started = now()
            self._act_on(core, self._deliverer.push(core, push))
            self.metrics.broadcasts[kind].observe_since(started)

    def _act_on(self, core: Channel, outcome: Outcome) -> None:
        if outcome.lost:
            self._losses.add(core, at_once=outcome.refused)

    # -------------------------------------------------------------- inside

    def _is_held(self, session: Client, channel: str, subscription: Subscription) -> bool:
        return session.subscriptions.get(channel) is subscription

    async def _add_presence(self, session: Client, channel: str) -> None:
        self.metrics.actions["add_presence"].add()
        await self._presence.add(channel, session.info(channel))
        if channel not in session.subscriptions:  # let go meanwhile: this may have been overtaken
            self._forget_presence(session, channel)

    def _forget_presence(self, session: Client, channel: str) -> None:
        self._background.run("presence removal failed", self._remove_presence(session, channel))

    async def _remove_presence(self, session: Client, channel: str) -> None:
        self.metrics.actions["remove_presence"].add()
        await self._presence.remove(channel, session.client, session.user)
        subscription = session.subscriptions.get(channel)
        if subscription is not None and subscription.presence:
            # It has come back meanwhile, and this may have been overtaken.
            await self._add_presence(session, channel)

    def _read_history(
        self, channel: str, wanted: HistoryFilter, options: HistoryOptions, resume: Resume | None
    ) -> Coroutine[Any, Any, History]:
        """What ``CatchUp.read`` asks for; those who read together are one."""
        newest_only = resume is not None and resume.newest_only
        kind = "stream_top" if resume is None else "recover_cache" if newest_only else "recover"
        self.metrics.actions[f"history_{kind}"].add()
        return self._broker.history(channel, wanted, options)

    def _wanted(self, resume: Resume | None, delivery: Delivery) -> HistoryFilter:
        """What is read: the position at least. The epoch is compared here, so that a new one comes with its top."""
        if resume is None:
            return HistoryFilter()
        limit = self._recovery_limit or -1
        if resume.newest_only:
            return HistoryFilter(limit=1 if delivery.filter is None else limit, reverse=True)
        return HistoryFilter(limit=limit, since=StreamPosition(resume.position.offset))

    def _settle_position(
        self, channel: str, subscription: Subscription, preparation: Preparation
    ) -> tuple[Recovery, Delivery]:
        """Where the subscription stands, what it has missed, and the group it joins. Raises HoleError."""
        delivery, history = subscription.delivery, preparation.history
        if preparation.catch_up is None or history is None:
            return NOTHING_RECOVERED, delivery
        if preparation.catch_up.is_useless:
            raise HoleError
        recovery = merge(preparation.resume, history, preparation, delivery)
        if preparation.resume is not None and preparation.resume.or_fail and not recovery.recovered:
            raise ClientError(UNRECOVERABLE_POSITION)
        delivery = self._group_at(channel, delivery, recovery.position)
        if delivery.delta and recovery.publications:
            delivery = replace(delivery, has_base=True)
        return recovery, delivery

    def _group_at(self, channel: str, delivery: Delivery, position: StreamPosition) -> Delivery:
        """The group in which a subscriber joins who knows the stream up to *position*. Raises HoleError.

        The channel is behind when the engine's history is ahead of its PUB/SUB, and in front when a publication
        came from a store of which history shows an old state.
        """
        core = self._hub.channels.get(channel)
        if core is None or not any(
            array.group.positioned and not array.group.is_lost for array in core.arrays
        ):
            return delivery  # nobody depends on what the channel knew
        if core.epoch != position.epoch:
            lose_all(core)  # the stream has begun anew, and they do not know it yet
            self._losses.add(core)
            return delivery
        if position.offset < core.offset:
            raise HoleError
        return delivery if position.offset == core.offset else replace(delivery, ahead=position.offset)

    def _release(self, channel: str, subscription: Subscription) -> None:
        """Let go of what a subscription holds while it is prepared."""
        preparation = subscription.preparation
        if isinstance(preparation, Preparation) and preparation.catch_up is not None:
            self._catch_ups.end(channel, preparation.catch_up)
        subscription.preparation = None
        self._interest.let_go(channel)


def merge(resume: Resume | None, history: History, preparation: Preparation, delivery: Delivery) -> Recovery:
    """Bring together what was asked, what was read and what came by. Raises HoleError."""
    assert preparation.catch_up is not None
    buffered = preparation.catch_up.since(preparation.start)
    if resume is None:
        return only_position(history, buffered)
    recover = recover_cache if resume.newest_only else recover_stream
    return recover(resume.position, history, buffered, delivery.filter)
