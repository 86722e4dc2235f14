"""The JSON encoding: one message per line, payloads embedded as they came (client protocol 1.3).

A line of a well-behaved client costs one msgspec call. What that call refuses gets a second look, because
the protocol is more lenient than msgspec in two points: ``null`` means that a field is absent, and a client
in JavaScript may cut an emoji in half, which leaves an escaped surrogate without its partner.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import DecodeError, Raw, Struct

from centrifast.protocol.codec import MalformedError, NotJsonError
from centrifast.protocol.schema import Field, Kind, fields_of, has_payload
from centrifast.protocol.surrogates import without_lone_surrogates
from centrifast.protocol.wire import (
    NO_DATA,
    Command,
    EncodedPresence,
    EncodedPublications,
    Encoding,
    Info,
    Pub,
    Push,
    Reply,
)

S = TypeVar("S", bound=Struct)

_decode_command = msgspec.json.Decoder(Command).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.Decoder().decode
_check_json = msgspec.json.Decoder(Raw).decode  # skips over one value: the cheapest full syntax check
_encode = msgspec.json.Encoder().encode


class JsonCodec:
    """:class:`~centrifast.protocol.codec.Codec` for JSON connections."""

    encoding = Encoding.JSON

    def decode(self, frame: bytes) -> Iterator[tuple[Command, int]]:
        """Commands of the frame's lines, lazily; one newline at the end is tolerated. About 0.5 µs each."""
        for line in frame.removesuffix(b"\n").split(b"\n"):
            try:
                if not line.isascii():
                    line.decode()  # payloads are skipped over, so nobody else looks at their bytes
                command = _decode_command(line)
            except (DecodeError, UnicodeDecodeError, RecursionError):
                command = _decode_leniently(line)
            yield command, len(line)

    def encode(self, reply: Reply) -> bytes:
        """One line without its newline; raises ``NotJsonError`` for a payload that cannot be embedded."""
        return _encode(_embeddable(reply))

    def encode_push(self, push: Push) -> bytes:
        """A bare push as one line without its newline; raises ``NotJsonError``."""
        return _encode(_embeddable(push))

    def encode_publication(self, channel: str, pub: Pub) -> bytes:
        """A publication push as one line without its newline; raises ``NotJsonError``. About 0.9 µs."""
        return _encode(Reply(push=Push(channel=channel, pub=_embeddable(pub))))

    def encode_publications(self, publications: Sequence[Pub]) -> EncodedPublications:
        """The array that stands in a result; raises ``NotJsonError``."""
        return EncodedPublications(
            Raw(_encode(_fit_required_list(publications))) if publications else NO_DATA
        )

    def encode_infos(self, infos: Mapping[str, Info]) -> bytes:
        """A JSON object; raises ``NotJsonError``."""
        return _encode({client: _embeddable(info) for client, info in infos.items()})

    def encode_presence(self, parts: Sequence[bytes]) -> EncodedPresence:
        """One object of several."""
        return EncodedPresence(Raw(b"{%b}" % b",".join([part[1:-1] for part in parts])))

    def text_payload(self, data: bytes) -> Raw:
        """A JSON string; what is no UTF-8 in it becomes U+FFFD. No newline is left in it."""
        return Raw(_encode(data.decode(errors="replace")))


# ---------------------------------------------------------------- decoding


def _decode_leniently(line: bytes) -> Command:
    """Decode a line that was refused once; raises ``MalformedError`` when there is no excuse for it."""
    try:
        line.decode()
        return _decode_command(_without_nulls(without_lone_surrogates(line), Command))
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(str(error)) from error


def _without_nulls(value: bytes | Raw, struct: type[Struct]) -> Raw:
    """The same JSON object without unknown members and those that are ``null``; payloads stay as they are.

    Only messages that hold payloads are taken apart member by member, so a line is read four times at most,
    however deep a filter inside it is nested.
    """
    members = _decode_members(value)
    kept = {}
    for field in fields_of(struct):
        member = members.get(field.name)
        if member is None:
            continue
        if field.kind is Kind.PAYLOAD:
            kept[field.name] = member
        elif bytes(member) != b"null":
            kept[field.name] = _member_without_nulls(member, field)
    return Raw(_encode(kept))


def _member_without_nulls(member: Raw, field: Field) -> Raw:
    if field.struct is None:
        return member
    if not has_payload(field.struct):
        return Raw(_encode(_prune(_decode_any(member))))
    if field.kind is Kind.MAP:
        items = _decode_members(member)
        return Raw(_encode({key: _without_nulls(item, field.struct) for key, item in items.items()}))
    return _without_nulls(member, field.struct)


def _prune(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _prune(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_prune(item) for item in value]
    return value


# ---------------------------------------------------------------- encoding


def _embeddable(message: S) -> S:
    """*message* with every payload fit to stand in a line, and empty payloads, lists and maps left out.

    The same object when there is nothing to do, which is the rule. Raises ``NotJsonError``.
    """
    changes = {}
    for name, fit in _fits(type(message)):
        value = getattr(message, name)
        if value is not None and value is not NO_DATA:
            fitting = fit(value)
            if fitting is not value:
                changes[name] = fitting
    return msgspec.structs.replace(message, **changes) if changes else message


@cache
def _fits(struct: type[Struct]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """The fields of *struct* that need a look before they are encoded, each with the function that looks."""
    fits: list[tuple[str, Callable[[Any], Any]]] = []
    for field in fields_of(struct):
        holds_payload = field.struct is not None and has_payload(field.struct)
        if field.kind is Kind.PAYLOAD:
            fits.append((field.name, _fit_payload))
        elif field.kind is Kind.STRUCT and holds_payload:
            fits.append((field.name, _embeddable))
        elif field.kind is Kind.LIST and holds_payload:
            fits.append((field.name, _fit_required_list if field.required else _fit_list))
        elif field.kind is Kind.MAP:
            fits.append((field.name, _map_fit(holds_payload, field.required)))
    return tuple(fits)


def _fit_payload(payload: Raw) -> Raw:
    data = bytes(payload)
    if not data:
        return NO_DATA
    try:
        if not data.isascii():
            data.decode()
        _check_json(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        payload = Raw(_repaired(data))
        data = bytes(payload)
    return Raw(data.replace(b"\n", b"")) if b"\n" in data else payload


def _repaired(data: bytes) -> bytes:
    try:
        data.decode()
        repaired = without_lone_surrogates(data)
        _check_json(repaired)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJsonError(str(error)) from error
    return repaired


def _fit_required_list(items: Sequence[Struct]) -> Sequence[Struct]:
    return [_embeddable(item) for item in items]


def _fit_list(items: Sequence[Struct] | EncodedPublications) -> Sequence[Struct] | Raw | None:
    if isinstance(items, EncodedPublications):
        return items.data or None  # looked at when it was made: copied as it stands
    return _fit_required_list(items) if items else None


def _map_fit(holds_payload: bool, required: bool) -> Callable[[Any], Mapping[str, Any] | Raw | None]:
    def fit(items: Mapping[str, Any] | EncodedPresence) -> Mapping[str, Any] | Raw | None:
        if isinstance(items, EncodedPresence):
            return items.data  # looked at when it was made
        if not items and not required:
            return None
        return {key: _embeddable(item) for key, item in items.items()} if holds_payload else items

    return fit
