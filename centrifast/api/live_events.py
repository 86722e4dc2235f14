"""What a tail shows of values of the protocol: events as they are written into its lines.

Payloads stand in an event as JSON if they are, else in base64 under the name with ``b64`` in front. Of one that is
longer than ``TAIL_PAYLOAD_SIZE`` the beginning stands under its name with ``_cut`` behind, beside its size. Tokens,
session ids and emulated headers are masked. Empty members are left out.
"""

import codecs
from base64 import b64encode
from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct
from msgspec.structs import asdict

from centrifast.api.encoding import compacted, encode
from centrifast.errors import DisconnectCode
from centrifast.hub import Client
from centrifast.limits import TAIL_ENTRIES, TAIL_LINE_SIZE, TAIL_PAYLOAD_SIZE
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.protocol.wire import Reply
from centrifast.taps import Asked

Event = dict[str, object]

MASK = "***"
MASKED = frozenset({"token", "session"})
DEPTH = 8
"""Levels of structs that are shown; a filter may be nested deeper."""


def encode_line(time: float, event: Event) -> bytes:
    """One line; of an event that is too long what is no request, result or payload."""
    line = encode({"time": round(time, 3), **event})
    if len(line) > TAIL_LINE_SIZE:
        known = {name: value for name, value in event.items() if isinstance(value, int | float | str)}
        known = {name: value for name, value in known.items() if len(str(value)) <= TAIL_PAYLOAD_SIZE}
        line = encode({"time": round(time, 3), **known, "cut": len(line)})
    return line + b"\n"


def publication_event(
    channel: str, publication: Publication, position: StreamPosition, *, payloads: bool
) -> Event:
    """A publication, with who published it if that was a client."""
    event: Event = {"event": "publication", "channel": channel}
    if position.offset:
        event |= {"offset": position.offset, "epoch": position.epoch}
    event["size"] = len(publication.data)
    if publication.info is not None:
        event |= {"user": publication.info.user, "client": publication.info.client}
    if payloads:
        event |= _payload("data", publication.data)
        if publication.tags:
            event["tags"] = publication.tags
    return event


def member_event(channel: str, info: ClientInfo, *, joined: bool, payloads: bool) -> Event:
    """A join or a leave."""
    event: Event = {"event": "join" if joined else "leave", "channel": channel}
    event |= {"user": info.user, "client": info.client}
    if payloads:
        event |= _payload("conn_info", info.conn_info) | _payload("chan_info", info.chan_info)
    return event


def connect_event(session: Client, address: str) -> Event:
    """A connection of the user."""
    return {
        "event": "connect",
        "client": session.client,
        "address": address,
        "encoding": session.sink.variant.name,
    }


def disconnect_event(session: Client, disconnect: DisconnectCode) -> Event:
    """Its end; 3000 if the client has ended it."""
    return {
        "event": "disconnect",
        "client": session.client,
        "code": disconnect.code,
        "reason": disconnect.reason,
    }


def command_event(session: Client, asked: Asked, *, payloads: bool) -> Event:
    """What a client asks for."""
    event: Event = {"event": "command", "client": session.client, "id": asked.command.id} | _subject(asked)
    request = getattr(asked.command, asked.method, None)
    if payloads and request is not None:
        event["request"] = shown(request)
    return event


def sent_event(
    session: Client, reply: Reply, size: int, asked: Asked | None, seconds: float, *, payloads: bool
) -> Event:
    """A reply, or a push for this client alone."""
    if reply.push is not None:
        push = asdict(reply.push)
        channel = str(push.pop("channel"))
        kind = next((name for name, value in push.items() if value is not None), "")
        event: Event = {"event": "push", "client": session.client, "kind": kind, "channel": channel}
        event["size"] = size
        if payloads and isinstance(push.get(kind), Struct):
            event["push"] = shown(push[kind])
        return event
    event = {"event": "reply", "client": session.client, "id": reply.id}
    if asked is not None:
        event |= _subject(asked)
        event["duration_ms"] = round(seconds * 1000, 3)
    event["size"] = size
    if reply.error is not None:
        event["error"] = {"code": reply.error.code, "message": reply.error.message}
    elif payloads:
        results = [value for value in asdict(reply).values() if isinstance(value, Struct)]
        event["result"] = shown(results[0]) if results else {}
    return event


def _subject(asked: Asked) -> Event:
    named = {"method": asked.method, "channel": asked.channel}
    return {name: value for name, value in named.items() if value}


def shown(message: Struct, depth: int = DEPTH) -> Event:
    """A message of the protocol without what is empty, secret or too long."""
    event: Event = {}
    for name, value in asdict(message).items():
        if isinstance(value, Raw):
            event |= _payload(name, bytes(value))
        elif not value:
            continue
        elif name in MASKED:
            event[name] = MASK
        elif name == "headers":
            event[name] = dict.fromkeys(list(value)[:TAIL_ENTRIES], MASK)
        elif isinstance(value, Mapping | list | tuple) and len(value) > TAIL_ENTRIES:
            event[f"{name}_total"] = len(value)
            event[name] = _shown(_first(value), depth)
        else:
            event[name] = _shown(value, depth)
    return event


def _first(entries: Mapping[str, object] | Sequence[object]) -> object:
    if isinstance(entries, Mapping):
        return {key: entries[key] for key, _ in zip(entries, range(TAIL_ENTRIES), strict=False)}
    return entries[:TAIL_ENTRIES]


def _shown(value: object, depth: int) -> object:
    if isinstance(value, Struct):
        return shown(value, depth - 1) if depth else {}
    if isinstance(value, Mapping):
        return {key: _shown(entry, depth) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(entry, depth) for entry in value]
    if isinstance(value, str) and len(value) > TAIL_PAYLOAD_SIZE:
        return value[:TAIL_PAYLOAD_SIZE] + "…"
    return value


def _payload(name: str, data: bytes) -> Event:
    """How a payload is shown, see above."""
    if not data:
        return {}
    if len(data) > TAIL_PAYLOAD_SIZE:
        return _beginning(name, data[:TAIL_PAYLOAD_SIZE]) | {f"{name}_size": len(data)}
    compact = compacted(data)
    return {f"b64{name}": b64encode(data).decode()} if compact is None else {name: compact}


def _beginning(name: str, data: bytes) -> Event:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)  # the last character may be cut in half
    except UnicodeDecodeError:
        return {f"b64{name}_cut": b64encode(data).decode()}
    return {f"{name}_cut": text}
