"""Methods of the server API: request -> node -> result (server specification 6.5).

A method is a coroutine that is given the node and a decoded request, and raises ``ApiError`` or
``ClientError``. ``perform`` turns whatever it raises into a row of the API's error table.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw

from centrifast import errors, log
from centrifast._metrics import now
from centrifast.api.messages import (
    EMPTY,
    AnyResult,
    BatchCommand,
    BatchRequest,
    BatchResult,
    BroadcastRequest,
    BroadcastResult,
    ChannelInfo,
    ChannelRequest,
    ChannelsRequest,
    ChannelsResult,
    DisconnectRequest,
    Error,
    HistoryRequest,
    HistoryResult,
    InfoRequest,
    InfoResult,
    Outcome,
    Position,
    PresenceResult,
    PresenceStatsResult,
    PublishRequest,
    PublishResult,
    RefreshRequest,
    Result,
    RpcRequest,
    StatsRequest,
    StatsResult,
    SubscribeOverride,
    SubscribeRequest,
    UnsubscribeRequest,
)
from centrifast.api.turns import CALLS_AT_ONCE, run_all
from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.config.schema import ChannelOptions
from centrifast.engine import contract
from centrifast.errors import ApiError, ApiErrorCode, ClientError, DisconnectCode
from centrifast.glob import GlobError
from centrifast.limits import CLOSE_REASON_SIZE, SLOW_CLIENTS
from centrifast.metrics.metrics import HTTP, Metrics
from centrifast.metrics.snapshot import NodeStats
from centrifast.model import ClientInfo, NodeInfo, PresenceStats, StreamPosition

_API_ERRORS = {error.code: error for error in errors.API_ERRORS}


class ApiNode(Protocol):
    """What the API asks of the node."""

    metrics: Metrics

    def channel_options(self, channel: str) -> ChannelOptions:
        """Options of the channel's namespace. Raises UNKNOWN_CHANNEL."""

    def check_data(self, options: ChannelOptions, data: bytes) -> bool:
        """Whether a payload has the format that the namespace demands (server specification 3.5)."""

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
    ) -> contract.PublishResult:
        """Hand a publication to the engine. Raises ``ClientError``."""

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
        """Subscribe a user's connections. Raises ``ClientError``."""

    async def unsubscribe(self, user: str, channel: str, *, client: str = "", session: str = "") -> None:
        """End a user's subscriptions to a channel. Raises ``ClientError``."""

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
        """Give a user's connections another expiration and info, or end them."""

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """Who is in a channel, by client id. Raises UNKNOWN_CHANNEL, NOT_AVAILABLE, INTERNAL."""

    async def presence_stats(self, channel: str) -> PresenceStats:
        """How many are in it. Raises like ``presence``."""

    async def history(self, channel: str, wanted: contract.HistoryFilter) -> contract.History:
        """Read a part of a stream. Raises like ``presence``, and UNRECOVERABLE_POSITION, BAD_REQUEST."""

    async def remove_history(self, channel: str) -> None:
        """Drop what is kept of a stream. Raises like ``presence``."""

    async def channels(self, pattern: str) -> Mapping[str, int]:
        """Subscribers by channel, of channels whose name matches the glob. Raises ``GlobError``."""

    async def info(self) -> Sequence[NodeInfo]:
        """Every node in numbers."""

    async def stats(self, slow: int) -> Sequence[NodeStats]:
        """Every process in many numbers, each with its *slow* slowest clients."""


def _payload(raw: Raw, encoded: str) -> bytes:
    """The bytes of a raw field or, winning, of its base64 twin."""
    if not encoded:
        return bytes(raw)
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(errors.API_BAD_REQUEST) from None


def _require(text: str) -> None:
    """Refuse a call that lacks a field it must have."""
    if not text:
        raise ApiError(errors.API_BAD_REQUEST)


async def _publish_to(
    node: ApiNode, channel: str, data: bytes, request: PublishRequest | BroadcastRequest
) -> Result:
    _require(channel)
    if not node.check_data(node.channel_options(channel), data):
        raise ApiError(errors.API_BAD_REQUEST)
    published = await node.publish(
        channel,
        data,
        history=not request.skip_history,
        tags=request.tags or None,
        idempotency_key=request.idempotency_key,
        version=request.version,
        version_epoch=request.version_epoch,
        delta=request.delta,
    )
    position = published.position
    return PublishResult(position.offset, position.epoch) if position.offset or position.epoch else EMPTY


def publish(node: ApiNode, request: PublishRequest) -> Coroutine[Any, Any, Result]:
    """Publish into one channel."""
    return _publish_to(node, request.channel, _payload(request.data, request.b64data), request)


async def broadcast(node: ApiNode, request: BroadcastRequest) -> Result:
    """Publish the same into many channels; each has its own outcome."""
    if not request.channels:
        raise ApiError(errors.API_BAD_REQUEST)
    data = _payload(request.data, request.b64data)

    async def outcome_of(channel: str) -> Outcome:
        try:
            result = await _publish_to(node, channel, data, request)
        except Exception as failed:  # noqa: BLE001 - the boundary of errors, for one of many
            error = _error_of(failed, "broadcast")
            return Outcome(error=Error(error.code, error.message))
        return Outcome(result=result if isinstance(result, PublishResult) else PublishResult())

    return BroadcastResult(await run_all(outcome_of, request.channels))


async def subscribe(node: ApiNode, request: SubscribeRequest) -> Result:
    """Subscribe the live connections of a user."""
    _require(request.channel)
    await node.subscribe(
        request.user,
        request.channel,
        client=request.client,
        session=request.session,
        info=_payload(request.info, request.b64info),
        data=_payload(request.data, request.b64data),
        expire_at=request.expire_at,
        override=_override(request.override),
        recover_since=_position(request.recover_since),
    )
    return EMPTY


def _override(switches: SubscribeOverride | None) -> SubscriptionOverride:
    if switches is None:
        return NO_OVERRIDE
    set_ones = {name: getattr(switches, name) for name in switches.__struct_fields__}
    return SubscriptionOverride(**{name: switch and switch.value for name, switch in set_ones.items()})


def _position(position: Position | None) -> StreamPosition | None:
    return None if position is None else StreamPosition(position.offset, position.epoch)


async def unsubscribe(node: ApiNode, request: UnsubscribeRequest) -> Result:
    """End subscriptions of a user; an empty channel is legal (server specification 14, quirk 11)."""
    await node.unsubscribe(request.user, request.channel, client=request.client, session=request.session)
    return EMPTY


async def disconnect(node: ApiNode, request: DisconnectRequest) -> Result:
    """End the connections of a user. Without a code, or with 0 (quirk 29), it is the default one."""
    reason = errors.FORCE_DISCONNECT
    if request.disconnect is not None and request.disconnect.code:
        reason = DisconnectCode(request.disconnect.code, request.disconnect.reason)
        if not 3000 <= reason.code <= 4999 or len(reason.reason.encode()) > CLOSE_REASON_SIZE:
            raise ApiError(errors.API_BAD_REQUEST)  # no close frame can say it
    await node.disconnect(
        request.user,
        client=request.client,
        session=request.session,
        whitelist=request.whitelist,
        disconnect=reason,
    )
    return EMPTY


async def refresh(node: ApiNode, request: RefreshRequest) -> Result:
    """Give the connections of a user another expiration."""
    await node.refresh(
        request.user,
        client=request.client,
        session=request.session,
        expired=request.expired,
        expire_at=request.expire_at,
        info=bytes(request.info),
    )
    return EMPTY


async def presence(node: ApiNode, request: ChannelRequest) -> AnyResult:
    """Everybody in a channel."""
    _require(request.channel)
    return PresenceResult(await node.presence(request.channel))


async def presence_stats(node: ApiNode, request: ChannelRequest) -> AnyResult:
    """How many clients and users are in a channel."""
    _require(request.channel)
    stats = await node.presence_stats(request.channel)
    return PresenceStatsResult(stats.num_clients, stats.num_users)


async def history(node: ApiNode, request: HistoryRequest) -> AnyResult:
    """A part of a channel's stream; without a limit only its position."""
    _require(request.channel)
    wanted = contract.HistoryFilter(request.limit, _position(request.since), request.reverse)
    part = await node.history(request.channel, wanted)
    return HistoryResult(part.publications, part.position.epoch, part.position.offset)


async def history_remove(node: ApiNode, request: ChannelRequest) -> Result:
    """Drop a channel's publications; its position stays."""
    _require(request.channel)
    await node.remove_history(request.channel)
    return EMPTY


async def channels(node: ApiNode, request: ChannelsRequest) -> AnyResult:
    """Channels with subscribers on all nodes."""
    try:
        counts = await node.channels(request.pattern)
    except GlobError:
        raise ApiError(errors.API_INTERNAL) from None
    return ChannelsResult({name: ChannelInfo(count) for name, count in counts.items()})


async def info(node: ApiNode, request: InfoRequest) -> Result:
    """All nodes in numbers."""
    return InfoResult(await node.info())


async def stats(node: ApiNode, request: StatsRequest) -> Result:
    """All processes in many numbers; an extension."""
    if not 0 <= request.slow <= SLOW_CLIENTS:
        raise ApiError(errors.API_BAD_REQUEST)
    return StatsResult(await node.stats(request.slow))


async def rpc(node: ApiNode, request: RpcRequest) -> Result:
    """There are no API extensions to call."""
    _require(request.method)
    raise ApiError(errors.API_NOT_FOUND)


async def batch(node: ApiNode, request: BatchRequest) -> Result:
    """Several calls in one, each with a reply of its own."""

    async def reply_to(command: BatchCommand | None) -> Mapping[str, AnyResult | Error]:
        return await _reply(node, command)

    at_once = CALLS_AT_ONCE if request.parallel else 1
    return BatchResult(await run_all(reply_to, request.commands, at_once))


async def _reply(node: ApiNode, command: BatchCommand | None) -> Mapping[str, AnyResult | Error]:
    outcome: AnyResult | ApiErrorCode = errors.API_BAD_REQUEST if command is None else errors.API_NOT_FOUND
    for name in () if command is None else command.__struct_fields__:
        request = getattr(command, name)
        if request is not None:
            outcome = await perform(node, name, request)
            break
    if isinstance(outcome, ApiErrorCode):
        return {"error": Error(outcome.code, outcome.message)}
    return {name: outcome}


Method = Callable[[ApiNode, Any], Coroutine[Any, Any, AnyResult]]

METHODS: Mapping[str, tuple[type[Any], Method]] = {
    "publish": (PublishRequest, publish),
    "broadcast": (BroadcastRequest, broadcast),
    "subscribe": (SubscribeRequest, subscribe),
    "unsubscribe": (UnsubscribeRequest, unsubscribe),
    "disconnect": (DisconnectRequest, disconnect),
    "refresh": (RefreshRequest, refresh),
    "presence": (ChannelRequest, presence),
    "presence_stats": (ChannelRequest, presence_stats),
    "history": (HistoryRequest, history),
    "history_remove": (ChannelRequest, history_remove),
    "channels": (ChannelsRequest, channels),
    "info": (InfoRequest, info),
    "stats": (StatsRequest, stats),
    "rpc": (RpcRequest, rpc),
    "batch": (BatchRequest, batch),
}
"""By name in the URL: what a request carries, and what serves it."""


async def perform(node: ApiNode, name: str, request: Any, protocol: str = HTTP) -> AnyResult | ApiErrorCode:
    """Call a method; an error is returned, not raised. *protocol* is the way it came by, to metrics."""
    started = now()
    outcome: AnyResult | ApiErrorCode
    try:
        outcome = await METHODS[name][1](node, request)
    except Exception as failed:  # noqa: BLE001 - the boundary of errors
        outcome = _error_of(failed, name)
    metrics = node.metrics
    metrics.api_calls[protocol][name].observe_since(started)
    if isinstance(outcome, ApiErrorCode):
        metrics.api_errors.of(protocol, name, outcome.code).add()
    return outcome


def _error_of(failed: Exception, name: str) -> ApiErrorCode:
    """What is answered when a method raised *failed*: a bug or an outage is logged here, once, and is internal."""
    if isinstance(failed, ApiError):
        return failed.error
    if isinstance(failed, ClientError):
        return _API_ERRORS.get(failed.error.code, errors.API_INTERNAL)
    log.exception("api call failed", method=name)
    return errors.API_INTERNAL
