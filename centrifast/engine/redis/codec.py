"""What stands in Redis and travels over its PUB/SUB: values and frames (engines specification 3.2, 3.3). Pure.

Values are protobuf whatever clients speak, in messages of the client protocol; ``google.protobuf`` takes 0.5 µs for a
publication either way, less than anything written in Python. Frames with a position are made by the scripts:

    publication                       a bare publication, without history
    __p1:OFFSET:EPOCH__publication
    __d1:OFFSET:EPOCH:SIZE:publication before:SIZE:publication
    __j__info    __l__info            who has come and who has left
"""

from collections.abc import Mapping

import msgspec
from google.protobuf import message as protobuf

from centrifast.model import NO_POSITION, ClientInfo, Publication, StreamPosition
from centrifast.protocol import client_pb2

_MARK = b"__"  # no publication begins like this: 0x5f is no tag of a field it has
_JOIN, _LEAVE = b"__j__", b"__l__"
_PUBLICATION, _DELTA = ord("p"), ord("d")
_OFFSET_MAX = 2**64 - 1


class DecodeError(Exception):
    """Bytes in Redis, or from its PUB/SUB, that nobody of ours can have put there."""


class PublicationFrame(msgspec.Struct, frozen=True, gc=False):
    """A publication, where it stands in its stream, and the one before it if it was made for delta."""

    publication: Publication
    position: StreamPosition
    previous: Publication | None = None


class JoinFrame(msgspec.Struct, frozen=True, gc=False):
    """Somebody has come."""

    info: ClientInfo


class LeaveFrame(msgspec.Struct, frozen=True, gc=False):
    """Somebody has left."""

    info: ClientInfo


Frame = PublicationFrame | JoinFrame | LeaveFrame


def encode_publication(
    data: bytes,
    info: ClientInfo | None,
    tags: Mapping[str, str] | None,
    time_ms: int,
    *,
    delta: bool = False,
) -> bytes:
    """A publication without position. *delta* is said only where no history does it."""
    message = client_pb2.Publication(data=data, tags=tags, delta=delta, time=time_ms)
    if info is not None:
        _write_info(message.info, info)
    return message.SerializeToString()


def encode_info(info: ClientInfo) -> bytes:
    """A client."""
    message = client_pb2.ClientInfo()
    _write_info(message, info)
    return message.SerializeToString()


def encode_join(info: ClientInfo) -> bytes:
    """Say that a client has come."""
    return _JOIN + encode_info(info)


def encode_leave(info: ClientInfo) -> bytes:
    """Say that a client has left."""
    return _LEAVE + encode_info(info)


def decode_info(data: bytes) -> ClientInfo:
    """A client. Raises ``DecodeError``."""
    try:
        return _read_info(client_pb2.ClientInfo.FromString(data))
    except protobuf.DecodeError as error:
        raise DecodeError(str(error)) from error


def decode_publication(data: bytes, offset: int) -> Publication:
    """A publication that is kept under *offset*. Raises ``DecodeError``."""
    return _read_publication(_parse(data), offset)


def decode_element(data: bytes) -> tuple[str, Publication]:
    """What a list keeps: the epoch, and a publication with its offset. Raises ``DecodeError``."""
    if not data.startswith(b"__p"):
        raise DecodeError("no header")
    position, message = _split_header(data)
    return position.epoch, _read_publication(message, position.offset)


def decode_frame(data: bytes) -> Frame:
    """Whatever came over PUB/SUB. Raises ``DecodeError``, also for a kind that is not known."""
    if not data.startswith(_MARK):
        message = _parse(data)
        return _frame(message, StreamPosition(message.offset, message.epoch), None)
    kind = data[2] if len(data) > 2 else 0
    if kind == _PUBLICATION:
        position, message = _split_header(data)
        return _frame(message, position, None)
    if kind == _DELTA:
        return _decode_delta(data)
    if data.startswith(_JOIN):
        return JoinFrame(decode_info(data[len(_JOIN) :]))
    if data.startswith(_LEAVE):
        return LeaveFrame(decode_info(data[len(_LEAVE) :]))
    raise DecodeError("a frame of unknown kind")


def _decode_delta(data: bytes) -> PublicationFrame:
    """Read by sizes: a payload may hold whatever would be searched for."""
    parts = data.split(b":", 4)
    if len(parts) < 5:
        raise DecodeError("the header does not end")
    position = StreamPosition(_number(parts[1]), _text(parts[2]))
    before, rest = _cut(parts[3], parts[4])
    if rest[:1] != b":":
        raise DecodeError("a publication is not as long as is said")
    size, colon, rest = rest[1:].partition(b":")
    current, rest = _cut(size, rest)
    if not colon or rest:
        raise DecodeError("a publication is not as long as is said")
    previous = decode_publication(before, position.offset - 1) if before and position.offset > 1 else None
    return _frame(_parse(current), position, previous)


def _split_header(data: bytes) -> tuple[StreamPosition, client_pb2.Publication]:
    header, end, payload = data[2:].partition(_MARK)
    parts = header.split(b":", 2)
    if not end or len(parts) < 3:
        raise DecodeError("the header does not end")
    return StreamPosition(_number(parts[1]), _text(parts[2])), _parse(payload)


def _frame(
    message: client_pb2.Publication, position: StreamPosition, previous: Publication | None
) -> PublicationFrame:
    """What a publication says of itself counts more than the header. The first of a stream carries the epoch (2.3)."""
    if message.offset:
        position = StreamPosition(message.offset, message.epoch or position.epoch)
    if not position.offset:
        return PublicationFrame(_read_publication(message, 0), NO_POSITION, None)
    epoch = position.epoch if position.offset == 1 else ""
    return PublicationFrame(_read_publication(message, position.offset, epoch), position, previous)


def _cut(size: bytes, data: bytes) -> tuple[bytes, bytes]:
    length = _number(size)
    if length > len(data):
        raise DecodeError("a publication is not as long as is said")
    return data[:length], data[length:]


def _number(digits: bytes) -> int:
    """A decimal number that an offset may have; ``int`` alone takes spaces, signs and underscores too."""
    if not digits.isdigit() or len(digits) > 20 or (number := int(digits)) > _OFFSET_MAX:
        raise DecodeError("a number is none")
    return number


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError("an epoch is no UTF-8") from error


def _parse(data: bytes) -> client_pb2.Publication:
    try:
        return client_pb2.Publication.FromString(data)
    except protobuf.DecodeError as error:
        raise DecodeError(str(error)) from error


def _read_publication(message: client_pb2.Publication, offset: int, epoch: str = "") -> Publication:
    info = _read_info(message.info) if message.HasField("info") else None
    tags = message.tags
    return Publication(message.data, offset, info, dict(tags) if tags else None, epoch, message.time)


def _read_info(message: client_pb2.ClientInfo) -> ClientInfo:
    return ClientInfo(message.user, message.client, message.conn_info, message.chan_info)


def _write_info(message: client_pb2.ClientInfo, info: ClientInfo) -> None:
    """Set what is not empty, and make the message be there even if all is."""
    message.SetInParent()
    message.user, message.client = info.user, info.client
    message.conn_info, message.chan_info = info.conn_info, info.chan_info
