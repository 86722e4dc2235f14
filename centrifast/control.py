"""What the server API asks of clients, wherever they are connected: of those here, and of all others by calls.

Every node carries out the same call for its own clients. It is done here first and then asked of the others, so a
failure on the way there never undoes what happened here (server specification 14, decision 30).

Most calls concern all nodes (``Controller``); what is a matter of one server goes to its own processes (``Siblings``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from msgspec import Raw

from centrifast import errors, log
from centrifast._channel import Channel
from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.calls import (
    ChannelsCall,
    CountCall,
    DisconnectCall,
    InfoCall,
    Instruction,
    MetricsCall,
    NodeQuestion,
    Question,
    RefreshCall,
    StatsCall,
    SubscribeCall,
    Target,
    UnsubscribeCall,
)
from centrifast.engine.contract import Controller, Siblings
from centrifast.errors import ClientError, Disconnect, DisconnectCode, UnsubscribeCode
from centrifast.glob import Glob, GlobError
from centrifast.hub import Client, Subscription
from centrifast.limits import CLIENTS_AT_ONCE
from centrifast.metrics import summing
from centrifast.metrics.collector import Collected
from centrifast.metrics.snapshot import NodeStats
from centrifast.model import NodeInfo, StreamPosition
from centrifast.protocol.forms import to_wire
from centrifast.protocol.wire import NO_DATA, Push, Subscribe
from centrifast.subscription_rules import make_subscription, override_of, resume_of

if TYPE_CHECKING:
    from centrifast.node import Node

T_co = TypeVar("T_co", covariant=True)


class Control:
    """Calls of the server API that concern clients; ``contract.NodeCalls``."""

    def __init__(self, node: "Node", controller: Controller, siblings: Siblings) -> None:
        self._node = node
        self.metrics = node.metrics
        self.describe = node.describe
        self._controller = controller
        self._siblings = siblings
        self._carry_out: Mapping[type, Callable[[Any], Awaitable[None]]] = {
            SubscribeCall: self._subscribe_all,
            UnsubscribeCall: self._unsubscribe_all,
            DisconnectCall: self._disconnect_all,
            RefreshCall: self._refresh_all,
        }
        self._answer: Mapping[type, Callable[[Any], Awaitable[Any]]] = {
            ChannelsCall: self._channels_here,
            InfoCall: self._info_here,
            StatsCall: self._stats_here,
            MetricsCall: self._metrics_here,
            CountCall: self._count_here,
        }

    async def start(self) -> None:
        """Carry out what others ask for from here on."""
        await self._controller.start(self)
        await self._siblings.start(self)

    async def close(self) -> None:
        """Carry out nothing more."""
        await self._controller.close()
        await self._siblings.close()

    @property
    def other_nodes(self) -> int:
        """How many nodes are known beside this one."""
        return self._controller.other_nodes

    # ------------------------------------------------------------- the calls

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
        override: SubscriptionOverride = NO_OVERRIDE,
        recover_since: StreamPosition | None = None,
    ) -> None:
        """Subscribe a user's connections to a channel and tell them (server specification 6.5).

        What they missed since *recover_since*, if that can be said, follows as ordinary publications. Raises
        UNKNOWN_CHANNEL, INTERNAL.
        """
        options = self._node.channel_options(channel)
        call = SubscribeCall(
            user=user,
            channel=channel,
            client=client,
            session=session,
            info=info,
            data=data,
            expire_at=expire_at,
            override=override_of(options, override),
            recover_since=recover_since,
        )
        await self._tell_all(call)

    async def unsubscribe(self, user: str, channel: str, *, client: str = "", session: str = "") -> None:
        """End a user's subscriptions to a channel; each client that had one is told (client protocol 13).

        Raises UNKNOWN_CHANNEL, INTERNAL.
        """
        self._node.channel_options(channel)
        code, reason = errors.SERVER_UNSUBSCRIBE.code, errors.SERVER_UNSUBSCRIBE.reason
        call = UnsubscribeCall(
            user=user, channel=channel, client=client, session=session, code=code, reason=reason
        )
        await self._tell_all(call)

    async def disconnect(
        self,
        user: str,
        *,
        client: str = "",
        session: str = "",
        whitelist: Sequence[str] = (),
        disconnect: DisconnectCode,
    ) -> None:
        """End a user's connections, all but those in *whitelist*. Raises INTERNAL."""
        code, reason = disconnect.code, disconnect.reason
        call = DisconnectCall(
            user=user, client=client, session=session, whitelist=whitelist, code=code, reason=reason
        )
        await self._tell_all(call)

    async def refresh(
        self,
        user: str,
        *,
        client: str = "",
        session: str = "",
        expired: bool = False,
        expire_at: int = 0,
        info: bytes = b"",
    ) -> None:
        """Give a user's connections another expiration and tell them, or end them (server specification 6.5).

        Raises INTERNAL.
        """
        call = RefreshCall(
            user=user, client=client, session=session, expired=expired, expire_at=expire_at, info=info
        )
        await self._tell_all(call)

    async def channels(self, pattern: str) -> Mapping[str, int]:
        """Subscribers by channel, of all channels whose name matches the glob. Raises ``GlobError``, INTERNAL."""
        call = ChannelsCall(pattern)
        counts = await self._channels_here(call)
        for found in await self._ask_others(call):
            for name, count in found.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    async def info(self) -> Sequence[NodeInfo]:
        """Every node in numbers. Raises INTERNAL."""
        return [self._node.describe(), *await self._ask_others(InfoCall())]

    async def stats(self, slow: int) -> Sequence[NodeStats]:
        """Every process in numbers, each with its *slow* slowest clients. Raises INTERNAL."""
        call = StatsCall(slow)
        return [await self._stats_here(call), *await self._ask_others(call)]

    async def metrics_of_all(self) -> Sequence[Collected]:
        """The metrics of all processes of this server as one. Raises INTERNAL."""
        own = self._node.collector.collect()
        others = await self._ask_siblings(MetricsCall())
        return summing.summed([own, *map(summing.decode, others)])

    async def count_elsewhere(self, user: str) -> int:
        """Connections of a user to other processes of this server. Raises INTERNAL."""
        return sum(await self._ask_siblings(CountCall(user)))

    # ------------------------------------------- called by the controller

    async def on_instruction(self, call: Instruction) -> None:
        """Carry out for the clients here what another node was asked for. Raises ``ClientError``."""
        try:
            await self._carry_out[type(call)](call)
        except ClientError:
            raise
        except Exception as bug:  # noqa: BLE001 - the boundary where a bug costs one call, not the link to all others
            _log_bug(call.name, bug)

    async def on_question(self, call: Question[T_co]) -> T_co:
        """Answer for this node alone. Raises ``ClientError``: BAD_REQUEST for a pattern that is none, INTERNAL."""
        try:
            answer: T_co = await self._answer[type(call)](call)
        except ClientError:
            raise
        except GlobError as malformed:
            raise ClientError(errors.BAD_REQUEST) from malformed
        except Exception as bug:  # noqa: BLE001 - the same
            _log_bug(call.name, bug)
        return answer

    # -------------------------------------------------------- to the others

    async def _tell_all(self, call: Instruction) -> None:
        """Carry out a call here and everywhere else; the first failure is raised when all is done."""
        failure: ClientError | None = None
        try:
            await self._carry_out[type(call)](call)
        except ClientError as failed:
            failure = failed
        try:
            await self._controller.tell(call)
        except ClientError as failed:
            failure = failure or failed
        except (ConnectionError, TimeoutError) as away:
            _others_away(call.name, away)
        if failure is not None:
            raise failure

    async def _ask_others(self, call: NodeQuestion[T_co]) -> Sequence[T_co]:
        """What the others answer. Raises INTERNAL when they can not be reached."""
        try:
            return await self._controller.ask(call)
        except (ConnectionError, TimeoutError) as away:
            _others_away(call.name, away)

    async def _ask_siblings(self, call: Question[T_co]) -> Sequence[T_co]:
        """The same of the other processes of this server."""
        try:
            return await self._siblings.ask(call)
        except (ConnectionError, TimeoutError) as away:
            _others_away(call.name, away)

    # ----------------------------------------------------- for clients here

    def _targets(self, call: Target) -> Sequence[Client]:
        """Sessions a call means. No transport here has session ids, so naming one matches nothing."""
        hub = self._node.hub
        if call.session:
            return ()
        if call.all_users:
            return [client for client in hub.clients.values() if call.client in ("", client.client)]
        return hub.sessions_of(call.user, call.client)

    async def _subscribe_all(self, call: SubscribeCall) -> None:
        node, channel = self._node, call.channel
        options = node.channel_options(channel)
        for number, target in enumerate(self._targets(call)):
            await turn_after(number)
            if target.client not in node.hub.clients:
                continue  # it went while another one was waited for (invariant 6)
            if call.expire_at and call.expire_at <= node.clock.unix():
                raise ClientError(errors.INTERNAL)
            held = target.subscriptions.get(channel)
            if held is not None:
                # One that has not started is told when it does, one that is lost of that.
                if held.started and node.subscriptions.deliver_pending(target, channel):
                    target.push(subscribe_push(channel, call.data, held, node.hub.channels.get(channel)))
                continue
            if len(target.subscriptions) >= node.config.client.channel_limit:
                target.disconnect(errors.CHANNEL_LIMIT)
                continue
            subscription = make_subscription(
                options, call.override, server_side=True, chan_info=call.info, expires_at=call.expire_at
            )
            await self._subscribe(target, subscription, call)

    async def _subscribe(self, target: Client, subscription: Subscription, call: SubscribeCall) -> None:
        """Subscribe one connection and tell it. Raises INTERNAL when the engine is away."""
        node, channel, since = self._node, call.channel, call.recover_since
        options = node.channel_options(channel)
        history, resume = node.histories.of(options), resume_of(options, subscription, since)
        try:
            await node.subscriptions.prepare(target, channel, subscription, history, resume)
            recovery = node.subscriptions.start(target, channel, subscription)
        except Disconnect as failed:
            raise ClientError(errors.INTERNAL) from failed
        if recovery is None:
            return
        target.schedule_wake()
        offset = since.offset if since is not None and recovery.recovered else recovery.position.offset
        target.push(
            Push(
                channel=channel,
                subscribe=Subscribe(
                    recoverable=subscription.recoverable,
                    epoch=recovery.position.epoch,
                    offset=offset,
                    positioned=subscription.delivery.positioned,
                    data=Raw(call.data) if call.data else NO_DATA,
                ),
            )
        )
        for publication in recovery.publications:
            target.push(Push(channel=channel, pub=to_wire(publication)))
        node.subscriptions.announce(target, channel)

    async def _unsubscribe_all(self, call: UnsubscribeCall) -> None:
        reason = UnsubscribeCode(call.code, call.reason)
        for number, target in enumerate(self._targets(call)):
            await turn_after(number)
            if call.channel in target.subscriptions:
                target.unsubscribe(call.channel, reason)

    async def _disconnect_all(self, call: DisconnectCall) -> None:
        spared = frozenset(call.whitelist)
        disconnect = DisconnectCode(call.code, call.reason)
        for number, target in enumerate(self._targets(call)):
            await turn_after(number)
            if target.client not in spared:
                target.disconnect(disconnect)

    async def _refresh_all(self, call: RefreshCall) -> None:
        for number, target in enumerate(self._targets(call)):
            await turn_after(number)
            if call.expired or (call.expire_at and call.expire_at <= self._node.clock.unix()):
                target.disconnect(errors.CONNECTION_EXPIRED)
            else:
                target.refresh(call.expire_at, call.info if call.expire_at else b"")

    async def _channels_here(self, call: ChannelsCall) -> dict[str, int]:
        matches = Glob(call.pattern).matches if call.pattern else None
        return {
            name: count
            for name, count in self._node.hub.subscriber_counts()
            if matches is None or matches(name)
        }

    async def _info_here(self, _: InfoCall) -> NodeInfo:
        return self._node.describe()

    async def _metrics_here(self, _: MetricsCall) -> Raw:
        return Raw(summing.encode(self._node.collector.collect()))

    async def _count_here(self, call: CountCall) -> int:
        return self._node.hub.count_of(call.user)

    async def _stats_here(self, call: StatsCall) -> NodeStats:
        return await self._node.own_stats(call.slow)


def _log_bug(name: str, bug: Exception) -> NoReturn:
    """A call of another node failed here, and nobody knows why. Raises INTERNAL."""
    log.exception("a call of another node failed", call=name)
    raise ClientError(errors.INTERNAL) from bug


def _others_away(name: str, away: Exception) -> NoReturn:
    """What was done here could not be asked of the others. Raises INTERNAL."""
    log.error("other nodes can not be reached", request=name, error=str(away))
    raise ClientError(errors.INTERNAL) from away


async def turn_after(number: int) -> None:
    """Let the loop have its turn if so many clients have been served (invariant 7): the next one may have gone then."""
    if number and number % CLIENTS_AT_ONCE == 0:
        await asyncio.sleep(0)


def subscribe_push(channel: str, data: bytes, held: Subscription, core: Channel | None) -> Push:
    """What a client is told again of a subscription that it has."""
    positioned = held.delivery.positioned and core is not None
    return Push(
        channel=channel,
        subscribe=Subscribe(
            recoverable=held.recoverable,
            epoch=core.epoch if core is not None and positioned else "",
            offset=core.offset if core is not None and positioned else 0,
            positioned=positioned,
            data=Raw(data) if data else NO_DATA,
        ),
    )
