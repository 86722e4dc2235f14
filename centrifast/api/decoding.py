"""JSON of a call into its request, as forgiving about names as Centrifugo is (server specification 6.2).

How it works: nearly every body spells its fields as documented and is decoded straight into its struct. Where
that fails, because of a name in another case, an unknown name, or ``null`` in place of a text or number, the
body is rewritten along the description of the struct and decoded again: names in lowercase, unknown members
and ``null`` left out. Raw members pass through byte for byte on both ways, but for halves of a character.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw, inspect

from centrifast.api.messages import Request
from centrifast.protocol.surrogates import without_lone_surrogates

R = TypeVar("R", bound=Request)

_members = msgspec.json.Decoder(dict[str, Raw])
_elements = msgspec.json.Decoder(list[Raw])

_NULL = b"null"


class MalformedError(ValueError):
    """The body is no JSON, or a member has the wrong type."""


def decoder_of(request: type[R]) -> Callable[[bytes], R]:
    """A function that decodes a body into *request*, or raises ``MalformedError``."""
    strict = msgspec.json.Decoder(request)
    description = inspect.type_info(request)

    def decode(body: bytes) -> R:
        if not body.isascii():
            _check_utf8(body)
        try:
            return strict.decode(body)
        except (msgspec.DecodeError, RecursionError):
            pass  # worth a second look
        try:
            text = without_lone_surrogates(body.strip(b" \t\r\n"))
            return strict.decode(_rewrite(text, description))
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedError(str(error)) from None

    return decode


def _check_utf8(body: bytes) -> None:
    """Payloads go to clients in text frames, where one wrong byte ends the connection of every subscriber."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(str(error)) from None


def _rewrite(value: bytes, kind: inspect.Type) -> bytes:
    """*value* with the names that *kind* knows; ``null`` becomes the empty value of its kind."""
    if isinstance(kind, inspect.UnionType):  # a struct or null, where null means something
        return _NULL if value == _NULL else _rewrite(value, kind.types[0])
    if isinstance(kind, inspect.StructType):
        return b"{}" if value == _NULL else _rewrite_struct(value, kind)
    if isinstance(kind, inspect.DictType):
        members = {} if value == _NULL else _members.decode(value)
        return _object({name: _rewrite(bytes(member), kind.value_type) for name, member in members.items()})
    if isinstance(kind, inspect.CollectionType):
        elements = [] if value == _NULL else _elements.decode(value)
        return b"[%b]" % b",".join([_rewrite(bytes(element), kind.item_type) for element in elements])
    if value == _NULL and isinstance(kind, inspect.StrType):
        return b'""'
    return value


def _rewrite_struct(value: bytes, kind: inspect.StructType) -> bytes:
    fields = {field.encode_name: field.type for field in kind.fields}
    written: dict[str, bytes] = {}
    for name, raw in _members.decode(value).items():
        known = name.lower()
        member = bytes(raw)
        if known in fields and (member != _NULL or isinstance(fields[known], inspect.RawType)):
            written[known] = _rewrite(member, fields[known])
    return _object(written)


def _object(members: dict[str, bytes]) -> bytes:
    return msgspec.json.encode({name: Raw(member) for name, member in members.items()})
