"""What the structs of :mod:`centrifast.protocol.wire` are made of: the table both codecs are driven by."""

import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct


class Kind(Enum):
    """How a field's value is built."""

    VALUE = "number, truth value or text"
    PAYLOAD = "the application's bytes"
    STRUCT = "one message, or None"
    LIST = "messages, or texts"
    MAP = "messages by text key, or texts"


class Field(NamedTuple):
    """One field; *struct* is the type of the message (for LIST and MAP, of each) or None."""

    name: str
    kind: Kind
    struct: type[Struct] | None
    required: bool


@cache
def fields_of(struct: type[Struct]) -> tuple[Field, ...]:
    """Fields of *struct* in their order."""
    hints = typing.get_type_hints(struct)
    return tuple(
        Field(field.name, *_shape(hints[field.name]), field.required)
        for field in msgspec.structs.fields(struct)
    )


def _shape(hint: Any) -> tuple[Kind, type[Struct] | None]:
    if typing.get_origin(hint) is types.UnionType:  # what it is made of comes first, `None` last
        hint = typing.get_args(hint)[0]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Raw:
        return Kind.PAYLOAD, None
    if origin is Sequence:
        return Kind.LIST, _struct(arguments[0])
    if origin is Mapping:
        return Kind.MAP, _struct(arguments[1])
    struct = _struct(hint)
    return (Kind.VALUE, None) if struct is None else (Kind.STRUCT, struct)


def _struct(hint: type) -> type[Struct] | None:
    return hint if issubclass(hint, Struct) else None


@cache
def has_payload(struct: type[Struct]) -> bool:
    """Whether *struct* or a message inside it carries a payload."""
    for field in fields_of(struct):
        if field.kind is Kind.PAYLOAD:
            return True
        if field.struct is not None and field.struct is not struct and has_payload(field.struct):
            return True
    return False
