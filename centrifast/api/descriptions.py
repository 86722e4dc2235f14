"""What the API's document says of fields and methods besides what their types say (server specification 6.3 to 6.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from centrifast import errors
from centrifast.api.messages import (
    BroadcastResult,
    ChannelsResult,
    HistoryResult,
    InfoResult,
    PresenceResult,
    PresenceStatsResult,
    PublishResult,
    Result,
    StatsResult,
)
from centrifast.errors import ApiErrorCode
from centrifast.limits import SLOW_CLIENTS

FIELDS: Mapping[str, str] = {
    "channel": "Name of the channel.",
    "UnsubscribeRequest.channel": "Name of the channel; an empty one ends nothing, but the client is told.",
    "channels": "Names of the channels; each has a response of its own.",
    "ChannelsResult.channels": "Channels that have subscribers, by name.",
    "data": "Payload: any JSON, passed on byte for byte; `null` is a value. What is legal says the namespace.",
    "SubscribeRequest.data": "JSON that the client gets with the subscription.",
    "b64data": "The payload in standard base64; wins over `data`.",
    "SubscribeRequest.b64data": "The same in standard base64; wins over `data`.",
    "Publication.data": "The payload; missing if it is empty or no JSON.",
    "Publication.b64data": "The payload in base64, if it is no JSON.",
    "skip_history": "Do not store the publication.",
    "tags": "Attached to the publication.",
    "idempotency_key": "Within five minutes, a second publication with the same key in the same channel is not made.",
    "delta": "Build a delta for subscribers who negotiated them.",
    "version": "With history: skip the publication if the last stored version is equal or greater; 0 = no version.",
    "NodeInfo.version": "Version of the server.",
    "NodeStats.version": "Version of the server.",
    "NodeStats.name": "Name of the process.",
    "NodeStats.uid": "Id of the process, another one after every start.",
    "StatsResult.nodes": "Every process.",
    "StatsRequest.slow": "How many of its slowest clients each process names; at most 1000.",
    "NodeStats.slow": "Clients with most queued bytes, most first.",
    "SlowClient.client": "Id of the connection.",
    "SlowClient.user": "Id of the user; empty for an anonymous connection.",
    "SlowClient.bytes": "Bytes that wait for it.",
    "pid": "Process id.",
    "time": "When these numbers were taken, in Unix seconds.",
    "messages_sent": "Messages sent to clients since the start.",
    "bytes_sent": "Their bytes, without framing.",
    "messages_received": "Commands received from clients since the start.",
    "bytes_received": "Their bytes, without framing.",
    "NodeStats.publications": "Publications through this process since the start.",
    "slow_disconnects": "Clients disconnected with 3008 since the start.",
    "outbox_bytes": "Bytes that wait for single clients.",
    "drain_length": "Outboxes and channels that are due to be written.",
    "rss": "Resident memory in bytes.",
    "cpu_seconds": "User and system time since the start.",
    "open_descriptors": "Descriptors in use; -1 where the system does not say.",
    "descriptor_limit": "Descriptors allowed.",
    "publish_to_socket": "From a publication until it is written, in seconds, over ten minutes.",
    "client_command": "From a command of a client to its reply, likewise.",
    "api_command": "From a call of this API to its answer, likewise.",
    "loop_lag": "By how much timers of the event loop are late, likewise.",
    "p50": "Half are not above this.",
    "p99": "99 of 100 are not above this.",
    "p999": "999 of 1000 are not above this.",
    "version_epoch": "Versions are compared only if the last stored one has the same.",
    "user": "Id of the user; empty = anonymous connections.",
    "ClientInfo.user": "Id of the user; empty for an anonymous connection.",
    "client": "Only the connection with this id, of that user.",
    "ClientInfo.client": "Id of the connection.",
    "session": "Only this session.",
    "info": "JSON shown with the client in presence, joins, leaves, and its publications.",
    "RefreshRequest.info": "JSON that replaces the info of the connection; ignored when `expire_at` is 0.",
    "Publication.info": "Who has published, if it was a client.",
    "BatchCommand.info": "The method of this name.",
    "b64info": "The same in standard base64; wins over `info`.",
    "expire_at": "Unix seconds at which the subscription expires; 0 = never.",
    "RefreshRequest.expire_at": "Unix seconds at which the connection expires; 0 = never, past = now.",
    "expired": "End the connections as expired.",
    "recover_since": "Send what was published since this position.",
    "override": "Options of the namespace that this subscription has otherwise.",
    "presence": "Whether the subscription takes part in presence.",
    "PresenceResult.presence": "Who is there, by client id.",
    "BatchCommand.presence": "The method of this name.",
    "join_leave": "Whether joins and leaves are announced.",
    "force_recovery": "Whether the subscription is recoverable.",
    "force_positioning": "Whether its position is watched.",
    "force_push_join_leave": "Whether the client is sent joins and leaves.",
    "value": "On or off.",
    "disconnect": "What the connection is closed with; without it 3503 `force disconnect`.",
    "BatchCommand.disconnect": "The method of this name.",
    "code": "3000 to 4999; 0 = as if no code was given.",
    "Error.code": "One of the table of errors.",
    "message": "The same in words.",
    "reason": "ASCII or other text of at most 123 bytes.",
    "whitelist": "Ids of connections to spare.",
    "limit": "How many publications; 0 = only the position, -1 = all.",
    "since": "Read from behind this position, or from before it with `reverse`.",
    "reverse": "Newest first.",
    "offset": "Number of a publication in its stream.",
    "PublishResult.offset": "Number of the publication in its stream; missing without history.",
    "HistoryResult.offset": "Of the stream's newest publication, still there or not.",
    "epoch": "Which incarnation of the stream the offset counts in.",
    "Position.epoch": "Which incarnation of the stream the offset counts in; empty is not compared.",
    "PublishResult.epoch": "Which incarnation of the stream the offset counts in; missing without history.",
    "publications": "Oldest first, or newest first with `reverse`.",
    "pattern": "A glob over names: `*`, `?`, `[a-z]`, `{a,b}`, `\\` to escape; empty = all.",
    "method": "Name of the extension.",
    "params": "Any JSON for the extension.",
    "commands": "One object for each call, with the name of the method as its only member.",
    "parallel": "Run the commands side by side; replies keep the order of the commands.",
    "responses": "One for each channel, in the order of the request.",
    "error": "What went wrong.",
    "result": "What the call answers.",
    "num_clients": "How many connections.",
    "num_users": "How many distinct users; all anonymous connections are one.",
    "num_channels": "How many channels have subscribers.",
    "num_subs": "How many subscriptions.",
    "conn_info": "JSON of the connection, from its token.",
    "chan_info": "JSON of the subscription.",
    "b64conn_info": "`conn_info` in base64, if it is no JSON.",
    "b64chan_info": "`chan_info` in base64, if it is no JSON.",
    "nodes": "Every node of the cluster.",
    "uid": "Id of the node, another one after every start.",
    "name": "Name of the node.",
    "uptime": "Seconds since the start.",
    "metrics": "What the node has counted.",
    "interval": "Seconds in which it was counted.",
    "items": "Numbers by name.",
}
"""By ``struct.field`` where one struct differs, else by the name of the field."""

_METHOD_OF_THIS_NAME = "The method of this name."


def describe(struct: str, name: str) -> str:
    """The description of a field."""
    if struct == "BatchCommand":
        return _METHOD_OF_THIS_NAME
    return FIELDS.get(f"{struct}.{name}") or FIELDS[name]


@dataclass(frozen=True, slots=True)
class MethodDoc:
    """One method: *demands* is a schema beyond the types of its request, which a batch does not enforce."""

    text: str
    example: Any
    answer: Any = field(default_factory=dict)
    result: type = Result
    failures: tuple[ApiErrorCode, ...] = ()
    demands: Mapping[str, Any] = field(default_factory=dict)


_BASE64 = {"pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"}
_SOME_TEXT = {"type": "string", "minLength": 1}
_SOME_CHANNEL = {"required": ["channel"], "properties": {"channel": _SOME_TEXT}}
_PUBLISHING = (errors.API_UNKNOWN_CHANNEL, errors.API_BAD_REQUEST)
_OF_A_FEATURE = (errors.API_UNKNOWN_CHANNEL, errors.API_BAD_REQUEST, errors.API_NOT_AVAILABLE)
_CODE = {"anyOf": [{"type": "null"}, {"const": 0}, {"type": "integer", "minimum": 3000, "maximum": 4999}]}
_INFO = {"user": "42", "client": "60b8c6f3-6d3c-4ba9-a8f6-0e4e2a6fdcb5", "conn_info": {"name": "Ann"}}
_PUBLISHED = {"offset": 7, "epoch": "HyfEqRtb"}
_NODE = {
    "uid": "f2f1e0c4-5d0c-4d9e-8f6c-1d8f1f0a7f10",
    "name": "web-1_8000",
    "version": "0.1.0",
    "num_clients": 2,
    "num_users": 1,
    "num_channels": 1,
    "uptime": 60,
    "metrics": {"interval": 60.0, "items": {}},
    "num_subs": 2,
}
_QUANTILES = {"p50": 0.00012, "p99": 0.0011, "p999": 0.0032}
_STATS = {
    "uid": "f2f1e0c4-5d0c-4d9e-8f6c-1d8f1f0a7f10",
    "name": "web-1_8000",
    "version": "0.1.0",
    "pid": 4711,
    "uptime": 60.2,
    "time": 1760000000.5,
    "num_clients": 2,
    "num_users": 1,
    "num_subs": 2,
    "num_channels": 1,
    "messages_sent": 180,
    "bytes_sent": 14400,
    "messages_received": 12,
    "bytes_received": 640,
    "publications": 90,
    "slow_disconnects": 0,
    "outbox_bytes": 1048576,
    "drain_length": 1,
    "rss": 52428800,
    "cpu_seconds": 1.25,
    "open_descriptors": 24,
    "descriptor_limit": 65535,
    "publish_to_socket": _QUANTILES,
    "client_command": _QUANTILES,
    "api_command": _QUANTILES,
    "loop_lag": _QUANTILES,
    "slow": [{"client": _INFO["client"], "user": "42", "bytes": 1048576}],
}

METHODS: Mapping[str, MethodDoc] = {
    "publish": MethodDoc(
        "Every subscriber of the channel gets the payload. Missing data, or data that does not have the format of "
        "the namespace, is error 107.",
        {"channel": "chat:1", "data": {"text": "hi"}},
        _PUBLISHED,
        PublishResult,
        _PUBLISHING,
        {**_SOME_CHANNEL, "properties": {"channel": _SOME_TEXT, "b64data": _BASE64}},
    ),
    "broadcast": MethodDoc(
        "Like a publish into each channel, all with the same fields. A channel that fails has an error in its own "
        "response, the others are published to.",
        {"channels": ["chat:1", "chat:2"], "data": {"text": "hi"}},
        {"responses": [{"result": _PUBLISHED}, {"error": {"code": 102, "message": "unknown channel"}}]},
        BroadcastResult,
        (errors.API_BAD_REQUEST,),
        {
            "required": ["channels"],
            "properties": {"channels": {"type": "array", "minItems": 1}, "b64data": _BASE64},
        },
    ),
    "subscribe": MethodDoc(
        "Connections that are there now are subscribed, on every node; nobody being there is no error.",
        {"user": "42", "channel": "chat:1"},
        failures=_PUBLISHING,
        demands={
            **_SOME_CHANNEL,
            "properties": {"channel": _SOME_TEXT, "b64info": _BASE64, "b64data": _BASE64},
        },
    ),
    "unsubscribe": MethodDoc(
        "The client is told with code 2000. Also ends what the client has subscribed to on its own.",
        {"user": "42", "channel": "chat:1"},
        failures=(errors.API_UNKNOWN_CHANNEL,),
    ),
    "disconnect": MethodDoc(
        "Clients come back by themselves unless the code lies in 3500 to 3999 or 4500 to 4999.",
        {"user": "42", "disconnect": {"code": 4500, "reason": "moved"}},
        failures=(errors.API_BAD_REQUEST,),
        demands={"properties": {"disconnect": {"properties": {"code": _CODE}}}},
    ),
    "refresh": MethodDoc(
        "A connection whose expiration lies in the past ends with 3005.",
        {"user": "42", "expire_at": 4102444800},
    ),
    "presence": MethodDoc(
        "The namespace needs `presence`.",
        {"channel": "chat:1"},
        {"presence": {_INFO["client"]: _INFO}},
        PresenceResult,
        _OF_A_FEATURE,
        _SOME_CHANNEL,
    ),
    "presence_stats": MethodDoc(
        "The namespace needs `presence`.",
        {"channel": "chat:1"},
        {"num_clients": 2, "num_users": 1},
        PresenceStatsResult,
        _OF_A_FEATURE,
        _SOME_CHANNEL,
    ),
    "history": MethodDoc(
        "The namespace needs `history_size` and `history_ttl`.",
        {"channel": "chat:1", "limit": 10},
        {
            "publications": [{"data": {"text": "hi"}, "info": _INFO, "offset": 7}],
            "epoch": "HyfEqRtb",
            "offset": 7,
        },
        HistoryResult,
        (*_OF_A_FEATURE, errors.API_UNRECOVERABLE_POSITION),
        _SOME_CHANNEL,
    ),
    "history_remove": MethodDoc(
        "The position stays, and goes on with the next publication.",
        {"channel": "chat:1"},
        failures=_OF_A_FEATURE,
        demands=_SOME_CHANNEL,
    ),
    "channels": MethodDoc(
        "Asks every node, so it is meant for debugging. A pattern that is no glob is error 100.",
        {"pattern": "chat:*"},
        {"channels": {"chat:1": {"num_clients": 2}}},
        ChannelsResult,
    ),
    "info": MethodDoc(
        "A node that is silent for 7 seconds is forgotten.", {}, {"nodes": [_NODE]}, InfoResult
    ),
    "stats": MethodDoc(
        "What `centrifast top` shows: counters since the start, of which two answers make a rate. An extension of "
        "this server.",
        {"slow": 10},
        {"nodes": [_STATS]},
        StatsResult,
        (errors.API_BAD_REQUEST,),
        {"properties": {"slow": {"anyOf": [{"type": "null"}, {"minimum": 0, "maximum": SLOW_CLIENTS}]}}},
    ),
    "rpc": MethodDoc(
        "This server has no extensions: the answer is always error 104.",
        {"method": "echo", "params": {}},
        failures=(errors.API_NOT_FOUND, errors.API_BAD_REQUEST),
        demands={"required": ["method"], "properties": {"method": _SOME_TEXT}},
    ),
    "batch": MethodDoc(
        "Each reply holds the bare result under the name of its method, or an error; there is no `result` around "
        "them. Commands run one after another unless `parallel`.",
        {
            "commands": [
                {"publish": {"channel": "chat:1", "data": 1}},
                {"presence_stats": {"channel": "chat:1"}},
            ]
        },
        {"replies": [{"publish": _PUBLISHED}, {"error": {"code": 108, "message": "not available"}}]},
    ),
}
"""In the order in which they are shown."""
