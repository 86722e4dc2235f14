"""Results into the bytes that Centrifugo answers (server specification 6.3).

How it works: ``pieces`` walks through a result and encodes it bit by bit, no more than ``PIECE_SIZE`` of what can be
long at once. ``write`` joins the pieces and lets the loop turn after every ``TURN_SIZE`` bytes: a presence or a
history of 100,000 entries is 100 ms of work (invariant 7). A short answer is one piece and never waits.

Payloads stand in an answer without blanks. What is stored and is no JSON can not stand there at all; it is answered
in base64, under the name with ``b64`` in front: nothing is lost, and one odd entry does not hide all others.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import DecodeError, Raw, Struct

from centrifast.api.messages import (
    AnyResult,
    BatchResult,
    BroadcastResult,
    ChannelsResult,
    Error,
    HistoryResult,
    Outcome,
    PresenceResult,
)
from centrifast.limits import KIB
from centrifast.model import ClientInfo, Publication
from centrifast.protocol.surrogates import without_lone_surrogates
from centrifast.protocol.wire import NO_DATA

PIECE_SIZE = 64 * KIB
"""Bytes encoded in one go: half a millisecond to one."""

TURN_SIZE = 128 * KIB
"""Bytes encoded between two turns of the loop, so that none is longer than about 5 ms."""

ENTRY_SIZE = 128
"""Bytes by which an entry of a list counts, besides what its payloads have: encoding it costs about as much."""

_encoder = msgspec.json.Encoder()
_ESCAPES = ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))
_ESCAPES_BEYOND_ASCII = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))

_LONG = (HistoryResult, PresenceResult, ChannelsResult, BroadcastResult, BatchResult)

_T = TypeVar("_T")


class _Info(Struct, frozen=True, omit_defaults=True):
    """``ClientInfo`` as written; msgspec makes base64 of bytes."""

    user: str
    client: str
    conn_info: Raw = NO_DATA
    chan_info: Raw = NO_DATA
    b64conn_info: bytes = b""
    b64chan_info: bytes = b""


class _Publication(Struct, frozen=True, omit_defaults=True):
    """``Publication`` as written."""

    data: Raw = NO_DATA
    b64data: bytes = b""
    info: _Info | None = None
    offset: int = 0
    tags: Mapping[str, str] | None = None


WRITTEN: Mapping[type, type] = {ClientInfo: _Info, Publication: _Publication}
"""The form in which values of the domain stand in an answer, for whoever describes it."""


async def write(result: AnyResult | Error, opening: bytes = b"", closing: bytes = b"") -> bytes:
    """The JSON of a result between *opening* and *closing*."""
    if not isinstance(result, _LONG):
        return b"%b%b%b" % (opening, encode(result), closing)
    written = [opening]
    size = 0
    for piece in pieces(result):
        written.append(piece)
        size += len(piece) + ENTRY_SIZE
        if size > TURN_SIZE:
            await asyncio.sleep(0)
            size = 0
    written.append(closing)
    return b"".join(written)


def encode(value: object) -> bytes:
    """Compact JSON with the characters escaped that Centrifugo escapes; they occur only inside strings."""
    text = _encoder.encode(value)
    for character, escaped in _ESCAPES:
        text = text.replace(
            character, escaped
        )  # a search at memory speed, and the same object if nothing is found
    if not text.isascii():
        for character, escaped in _ESCAPES_BEYOND_ASCII:
            text = text.replace(character, escaped)
    return text


def pieces(result: AnyResult | Error) -> Iterator[bytes]:
    """The JSON of a result, of which no piece is much longer than ``PIECE_SIZE`` or one entry."""
    if isinstance(result, HistoryResult):
        publications = (
            [_written(one) for one in part] for part in _parts(result.publications, _publication_size)
        )
        position = b'],"epoch":%b,"offset":%d}' % (encode(result.epoch), result.offset)
        yield from _enclosed(b'{"publications":[', publications, position)
    elif isinstance(result, PresenceResult):
        clients = _parts(list(result.presence.items()), _client_size)
        infos = ({client: _written_info(info) for client, info in part} for part in clients)
        yield from _enclosed(b'{"presence":{', infos, b"}}")
    elif isinstance(result, ChannelsResult):
        channels = _parts(list(result.channels.items()), lambda item: len(item[0]))
        yield from _enclosed(b'{"channels":{', map(dict, channels), b"}}")
    elif isinstance(result, BroadcastResult):
        yield from _enclosed(b'{"responses":[', _parts(result.responses, _no_payload), b"]}")
    elif isinstance(result, BatchResult):
        yield from _batch_pieces(result)
    else:
        yield encode(result)


def _batch_pieces(batch: BatchResult) -> Iterator[bytes]:
    opening = b'{"replies":['
    for reply in batch.replies:
        ((name, result),) = reply.items()
        yield b'%b{"%b":' % (opening, name.encode())
        yield from pieces(result)
        opening = b"},"
    yield b"}]}" if batch.replies else b"{}"


def _enclosed(opening: bytes, parts: Iterable[object], closing: bytes) -> Iterator[bytes]:
    """Lists or objects as if they were one, between *opening* and *closing*."""
    for part in parts:
        yield opening
        yield encode(part)[1:-1]
        opening = b","
    if opening != b",":
        yield opening
    yield closing


def _parts(items: Sequence[_T], payload_size: Callable[[_T], int]) -> Iterator[Sequence[_T]]:
    """*items* in runs of about ``PIECE_SIZE``."""
    start = size = 0
    for end, item in enumerate(items, 1):
        size += ENTRY_SIZE + payload_size(item)
        if size >= PIECE_SIZE or end == len(items):
            yield items[start:end]
            start, size = end, 0


def _no_payload(_outcome: Outcome) -> int:
    return 0


def _publication_size(publication: Publication) -> int:
    info = publication.info
    return len(publication.data) + (0 if info is None else _info_size(info))


def _client_size(item: tuple[str, ClientInfo]) -> int:
    return _info_size(item[1])


def _info_size(info: ClientInfo) -> int:
    return len(info.conn_info) + len(info.chan_info)


def _written(publication: Publication) -> _Publication:
    data = compacted(publication.data)
    return _Publication(
        data=NO_DATA if data is None else data,
        b64data=publication.data if data is None else b"",
        info=None if publication.info is None else _written_info(publication.info),
        offset=publication.offset,
        tags=publication.tags or None,
    )


def _written_info(info: ClientInfo) -> _Info:
    conn_info, chan_info = compacted(info.conn_info), compacted(info.chan_info)
    return _Info(
        user=info.user,
        client=info.client,
        conn_info=NO_DATA if conn_info is None else conn_info,
        chan_info=NO_DATA if chan_info is None else chan_info,
        b64conn_info=info.conn_info if conn_info is None else b"",
        b64chan_info=info.chan_info if chan_info is None else b"",
    )


def compacted(payload: bytes) -> Raw | None:
    """The payload as it can stand in an answer, without blanks; None if it is no JSON.

    Numbers and strings stay as they are written, but half a character becomes U+FFFD, as it does for subscribers.
    """
    if not payload:
        return NO_DATA
    try:
        if not payload.isascii():
            payload.decode()  # msgspec skips over strings without a look at their encoding
        try:
            return Raw(msgspec.json.format(payload, indent=-1))
        except DecodeError:
            return Raw(msgspec.json.format(without_lone_surrogates(payload), indent=-1))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
