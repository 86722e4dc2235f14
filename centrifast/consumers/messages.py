"""Messages of queues -> calls of the server API. Pure (server specification 8.1 and 10.4).

A message says what to do in one of three forms: ``{"method": ..., "payload": {...}}``, where ``payload`` may also be
called ``params``, or be a text that holds JSON; a bare payload, with the method beside it; or the data of a
publication, with everything else beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from centrifast.api.decoding import MalformedError, decoder_of
from centrifast.api.messages import BroadcastRequest, PublishRequest, Request
from centrifast.api.methods import METHODS as API_METHODS
from centrifast.config.schema_consumer import ValueDataMode
from centrifast.protocol.surrogates import without_lone_surrogates
from centrifast.protocol.wire import MAX_UINT64, NO_DATA

METHODS = ("publish", "broadcast", "subscribe", "unsubscribe", "disconnect", "history_remove", "refresh")
"""Those that change something and whose answer nobody needs. Their names are case-sensitive."""

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
"""Words for switches beside a publication, as Centrifugo reads them; an empty one is off."""

_decode_request = {name: decoder_of(API_METHODS[name][0]) for name in METHODS}
_decode_text = msgspec.json.Decoder(str).decode
_decode_pieces = msgspec.json.Decoder(list[Raw]).decode


class Call(Struct, frozen=True):
    """One call of the API, ready to be made."""

    method: str
    request: Any


class _Written(Request, frozen=True):
    """A message in its first form; the old form has ``data`` only. What else it holds means nothing."""

    method: str = ""
    payload: Raw = NO_DATA
    params: Raw = NO_DATA
    data: Raw = NO_DATA
    id: Raw = NO_DATA
    uid: Raw = NO_DATA


_decode_written = decoder_of(_Written)


def decode_call(message: bytes) -> Call:
    """Take a message that names its method. Raises ``MalformedError``, also for methods that queues have not."""
    return _call_of(_decode_written(message))


def decode_calls(message: bytes) -> Sequence[Call | MalformedError]:
    """Take a message that may also have the old form, ``{"data": [<message>, ...]}``.

    A piece of the old form that can not be read stands as its error in the place of its call; raises
    ``MalformedError`` where there are no pieces.
    """
    written = _decode_written(message)
    if written.method or not bytes(written.data):
        return (_call_of(written),)
    return [_attempted(bytes(piece)) for piece in pieces_of(written)]


def rest_of(message: bytes, done: int) -> bytes:
    """A message of the old form without its first *done* pieces."""
    pieces = pieces_of(_decode_written(message))[done:]
    return b'{"data":[%b]}' % b",".join(map(bytes, pieces))


def pieces_of(written: _Written) -> Sequence[Raw]:
    """The messages in one of the old form. Raises ``MalformedError``."""
    try:
        return _decode_pieces(written.data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(f"data: {error}") from None


def _attempted(message: bytes) -> Call | MalformedError:
    try:
        return decode_call(message)
    except MalformedError as error:
        return error


def _call_of(written: _Written) -> Call:
    payload = bytes(written.payload) or bytes(written.params)
    if not written.method:
        raise MalformedError("no method")
    return decode_payload(written.method, payload)


def decode_payload(method: str, payload: bytes) -> Call:
    """Take a payload whose *method* stands beside it. Raises like ``decode_call``."""
    decode = _decode_request.get(method)
    if decode is None:
        raise MalformedError("unsupported method")
    if not payload:
        raise MalformedError("no payload")
    if payload.lstrip(b" \t\r\n").startswith(b'"'):  # what tools for captured changes make of a JSON column
        payload = _unquoted(payload)
    return Call(method, decode(payload))


def _unquoted(payload: bytes) -> bytes:
    try:
        return _decode_text(without_lone_surrogates(payload)).encode()
    except msgspec.DecodeError as error:
        raise MalformedError(f"payload: {error}") from None


def decode_publication(data: bytes, fields: Mapping[str, bytes], names: ValueDataMode) -> Call:
    """Take the data of a publication, with everything else in *fields*. Raises ``MalformedError``."""
    channels = [channel for channel in _text(fields, names.channels_value).split(",") if channel]
    if not channels:
        raise MalformedError(f"no channels in {names.channels_value}")
    values: dict[str, Any] = {
        "data": Raw(data),
        "idempotency_key": _text(fields, names.idempotency_key_value),
        "delta": _switch(fields, names.delta_value),
        "version": _number(fields, names.version_value),
        "version_epoch": _text(fields, names.version_epoch_value),
        "tags": _tags(fields, names.tags_value_prefix),
    }
    if len(channels) == 1:
        return Call("publish", PublishRequest(channel=channels[0], **values))
    return Call("broadcast", BroadcastRequest(channels=channels, **values))


def _text(fields: Mapping[str, bytes], name: str) -> str:
    try:
        return fields.get(name, b"").decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{name} is no UTF-8") from None


def _switch(fields: Mapping[str, bytes], name: str) -> bool:
    word = _text(fields, name)
    if word not in TRUE and word not in FALSE:
        raise MalformedError(f"{name} is neither true nor false")
    return word in TRUE


def _number(fields: Mapping[str, bytes], name: str) -> int:
    word = _text(fields, name)
    if not word:
        return 0
    # Digits only, and few: int() also takes blanks, signs, underscores, and digits of every script.
    if not (word.isascii() and word.isdecimal()) or len(word) > 20 or int(word) > MAX_UINT64:
        raise MalformedError(f"{name} is no unsigned number of 64 bits")
    return int(word)


def _tags(fields: Mapping[str, bytes], prefix: str) -> Mapping[str, str]:
    if not prefix:
        return {}  # every field would be one
    return {
        name.removeprefix(prefix): _text(fields, name)
        for name in fields
        if name.startswith(prefix) and name != prefix
    }
