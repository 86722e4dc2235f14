"""The structs and client.proto are two descriptions of one protocol: they must agree."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from google.protobuf.descriptor import FieldDescriptor
from msgspec import Struct

from centrifast.protocol import client_pb2
from centrifast.protocol.schema import Field, Kind, fields_of
from centrifast.protocol.wire import (
    MAX_UINT64,
    REQUEST_FIELDS,
    Command,
    Push,
    Reply,
    Request,
    StreamPositionRequest,
    SubscribeRequest,
    check_offset,
)

# What client.proto has and the server does not serve: marked "later", or never sent to clients.
UNSERVED = {
    "Command": {"ping"},
    "Reply": {"ping"},
    "Push": {"id"},
    "Disconnect": {"reconnect"},
    "Publication": {"time", "channel", "removed", "score", "prev_data", "version"},
    "ConnectRequest": {"dict", "profile"},
    "ConnectResult": {"flag", "dict"},
    "SubscribeRequest": {"phase", "cursor", "limit", "asc"},
    "SubscribeResult": {"id", "type", "phase", "cursor", "state", "publish_debounce"},
    "SubRefreshRequest": {"track", "untrack"},
    "SubRefreshResult": {"items"},
    "PublishRequest": {"removed"},
}


def _inner(descriptor: Any, field: Field) -> Any:
    wire = descriptor.fields_by_name[field.name]
    if field.kind is Kind.MAP:
        wire = wire.message_type.fields_by_name["value"]
    return wire.message_type


def _pairs(struct: type[Struct], descriptor: Any) -> Iterator[tuple[type[Struct], Any]]:
    yield struct, descriptor
    for field in fields_of(struct):
        inner = _inner(descriptor, field)
        if field.struct is not None and field.struct is not struct and inner is not None:
            yield from _pairs(field.struct, inner)


PAIRS = {
    f"{struct.__name__}-{descriptor.name}": (struct, descriptor)
    for top, message in (
        (Command, client_pb2.Command.DESCRIPTOR),
        (Reply, client_pb2.Reply.DESCRIPTOR),
        (Push, client_pb2.Push.DESCRIPTOR),
    )
    for struct, descriptor in _pairs(top, message)
}


@pytest.mark.parametrize(("struct", "descriptor"), PAIRS.values(), ids=PAIRS)
def test_a_struct_has_the_fields_of_its_message(struct: type[Struct], descriptor: Any) -> None:
    assert set(struct.__struct_fields__) == set(descriptor.fields_by_name) - UNSERVED.get(
        descriptor.name, set()
    )


@pytest.mark.parametrize(("struct", "descriptor"), PAIRS.values(), ids=PAIRS)
def test_fields_are_of_the_kind_the_message_says(struct: type[Struct], descriptor: Any) -> None:
    for field in fields_of(struct):
        wire = descriptor.fields_by_name[field.name]
        assert (field.kind is Kind.PAYLOAD) == (wire.type == FieldDescriptor.TYPE_BYTES)
        assert (field.struct is not None) == (_inner(descriptor, field) is not None)
        assert (field.kind in {Kind.LIST, Kind.MAP}) == wire.is_repeated


def test_requests_are_in_the_order_that_decides() -> None:
    assert REQUEST_FIELDS == (
        "connect",
        "subscribe",
        "unsubscribe",
        "publish",
        "presence",
        "presence_stats",
        "history",
        "rpc",
        "send",
        "refresh",
        "sub_refresh",
    )


def test_every_request_field_has_its_type_in_the_union() -> None:
    types = {field.struct for field in fields_of(Command) if field.struct is not None}
    assert types == set(get_args(Request))


def test_every_request_but_send_has_a_result_of_the_same_name() -> None:
    assert set(REQUEST_FIELDS) - {"send"} <= set(Reply.__struct_fields__)


def test_an_offset_fits_into_64_bits() -> None:
    check_offset(MAX_UINT64)
    for struct in (SubscribeRequest, StreamPositionRequest):
        assert struct(offset=MAX_UINT64).offset == MAX_UINT64
        with pytest.raises(ValueError, match="2\\^64"):
            struct(offset=MAX_UINT64 + 1)
