"""What a client sends: commands of Centrifugo's protocol, and publication bodies for its HTTP API. No I/O.

Protobuf is encoded by hand: a command is a length as a varint, then fields; field numbers are those of Centrifugo's
``client.proto``: Command id 1, connect 4, subscribe 5; ConnectRequest token 1; SubscribeRequest channel 1, recover 3,
epoch 6, offset 7, positioned 9, recoverable 10, join_leave 11.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from centrifast_loadgen import messages
from centrifast_loadgen._client import SUBSCRIPTION_ID_BASE
from centrifast_loadgen.messages import LENGTH_DELIMITED
from centrifast_loadgen.settings import Protocol, Settings

CONNECT_ID = 1
SUBPROTOCOL = {Protocol.PROTOBUF: "centrifuge-protobuf"}
DECODERS: dict[Protocol, Callable[[bytes], messages.Message]] = {
    Protocol.JSON: messages.decode_json,
    Protocol.PROTOBUF: messages.decode_protobuf,
    Protocol.RAW: messages.decode_json,
}
# Commands of one WebSocket message: Centrifugo refuses messages over 64 KiB by default.
SUBSCRIBES_PER_MESSAGE = 100

Recovery = tuple[str, int]  # epoch and offset to recover from


def commands(
    settings: Settings, channels: Sequence[str], token: str = "", recoveries: Sequence[Recovery | None] = ()
) -> list[bytes]:
    """The WebSocket messages of a connection: connect, then all subscriptions, not waiting for replies."""
    if settings.protocol is Protocol.RAW:
        return [settings.raw_subscribe.encode()] if settings.raw_subscribe else []
    known = recoveries or [None] * len(channels)
    subscribes = [
        subscribe(settings, slot, name, recovery)
        for slot, (name, recovery) in enumerate(zip(channels, known, strict=True))
    ]
    separator = b"" if settings.protocol is Protocol.PROTOBUF else b"\n"
    return [connect(settings, token or settings.token), *map(separator.join, _groups(subscribes))]


def connect(settings: Settings, token: str) -> bytes:
    """The connect command."""
    if settings.protocol is Protocol.PROTOBUF:
        return _command(CONNECT_ID, 4, _field(1, token.encode()) if token else b"")
    return _json({"id": CONNECT_ID, "connect": {"token": token} if token else {}})


def subscribe(settings: Settings, slot: int, channel: str, recovery: Recovery | None = None) -> bytes:
    """The subscribe command of a slot, which asks for what the scenario needs and recovers where it can."""
    number = SUBSCRIPTION_ID_BASE + slot
    epoch, offset = recovery or ("", 0)
    if settings.protocol is Protocol.PROTOBUF:
        fields = _field(1, channel.encode())
        if recovery is not None:
            fields += _flag(3) + _field(6, epoch.encode()) + _varint(7 << 3) + _varint(offset)
        fields += (_flag(9) + _flag(10)) * settings.recoverable + _flag(11) * settings.join_leave
        return _command(number, 5, fields)
    request: dict[str, Any] = {"channel": channel}
    if recovery is not None:
        request |= {"recover": True, "epoch": epoch, "offset": offset}
    if settings.recoverable:
        request |= {"positioned": True, "recoverable": True}
    if settings.join_leave:
        request["join_leave"] = True
    return _json({"id": number, "subscribe": request})


def payload(size: int, now_ns: int, number: int = 0) -> str:
    """Text that carries its time of publication and, unless 0, its number.

    *size* bytes, which is at least MARKER_SIZE; longer where a number of more than 8 digits needs that.
    """
    return (f"#t={now_ns}#{number}#" if number else f"#t={now_ns}#").ljust(size, "x")


def publication_body(settings: Settings, channel: str, now_ns: int, number: int = 0) -> bytes:
    """Body of the POST that publishes one message to *channel*."""
    text = payload(settings.payload, now_ns, number)
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


def _groups(items: list[bytes]) -> Iterator[Iterable[bytes]]:
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


def _flag(number: int) -> bytes:
    return _varint(number << 3) + b"\x01"


def _command(number: int, request: int, body: bytes) -> bytes:
    command = _varint(1 << 3) + _varint(number) + _field(request, body)
    return _varint(len(command)) + command
