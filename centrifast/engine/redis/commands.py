"""Calls of ``centrifast.calls`` as Centrifugo's control commands and surveys, both ways (engines 3.11). Pure.

The sender fills in every field that has a default, and receivers take fields as they are.
"""

from collections.abc import Callable, Generator, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import DecodeError

from centrifast.auth.claims import SubscriptionOverride
from centrifast.calls import (
    ChannelsCall,
    DisconnectCall,
    Instruction,
    Question,
    RefreshCall,
    StatsCall,
    SubscribeCall,
    Target,
    UnsubscribeCall,
)
from centrifast.engine.redis import control_pb2 as pb
from centrifast.errors import INTERNAL_SERVER_ERROR
from centrifast.limits import CHANNELS_AT_ONCE, CLOSE_REASON_SIZE
from centrifast.metrics.snapshot import NodeStats
from centrifast.model import Metrics, NodeInfo, StreamPosition

T = TypeVar("T")

SERVER_API = 10
"""``Subscribe.source`` of what the server API asks for."""

OK, INTERNAL_ERROR, INVALID_REQUEST, NO_SUCH_OP = range(4)
"""Codes of an answer to a survey."""

Told = pb.Subscribe | pb.Unsubscribe | pb.Disconnect | pb.Refresh

INSTRUCTIONS = frozenset({"subscribe", "unsubscribe", "disconnect", "refresh"})
"""Fields of ``Command`` that hold what ``instruction_of`` reads."""


class MalformedError(ValueError):
    """What another node says can not be read, or is not complete."""


def decode(message: bytes) -> pb.Command:
    """One control message. Raises ``MalformedError``."""
    try:
        command = pb.Command.FromString(message)
    except DecodeError as error:
        raise MalformedError(str(error)) from None
    if not command.uid:
        raise MalformedError("there is no uid")
    return command


# ------------------------------------------------------------------ instructions


def encode_instruction(uid: str, call: Instruction) -> bytes:
    """What the node *uid* tells all others."""
    target = _target(call)
    command = pb.Command(uid=uid)
    match call:
        case SubscribeCall():
            wanted, since = call.override, call.recover_since
            command.subscribe.CopyFrom(
                pb.Subscribe(
                    channel=call.channel,
                    emit_presence=bool(wanted.presence),
                    emit_join_leave=bool(wanted.join_leave),
                    push_join_leave=bool(wanted.force_push_join_leave),
                    position=bool(wanted.force_positioning),
                    recover=bool(wanted.force_recovery),
                    recover_since=None
                    if since is None
                    else pb.StreamPosition(offset=since.offset, epoch=since.epoch),
                    expire_at=call.expire_at,
                    channel_info=call.info,
                    data=call.data,
                    source=SERVER_API,
                    **target,
                )
            )
        case UnsubscribeCall():
            command.unsubscribe.CopyFrom(
                pb.Unsubscribe(channel=call.channel, code=call.code, reason=call.reason, **target)
            )
        case DisconnectCall():
            command.disconnect.CopyFrom(
                pb.Disconnect(whitelist=call.whitelist, code=call.code, reason=call.reason, **target)
            )
        case RefreshCall():
            command.refresh.CopyFrom(
                pb.Refresh(expired=call.expired, expire_at=call.expire_at, info=call.info, **target)
            )
    return command.SerializeToString()


def _target(call: Target | Told) -> dict[str, Any]:
    return {"user": call.user, "client": call.client, "session": call.session, "all_users": call.all_users}


def instruction_of(told: Told) -> Instruction | None:
    """What another node has told; None if it means none of the clients here, because they have no labels."""
    if told.HasField("label_filter"):
        return None
    target = _target(told)
    match told:
        case pb.Subscribe():
            since = told.recover_since if told.HasField("recover_since") else None
            return SubscribeCall(
                channel=told.channel,
                info=told.channel_info,
                data=told.data,
                expire_at=told.expire_at,
                override=SubscriptionOverride(
                    presence=told.emit_presence,
                    join_leave=told.emit_join_leave,
                    force_push_join_leave=told.push_join_leave,
                    force_recovery=told.recover,
                    force_positioning=told.position,
                ),
                recover_since=None if since is None else StreamPosition(since.offset, since.epoch),
                **target,
            )
        case pb.Unsubscribe():
            return UnsubscribeCall(channel=told.channel, code=told.code, reason=told.reason, **target)
        case pb.Disconnect():
            code, reason = _said_in_a_close_frame(told.code, told.reason)
            return DisconnectCall(whitelist=list(told.whitelist), code=code, reason=reason, **target)
        case pb.Refresh():
            return RefreshCall(expired=told.expired, expire_at=told.expire_at, info=told.info, **target)


def _said_in_a_close_frame(code: int, reason: str) -> tuple[int, str]:
    """Centrifugo drops a connection without a close frame if there is no code, and clients come back."""
    if not 3000 <= code <= 4999:
        return INTERNAL_SERVER_ERROR.code, INTERNAL_SERVER_ERROR.reason
    return code, reason.encode()[:CLOSE_REASON_SIZE].decode(errors="ignore")


# ------------------------------------------------------------------ nodes


def encode_node(info: NodeInfo, *, metrics: bool) -> bytes:
    """What a node says of itself."""
    node = pb.Node(
        uid=info.uid,
        name=info.name,
        version=info.version,
        num_clients=info.num_clients,
        num_users=info.num_users,
        num_channels=info.num_channels,
        num_subs=info.num_subs,
        uptime=info.uptime,
    )
    if metrics:
        node.metrics.CopyFrom(pb.Metrics(interval=info.metrics.interval, items=info.metrics.items))
    return pb.Command(uid=info.uid, node=node).SerializeToString()


def node_of(uid: str, node: pb.Node, known: Metrics) -> NodeInfo:
    """What the node *uid* says of itself, with the metrics that are *known* of it if it leaves them out."""
    metrics = node.metrics
    return NodeInfo(
        uid=uid,
        name=node.name,
        version=node.version,
        num_clients=node.num_clients,
        num_users=node.num_users,
        num_channels=node.num_channels,
        num_subs=node.num_subs,
        uptime=node.uptime,
        metrics=Metrics(metrics.interval, dict(metrics.items)) if node.HasField("metrics") else known,
    )


def encode_shutdown(uid: str) -> bytes:
    """The node *uid* goes."""
    return pb.Command(uid=uid, shutdown=pb.Shutdown()).SerializeToString()


# ------------------------------------------------------------------ surveys


def encode_survey(uid: str, number: int, op: str, data: bytes) -> bytes:
    """A question of the node *uid* to all others."""
    request = pb.SurveyRequest(id=number, op=op, data=data)
    return pb.Command(uid=uid, survey_request=request).SerializeToString()


def encode_answer(uid: str, number: int, code: int, data: bytes) -> bytes:
    """What the node *uid* answers to question *number* of another one."""
    response = pb.SurveyResponse(id=number, code=code, data=data)
    return pb.Command(uid=uid, survey_response=response).SerializeToString()


Slices = Generator[None, None, T]
"""Work that may be large: it stops again and again for the loop to have its turn (invariant 7), and returns a value."""


class Survey(msgspec.Struct, frozen=True):
    """How one kind of question travels. Decoding raises ``MalformedError``."""

    op: str
    encode_call: Callable[[Any], bytes]
    decode_call: Callable[[bytes], Question[Any]]
    encode_answer: Callable[[Any], Slices[bytes]]
    decode_answer: Callable[[bytes], Slices[Any]]


def _encode_channels_call(call: ChannelsCall) -> bytes:
    return pb.ChannelsRequest(pattern=call.pattern).SerializeToString()


def _decode_channels_call(data: bytes) -> ChannelsCall:
    try:
        return ChannelsCall(pb.ChannelsRequest.FromString(data).pattern)
    except DecodeError as error:
        raise MalformedError(str(error)) from None


def _encode_channels(channels: Mapping[str, int]) -> Slices[bytes]:
    """Messages of one kind, one after another, are one message with the fields of all."""
    parts = []
    left = iter(channels.items())
    while some := tuple(islice(left, CHANNELS_AT_ONCE)):
        result = pb.ChannelsResult()
        for name, count in some:
            result.channels[name].num_clients = count
        parts.append(result.SerializeToString())
        yield
    return b"".join(parts)


def _decode_channels(data: bytes) -> Slices[dict[str, int]]:
    try:
        channels = pb.ChannelsResult.FromString(data).channels
    except DecodeError as error:
        raise MalformedError(str(error)) from None
    counts: dict[str, int] = {}
    left = iter(channels.items())
    while some := tuple(islice(left, CHANNELS_AT_ONCE)):
        counts.update((name, info.num_clients) for name, info in some)
        yield
    return counts


def _encode_stats(stats: NodeStats) -> Slices[bytes]:
    yield
    return _encode_packed(stats)


def _decode_stats(data: bytes) -> Slices[NodeStats]:
    yield
    return _decode_packed(data, NodeStats)


def _decode_packed(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise MalformedError(str(error)) from None


_encode_packed = msgspec.msgpack.Encoder().encode

SURVEYS: dict[type[Question[Any]], Survey] = {
    ChannelsCall: Survey(
        "channels", _encode_channels_call, _decode_channels_call, _encode_channels, _decode_channels
    ),
    # Ours: Centrifugo's nodes answer that they do not know it.
    StatsCall: Survey(
        "centrifast_stats",
        _encode_packed,
        lambda data: _decode_packed(data, StatsCall),
        _encode_stats,
        _decode_stats,
    ),
}
SURVEYS_BY_OP = {survey.op: survey for survey in SURVEYS.values()}
