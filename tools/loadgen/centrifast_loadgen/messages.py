"""What a server's messages say, as far as a load generator asks: replies, unsubscribes, foreign publications. No I/O.

Protobuf is decoded by hand; field numbers are those of Centrifugo's ``client.proto``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LENGTH_DELIMITED = 2  # Protobuf wire type


class WireError(ValueError):
    """A message that cannot be read."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream stood when a positioned subscription began, and what came with it."""

    epoch: str = ""
    offset: int = 0
    recoverable: bool = False
    recovered: bool = False
    offsets: tuple[int, ...] = ()  # of the publications in the reply


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The server ended a subscription; from 2500 a client subscribes again."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Push:
    """A push that is no join or leave."""

    channel: str = ""
    offset: int = 0  # of a publication; 0: none
    unsubscribed: Unsubscribed | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One reply (with the id of its command) or push (command 0)."""

    command: int = 0
    error: str | None = None  # code and text
    client: bytes = b""  # id, in a connect reply
    position: Position | None = None  # in a subscribe reply of a positioned subscription
    push: Push | None = None


def decode_json(message: bytes) -> Message:
    """Decode one line. Raises WireError."""
    try:
        reply = json.loads(message)
    except ValueError as error:
        raise WireError(f"not JSON: {message[:80]!r}") from error
    if not isinstance(reply, dict):
        raise WireError(f"not an object: {message[:80]!r}")
    try:
        return _json_message(reply)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise WireError(f"a message with fields of wrong types: {message[:80]!r}") from error


def _json_message(reply: dict[str, Any]) -> Message:
    failure = reply.get("error")
    connected, subscribed, push = reply.get("connect"), reply.get("subscribe"), reply.get("push")
    return Message(
        int(reply.get("id", 0)),
        f"{failure.get('code')} {failure.get('message')}" if failure else None,
        connected.get("client", "").encode() if connected else b"",
        _json_position(subscribed) if subscribed and subscribed.get("positioned") else None,
        _json_push(push) if push else None,
    )


def _json_position(result: dict[str, Any]) -> Position:
    return Position(
        result.get("epoch", ""),
        int(result.get("offset", 0)),
        bool(result.get("recoverable")),
        bool(result.get("recovered")),
        tuple(int(publication["offset"]) for publication in result.get("publications", ())),
    )


def _json_push(push: dict[str, Any]) -> Push:
    ended = push.get("unsubscribe")
    return Push(
        push.get("channel", ""),
        int(push.get("pub", {}).get("offset", 0)),
        Unsubscribed(int(ended.get("code", 0)), str(ended.get("reason", ""))) if ended is not None else None,
    )


def decode_protobuf(message: bytes) -> Message:
    """Decode one message, without its length. Raises WireError."""
    reply = _by_number(message)
    failure, connected = reply.get(2), reply.get(5)
    subscribed, push = reply.get(6), reply.get(4)
    return Message(
        _integer(reply.get(1)),
        _protobuf_error(_bytes(failure)) if failure is not None else None,
        _bytes(_by_number(_bytes(connected)).get(1)) if connected is not None else b"",
        _protobuf_position(_bytes(subscribed)) if subscribed is not None else None,
        _protobuf_push(_bytes(push)) if push is not None else None,
    )


def _protobuf_error(data: bytes) -> str:
    error = _by_number(data)
    return f"{_integer(error.get(1))} {_text(error.get(2))}"


def _protobuf_position(data: bytes) -> Position | None:
    result = _by_number(data)
    if not _integer(result.get(10)):
        return None
    publications = (_by_number(_bytes(value)) for number, value in _fields(data) if number == 7)
    return Position(
        _text(result.get(6)),
        _integer(result.get(9)),
        bool(_integer(result.get(3))),
        bool(_integer(result.get(8))),
        tuple(_integer(publication.get(6)) for publication in publications),
    )


def _protobuf_push(data: bytes) -> Push:
    push = _by_number(data)
    publication, ended = push.get(4), push.get(7)
    unsubscribed = None
    if ended is not None:
        fields = _by_number(_bytes(ended))
        unsubscribed = Unsubscribed(_integer(fields.get(2)), _text(fields.get(3)))
    offset = _integer(_by_number(_bytes(publication)).get(6)) if publication is not None else 0
    return Push(_text(push.get(2)), offset, unsubscribed)


Value = int | bytes


def _integer(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def _bytes(value: Value | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: Value | None) -> str:
    return _bytes(value).decode(errors="replace")


def _by_number(data: bytes) -> dict[int, Value]:
    return dict(_fields(data))


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at *position*, and where it ends. Raises WireError."""
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise WireError("truncated or endless varint")


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Top-level fields of a Protobuf message: varints as int, everything else as bytes."""
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = read_varint(data, position)
            yield key >> 3, value
            continue
        if kind == LENGTH_DELIMITED:
            size, position = read_varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise WireError(f"wire type {kind}")
        if position + size > len(data):
            raise WireError("truncated field")
        yield key >> 3, data[position : position + size]
        position += size
