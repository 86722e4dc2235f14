"""The other end of the protocol: what a client writes and reads, made without the codecs."""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.message import Message
from msgspec import Raw, Struct

from centrifast.protocol import client_pb2
from centrifast.protocol.codec import Codec
from centrifast.protocol.schema import Kind, fields_of
from centrifast.protocol.wire import NO_DATA, Command, Push, Reply

_parse: dict[type[Struct], Callable[[bytes], Message]] = {
    Command: client_pb2.Command.FromString,
    Reply: client_pb2.Reply.FromString,
    Push: client_pb2.Push.FromString,
}


def json_line(command: Command) -> bytes:
    """A command as a client writes it: zero values left out."""
    return msgspec.json.encode(_plain(command))


def _plain(value: Struct) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for field in fields_of(type(value)):
        item = getattr(value, field.name)
        if item is None or (not item and field.kind is not Kind.STRUCT):
            continue
        if field.struct is None:
            members[field.name] = item
        elif field.kind is Kind.LIST:
            members[field.name] = [_plain(element) for element in item]
        elif field.kind is Kind.MAP:
            members[field.name] = {key: _plain(element) for key, element in item.items()}
        else:
            members[field.name] = _plain(item)
    return members


def protobuf_frame(command: Command) -> bytes:
    """A command as a client writes it, behind its length."""
    data = client_pb2.Command(**_keywords(command)).SerializeToString()
    return varint(len(data)) + data


def _keywords(value: Struct) -> dict[str, Any]:
    keywords = _plain(value)
    for field in fields_of(type(value)):
        if field.name not in keywords:
            continue
        item = getattr(value, field.name)
        if field.kind is Kind.PAYLOAD:
            keywords[field.name] = bytes(item)
        elif field.struct is not None and field.kind is Kind.STRUCT:
            keywords[field.name] = _keywords(item)
        elif field.struct is not None and field.kind is Kind.LIST:
            keywords[field.name] = [_keywords(element) for element in item]
        elif field.struct is not None:
            keywords[field.name] = {key: _message(element) for key, element in item.items()}
    return keywords


def _message(value: Struct) -> Message:
    message: Message = getattr(client_pb2, type(value).__name__)(**_keywords(value))
    return message


def varint(number: int) -> bytes:
    """*number* in seven-bit groups, the lowest first."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def read_protobuf(struct: type[Struct], frame: bytes) -> Any:
    """The one message of *frame* as a *struct*."""
    length, shift, position = 0, 0, 0
    while True:
        byte = frame[position]
        length |= (byte & 0x7F) << shift
        shift, position = shift + 7, position + 1
        if byte < 0x80:
            break
    assert len(frame) == position + length
    return _value(struct, _parse[struct](frame[position:]))


def _value(struct: type[Struct], message: Message) -> Any:
    values = {}
    for field in fields_of(struct):
        item: Any = getattr(message, field.name)
        match field.kind, field.struct:
            case Kind.STRUCT, type() as inner:
                item = _value(inner, item) if message.HasField(field.name) else None
            case Kind.LIST, None:
                item = list(item)
            case Kind.LIST, type() as inner:
                item = [_value(inner, element) for element in item]
            case Kind.MAP, None:
                item = dict(item)
            case Kind.MAP, type() as inner:
                item = {key: _value(inner, item[key]) for key in item}
            case Kind.PAYLOAD, _:
                item = Raw(item) if item else NO_DATA
        if item or field.required:
            values[field.name] = item
    return struct(**values)


def decoded(codec: Codec, frame: bytes) -> list[Command]:
    """The commands of a frame, without their sizes."""
    return [command for command, _ in codec.decode(frame)]
