"""Methods of the server API: request -> node -> result (server specification 6.5).

A method is a coroutine that is given the node and a decoded request, and raises ``ApiError`` or
``ClientError``. ``perform`` turns whatever it raises into a row of the API's error table.
"""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Raw

from centrifast import eager, errors, log
from centrifast.api.messages import (
    EMPTY,
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
    InfoRequest,
    InfoResult,
    Outcome,
    PublishRequest,
    PublishResult,
    RefreshRequest,
    Result,
    RpcRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from centrifast.config.schema import ChannelOptions
from centrifast.engine import contract
from centrifast.errors import ApiError, ApiErrorCode, ClientError, DisconnectCode
from centrifast.glob import GlobError
from centrifast.limits import CLOSE_REASON_SIZE
from centrifast.model import NodeInfo

CALLS_AT_ONCE = 256
"""Publications of one broadcast, or commands of one batch, between two turns of the loop."""

_API_ERRORS = {error.code: error for error in errors.API_ERRORS}

_T = TypeVar("_T")
_Item = TypeVar("_Item")


class ApiNode(Protocol):
    """What the API asks of the node."""

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
        override: Mapping[str, bool] | None = None,
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

    async def channels(self, pattern: str) -> Mapping[str, int]:
        """Subscribers by channel, of channels whose name matches the glob. Raises ``GlobError``."""

    async def info(self) -> Sequence[NodeInfo]:
        """Every node in numbers."""


AnyResult = Result | ChannelsResult


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
    )
    position = published.position
    return PublishResult(position.offset, position.epoch) if position.offset or position.epoch else EMPTY


async def publish(node: ApiNode, request: PublishRequest) -> Result:
    """Publish into one channel."""
    _require(request.channel)
    return await _publish_to(node, request.channel, _payload(request.data, request.b64data), request)


async def broadcast(node: ApiNode, request: BroadcastRequest) -> Result:
    """Publish the same into many channels; each has its own outcome."""
    if not request.channels:
        raise ApiError(errors.API_BAD_REQUEST)
    data = _payload(request.data, request.b64data)

    async def outcome_of(channel: str) -> Outcome:
        result = await _settle(_publish_to(node, channel, data, request), "broadcast")
        if isinstance(result, ApiErrorCode):
            return Outcome(error=Error(result.code, result.message))
        return Outcome(result=result if isinstance(result, PublishResult) else PublishResult())

    return BroadcastResult(await _all(outcome_of, request.channels))


async def subscribe(node: ApiNode, request: SubscribeRequest) -> Result:
    """Subscribe the live connections of a user."""
    _require(request.channel)
    override = request.override
    switches = {name: getattr(override, name) for name in override.__struct_fields__} if override else {}
    await node.subscribe(
        request.user,
        request.channel,
        client=request.client,
        session=request.session,
        info=_payload(request.info, request.b64info),
        data=_payload(request.data, request.b64data),
        expire_at=request.expire_at,
        override={name: switch.value for name, switch in switches.items() if switch is not None} or None,
    )
    return EMPTY


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


async def rpc(node: ApiNode, request: RpcRequest) -> Result:
    """There are no API extensions to call."""
    _require(request.method)
    raise ApiError(errors.API_NOT_FOUND)


async def refresh(node: ApiNode, request: RefreshRequest) -> Result:
    """Not available."""
    raise ApiError(errors.API_NOT_AVAILABLE)


async def of_channel(node: ApiNode, request: ChannelRequest | HistoryRequest) -> Result:
    """Presence, its stats, history and its removal: not available in any namespace."""
    _require(request.channel)
    node.channel_options(request.channel)
    raise ApiError(errors.API_NOT_AVAILABLE)


async def batch(node: ApiNode, request: BatchRequest) -> Result:
    """Several calls in one, each with a reply of its own."""

    async def reply_to(command: BatchCommand | None) -> Mapping[str, AnyResult | Error]:
        return await _reply(node, command)

    at_once = CALLS_AT_ONCE if request.parallel else 1
    return BatchResult(await _all(reply_to, request.commands, at_once))


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
    "presence": (ChannelRequest, of_channel),
    "presence_stats": (ChannelRequest, of_channel),
    "history": (HistoryRequest, of_channel),
    "history_remove": (ChannelRequest, of_channel),
    "channels": (ChannelsRequest, channels),
    "info": (InfoRequest, info),
    "rpc": (RpcRequest, rpc),
    "batch": (BatchRequest, batch),
}
"""By name in the URL: what a request carries, and what serves it."""


async def perform(node: ApiNode, name: str, request: Any) -> AnyResult | ApiErrorCode:
    """Call a method; an error is returned, not raised."""
    return await _settle(METHODS[name][1](node, request), name)


async def _settle(call: Awaitable[AnyResult], name: str) -> AnyResult | ApiErrorCode:
    """The boundary of errors: a bug or an outage is logged here, once, and answered as internal."""
    try:
        return await call
    except ApiError as failed:
        return failed.error
    except ClientError as failed:
        return _API_ERRORS.get(failed.error.code, errors.API_INTERNAL)
    except Exception:  # noqa: BLE001
        log.exception("api call failed", method=name)
        return errors.API_INTERNAL


async def _all(
    call: Callable[[_Item], Coroutine[Any, Any, _T]], items: Sequence[_Item], at_once: int = CALLS_AT_ONCE
) -> list[_T]:
    """What *call* gives for each item, in their order, *at_once* calls running together.

    A call that does not wait costs no task. The loop gets its turn after every ``CALLS_AT_ONCE`` calls.
    """
    results: list[_T] = []
    for start in range(0, len(items), at_once):
        begun = [eager.start(call(item)) for item in items[start : start + at_once]]
        waiting = [outcome for outcome in begun if isinstance(outcome, asyncio.Task)]
        if waiting:
            await asyncio.gather(*waiting)
        results.extend(
            outcome.result() if isinstance(outcome, asyncio.Task) else outcome for outcome in begun
        )
        if len(results) % CALLS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return results
