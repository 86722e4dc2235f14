"""Hypothesis strategies for messages: every field of the schema, in the range its Protobuf type gives it."""

from typing import Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st
from msgspec import Raw, Struct

from centrifast.protocol import client_pb2
from centrifast.protocol.schema import Field, Kind, fields_of
from centrifast.protocol.wire import NO_DATA, Command, FilterNode, Push, Reply

_RANGES = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
}

# Descriptors are Any: their stubs know two classes of that name, and say None where there is a message.

texts = st.text(max_size=8)

_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
)
_documents = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)

payloads = st.just(NO_DATA) | _documents.map(lambda document: Raw(msgspec.json.encode(document)))
"""Payloads that both encodings can carry: JSON in one line, or nothing."""

filters = st.recursive(
    st.builds(FilterNode, key=texts, cmp=texts, val=texts, vals=st.just(()) | st.lists(texts, min_size=1)),
    lambda inner: st.builds(FilterNode, op=texts, nodes=st.lists(inner, min_size=1, max_size=2)),
    max_leaves=4,
)


def _values(struct: type[Struct], field: Field, descriptor: Any) -> st.SearchStrategy[Any]:
    wire = descriptor.fields_by_name[field.name]
    if field.struct is FilterNode:
        return st.none() | filters
    match field.kind:
        case Kind.PAYLOAD:
            return payloads
        case Kind.STRUCT if field.struct:
            return structs(field.struct, wire.message_type)
        case Kind.LIST if field.struct:
            return _emptied(struct, field, st.lists(structs(field.struct, wire.message_type), max_size=2))
        case Kind.MAP:
            inner: st.SearchStrategy[Any] = texts
            if field.struct is not None:
                inner = structs(field.struct, wire.message_type.fields_by_name["value"].message_type)
            return _emptied(struct, field, st.dictionaries(texts, inner, max_size=2))
    if wire.type == FieldDescriptor.TYPE_STRING:
        return texts
    if wire.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    low, high = _RANGES[wire.type]
    return st.integers(low, high)


def _emptied(struct: type[Struct], field: Field, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A list or map whose default is None is that when it is empty, as it comes back from the wire."""
    defaults = {info.name: info.default for info in msgspec.structs.fields(struct)}
    return strategy.map(lambda items: items or None) if defaults[field.name] is None else strategy


def structs(struct: type[Struct], descriptor: Any) -> st.SearchStrategy[Any]:
    """Any value of *struct*, which *descriptor* describes."""
    keywords: dict[str, st.SearchStrategy[Any]] = {}
    for field in fields_of(struct):
        values = _values(struct, field, descriptor)
        keywords[field.name] = (
            values if field.required or field.kind is not Kind.STRUCT else st.none() | values
        )
    return st.builds(struct, **keywords)


def _one_of_fields(struct: type[Struct], descriptor: Any, always: set[str]) -> st.SearchStrategy[Any]:
    fields = {field.name: _values(struct, field, descriptor) for field in fields_of(struct)}
    common = {name: fields[name] for name in always}
    alternatives = [
        st.builds(struct, **common, **{name: values}) for name, values in fields.items() if name not in always
    ]
    return st.one_of(alternatives)


pushes = _one_of_fields(Push, client_pb2.Push.DESCRIPTOR, {"channel"})
replies = _one_of_fields(Reply, client_pb2.Reply.DESCRIPTOR, {"id"})
commands = _one_of_fields(Command, client_pb2.Command.DESCRIPTOR, {"id"})
