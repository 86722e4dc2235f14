"""The Protobuf encoding: each message behind its length as a varint, payloads any bytes.

Structs and generated messages have the same field names, so a table of readers and one of writers per
struct, made on first use, map every message.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from google.protobuf.message import DecodeError, Message
from msgspec import Raw, Struct

from centrifast.protocol import client_pb2
from centrifast.protocol.codec import MalformedError
from centrifast.protocol.schema import Field, Kind, fields_of
from centrifast.protocol.wire import Command, EncodedPublications, Encoding, Pub, Push, Reply

_MAX_VARINT_SIZE = 10  # bytes of a 64-bit value, seven bits each (Protobuf encoding guide)

Reader = Callable[[Any], Any]
Writer = Callable[[Any, str, Any], None]

_parse_command = client_pb2.Command.FromString


class ProtobufCodec:
    """:class:`~centrifast.protocol.codec.Codec` for Protobuf connections."""

    encoding = Encoding.PROTOBUF

    def decode(self, frame: bytes) -> Iterator[Command]:
        """Commands of the frame, lazily. About 3 µs each."""
        size = len(frame)
        if not size:
            raise MalformedError("empty frame")
        position = 0
        while position < size:
            length, position = _read_varint(frame, position)
            end = position + length
            if end > size:
                raise MalformedError("a command is longer than its frame")
            try:
                message = _parse_command(frame[position:end])
            except DecodeError as error:
                raise MalformedError(str(error)) from error
            yield _read(Command, message)
            position = end

    def encode(self, reply: Reply) -> bytes:
        """One message with its length in front."""
        message = client_pb2.Reply()
        _write(message, reply)
        return _with_length(message)

    def encode_push(self, push: Push) -> bytes:
        """A bare push with its length in front."""
        message = client_pb2.Push()
        _write(message, push)
        return _with_length(message)

    def encode_publication(self, channel: str, pub: Pub) -> bytes:
        """A publication push with its length in front. About 1.5 µs."""
        message = client_pb2.Reply()
        push = message.push
        push.channel = channel
        push.pub.SetInParent()
        _write(push.pub, pub)
        return _with_length(message)

    def text_payload(self, data: bytes) -> Raw:
        """The payload itself."""
        return Raw(data)

    def encode_publications(self, publications: Sequence[Pub]) -> EncodedPublications:
        """A message with nothing else in it, merged into each result."""
        message = client_pb2.SubscribeResult()
        _write_structs(message, "publications", publications)
        return EncodedPublications(Raw(message.SerializeToString()))


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at *position* and the position behind it; raises ``MalformedError``."""
    byte = data[position]
    if byte < 0x80:
        return byte, position + 1
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_VARINT_SIZE]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError("a length does not end")


def _with_length(message: Message) -> bytes:
    data = message.SerializeToString()
    length = len(data)
    prefix = bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data


# ---------------------------------------------------------------- message -> struct


def _read(struct: type[Struct], message: Message) -> Any:
    """A *struct* with what is set in *message*; fields the struct does not know are left aside."""
    readers = _readers(struct)
    values = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        if name in readers:
            values[name] = readers[name](value)
    return struct(**values)


@cache
def _readers(struct: type[Struct]) -> dict[str, Reader]:
    return {field.name: _reader(field) for field in fields_of(struct)}


def _reader(field: Field) -> Reader:
    struct = field.struct
    match field.kind:
        case Kind.PAYLOAD:
            return Raw
        case Kind.STRUCT if struct:
            return partial(_read, struct)
        case Kind.LIST:
            return list if struct is None else lambda items: [_read(struct, item) for item in items]
        case Kind.MAP:
            return dict if struct is None else lambda items: {key: _read(struct, items[key]) for key in items}
    return lambda value: value


# ---------------------------------------------------------------- struct -> message


def _write(message: Message, value: Struct) -> None:
    """Set in *message* every field of *value* that is not zero or empty."""
    for name, write in _writers(type(value)):
        item = getattr(value, name)
        if item:
            write(message, name, item)


@cache
def _writers(struct: type[Struct]) -> tuple[tuple[str, Writer], ...]:
    return tuple((field.name, _writer(field)) for field in fields_of(struct))


def _writer(field: Field) -> Writer:
    match field.kind:
        case Kind.PAYLOAD:
            return _write_payload
        case Kind.STRUCT:
            return _write_struct
        case Kind.LIST:
            return _write_structs if field.struct else _write_texts
        case Kind.MAP:
            return _write_struct_map if field.struct else _write_text_map
    return setattr


def _write_payload(message: Message, name: str, payload: Raw) -> None:
    setattr(message, name, bytes(payload))


def _write_struct(message: Message, name: str, value: Struct) -> None:
    child = getattr(message, name)
    child.SetInParent()  # an empty result must be on the wire: clients look for it (client protocol 12)
    _write(child, value)


def _write_structs(message: Message, name: str, values: Sequence[Struct] | EncodedPublications) -> None:
    if isinstance(values, EncodedPublications):
        message.MergeFromString(bytes(values.data))
        return
    children = getattr(message, name)
    for value in values:
        _write(children.add(), value)


def _write_texts(message: Message, name: str, values: Sequence[str]) -> None:
    getattr(message, name).extend(values)


def _write_struct_map(message: Message, name: str, values: Mapping[str, Struct]) -> None:
    children = getattr(message, name)
    for key, value in values.items():
        _write(children[key], value)


def _write_text_map(message: Message, name: str, values: Mapping[str, str]) -> None:
    getattr(message, name).update(values)
