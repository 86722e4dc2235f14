"""The few messages of Centrifugo's client protocol that a subscriber needs, and publication bodies. No I/O.

Protobuf is encoded by hand: a command is a length as a varint, then fields; field numbers are those of
Centrifugo's ``client.proto``: Command id 1, connect 4, subscribe 5; ConnectRequest token 1; SubscribeRequest
channel 1; Reply id 1, error 2; Error code 1, message 2.
"""

import json
from collections.abc import Iterator, Sequence

from centrifast_loadgen._client import SUBSCRIPTION_ID_BASE
from centrifast_loadgen.settings import Protocol, Settings

CONNECT_ID = 1
SUBPROTOCOL = {Protocol.PROTOBUF: "centrifuge-protobuf"}
# Commands of one WebSocket message: Centrifugo refuses messages over 64 KiB by default.
SUBSCRIBES_PER_MESSAGE = 100

LENGTH_DELIMITED = 2  # Protobuf wire type


class WireError(ValueError):
    """A message that cannot be read."""


def commands(settings: Settings, channels: Sequence[str]) -> list[bytes]:
    """The WebSocket messages of a connection: connect, then all subscriptions, not waiting for replies."""
    if settings.protocol is Protocol.RAW:
        return [settings.raw_subscribe.encode()] if settings.raw_subscribe else []
    if settings.protocol is Protocol.PROTOBUF:
        token = _field(1, settings.token.encode()) if settings.token else b""
        connect = _command(CONNECT_ID, 4, token)
        subscribes = [_command(number, 5, _field(1, name.encode())) for number, name in _numbered(channels)]
        return [connect, *(b"".join(group) for group in _groups(subscribes))]
    connect = _json({"id": CONNECT_ID, "connect": {"token": settings.token} if settings.token else {}})
    subscribes = [
        _json({"id": number, "subscribe": {"channel": name}}) for number, name in _numbered(channels)
    ]
    return [connect, *(b"\n".join(group) for group in _groups(subscribes))]


def parse_json_reply(message: bytes) -> tuple[int, str | None]:
    """Command id (0 for a push) and error text of one JSON message. Raises WireError."""
    try:
        reply = json.loads(message)
    except ValueError as error:
        raise WireError(f"not JSON: {message[:80]!r}") from error
    if not isinstance(reply, dict):
        raise WireError(f"not an object: {message[:80]!r}")
    failure = reply.get("error")
    return int(reply.get("id", 0)), f"{failure.get('code')} {failure.get('message')}" if failure else None


def parse_protobuf_reply(message: bytes) -> tuple[int, str | None]:
    """The same for one Protobuf message, without its length. Raises WireError."""
    number, failure = 0, None
    for field, value in _fields(message):
        if field == 1 and isinstance(value, int):
            number = value
        elif field == 2 and isinstance(value, bytes):
            failure = _protobuf_error(value)
    return number, failure


def _protobuf_error(data: bytes) -> str:
    code, text = 0, ""
    for field, value in _fields(data):
        if isinstance(value, bytes):
            text = value.decode(errors="replace") if field == 2 else text
        elif field == 1:
            code = value
    return f"{code} {text}"


def payload(size: int, now_ns: int) -> str:
    """*size* bytes of text that carry their time of publication; *size* is at least MARKER_SIZE."""
    return f"#t={now_ns}#".ljust(size, "x")


def publication_body(settings: Settings, channel: str, now_ns: int) -> bytes:
    """Body of the POST that publishes one message to *channel*."""
    text = payload(settings.payload, now_ns)
    if settings.protocol is Protocol.RAW:
        return text.encode()
    return f'{{"channel":{json.dumps(channel)},"data":{{"p":"{text}"}}}}'.encode()


def api_error(body: bytes) -> str | None:
    """Error text of a response of Centrifugo's HTTP API: it answers 200 with an ``error`` object."""
    if b'"error"' not in body:
        return None
    try:
        error = json.loads(body)["error"]
        return f"{error['code']} {error['message']}"
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _numbered(channels: Sequence[str]) -> Iterator[tuple[int, str]]:
    return enumerate(channels, SUBSCRIPTION_ID_BASE)


def _groups(items: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(items), SUBSCRIBES_PER_MESSAGE):
        yield items[start : start + SUBSCRIBES_PER_MESSAGE]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(value)) + value


def _command(number: int, request: int, body: bytes) -> bytes:
    command = _varint(1 << 3) + _varint(number) + _field(request, body)
    return _varint(len(command)) + command


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise WireError("truncated or endless varint")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Top-level fields of a Protobuf message: varints as int, everything else as bytes."""
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _read_varint(data, position)
            yield key >> 3, value
            continue
        if kind == LENGTH_DELIMITED:
            size, position = _read_varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise WireError(f"wire type {kind}")
        if position + size > len(data):
            raise WireError("truncated field")
        yield key >> 3, data[position : position + size]
        position += size
