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
from centrifast.protocol.wire import (
    Command,
    EncodedPresence,
    EncodedPublications,
    Encoding,
    Info,
    Pub,
    Push,
    Reply,
)

_KEY, _VALUE = b"\x0a", b"\x12"  # tags inside a map's entry: fields 1 and 2 (Protobuf encoding guide)
_MAX_VARINT_SIZE = 10  # bytes of a 64-bit value, seven bits each (Protobuf encoding guide)

Reader = Callable[[Any], Any]
Writer = Callable[[Any, str, Any], bytes | None]  # see _write

_parse_command = client_pb2.Command.FromString


class ProtobufCodec:
    """:class:`~centrifast.protocol.codec.Codec` for Protobuf connections."""

    encoding = Encoding.PROTOBUF

    def decode(self, frame: bytes) -> Iterator[tuple[Command, int]]:
        """Commands of the frame, lazily. About 3 µs each."""
        size = len(frame)
        if not size:
            raise MalformedError("empty frame")
        position = 0
        while position < size:
            length, start = _read_varint(frame, position)
            end = start + length
            if end > size:
                raise MalformedError("a command is longer than its frame")
            try:
                message = _parse_command(frame[start:end])
            except DecodeError as error:
                raise MalformedError(str(error)) from error
            yield _read(Command, message), end - position
            position = end

    def encode(self, reply: Reply) -> bytes:
        """One message with its length in front."""
        return _delimited(_serialized(client_pb2.Reply(), reply))

    def encode_push(self, push: Push) -> bytes:
        """A bare push with its length in front."""
        return _delimited(_serialized(client_pb2.Push(), push))

    def encode_publication(self, channel: str, pub: Pub) -> bytes:
        """A publication push with its length in front. About 1.5 µs."""
        message = client_pb2.Reply()
        push = message.push
        push.channel = channel
        push.pub.SetInParent()
        _write(push.pub, pub)
        return _delimited(message.SerializeToString())

    def encode_publications(self, publications: Sequence[Pub]) -> EncodedPublications:
        """The repeated field of a result, tags included: serialized messages are merged by joining them."""
        message = client_pb2.SubscribeResult()
        _write_structs(message, "publications", publications)
        return EncodedPublications(Raw(message.SerializeToString()))

    def encode_infos(self, infos: Mapping[str, Info]) -> bytes:
        """The map field of a result, tags included."""
        message = client_pb2.PresenceResult()
        _write_struct_map(message, "presence", infos)
        return message.SerializeToString()

    def encode_presence(self, parts: Sequence[bytes]) -> EncodedPresence:
        """Entries of a map are merged by joining them, too."""
        return EncodedPresence(Raw(b"".join(parts)))

    def text_payload(self, data: bytes) -> Raw:
        """The bytes themselves."""
        return Raw(data)


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


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _delimited(data: bytes) -> bytes:
    return _varint(len(data)) + data


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


def _serialized(message: Message, value: Struct) -> bytes:
    rest = _write(message, value)
    data = message.SerializeToString()
    return data + rest if rest else data


def _write(message: Message, value: Struct) -> bytes:
    """Set in *message* every field of *value* that is not zero or empty; return what is encoded already.

    That must follow the message when it is serialized, which is why a message inside that has such bytes is not set:
    it is serialized here and follows as well.
    """
    rest = b""
    for name, write in _writers(type(value)):
        item = getattr(value, name)
        if item:
            encoded = write(message, name, item)
            if encoded:
                rest += encoded
    return rest


def _field(message: Message, name: str, data: bytes) -> bytes:
    """The field *name* of *message* with *data* as its content: wire type 2 (Protobuf encoding guide)."""
    number: int = message.DESCRIPTOR.fields_by_name[name].number
    return _varint(number << 3 | 2) + _delimited(data)


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


def _write_struct(message: Message, name: str, value: Struct) -> bytes:
    child = getattr(message, name)
    child.SetInParent()  # an empty result must be on the wire: clients look for it (client protocol 12)
    rest = _write(child, value)
    if not rest:
        return rest
    data = child.SerializeToString() + rest
    message.ClearField(name)
    return _field(message, name, data)


def _write_structs(message: Message, name: str, values: Sequence[Struct] | EncodedPublications) -> bytes:
    if isinstance(values, EncodedPublications):
        return bytes(values.data)
    children = getattr(message, name)
    for value in values:
        _write(children.add(), value)  # has no rest: only results hold encoded publications
    return b""


def _write_texts(message: Message, name: str, values: Sequence[str]) -> None:
    getattr(message, name).extend(values)


def _write_struct_map(message: Message, name: str, values: Mapping[str, Struct] | EncodedPresence) -> bytes:
    if isinstance(values, EncodedPresence):
        return bytes(values.data)
    children = getattr(message, name)
    entries = b""
    for key, value in values.items():
        child = children[key]
        rest = _write(child, value)
        if rest:
            data = child.SerializeToString() + rest
            del children[key]
            entries += _field(message, name, _KEY + _delimited(key.encode()) + _VALUE + _delimited(data))
    return entries


def _write_text_map(message: Message, name: str, values: Mapping[str, str]) -> None:
    getattr(message, name).update(values)
