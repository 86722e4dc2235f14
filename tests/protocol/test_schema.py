from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct

from centrifast.protocol.schema import Field, Kind, fields_of, has_payload
from centrifast.protocol.wire import NO_DATA, FilterNode, PublishResult, RefreshRequest


class Leaf(Struct):
    data: Raw = NO_DATA


class Tree(Struct):
    number: int
    leaf: Leaf | None = None
    leaves: Sequence[Leaf] | None = None
    by_name: Mapping[str, Leaf] = {}
    names: Sequence[str] = ()
    texts: Mapping[str, str] | None = None


class Deep(Struct):
    tree: Tree | None = None


def test_fields_are_told_apart_by_how_they_are_built() -> None:
    assert fields_of(Leaf) == (Field("data", Kind.PAYLOAD, None, False),)
    assert fields_of(Tree) == (
        Field("number", Kind.VALUE, None, True),
        Field("leaf", Kind.STRUCT, Leaf, False),
        Field("leaves", Kind.LIST, Leaf, False),
        Field("by_name", Kind.MAP, Leaf, False),
        Field("names", Kind.LIST, None, False),
        Field("texts", Kind.MAP, None, False),
    )
    assert fields_of(PublishResult) == ()


def test_a_payload_is_found_at_any_depth() -> None:
    assert has_payload(Leaf)
    assert has_payload(Deep)
    assert not has_payload(RefreshRequest)


def test_a_message_may_contain_itself() -> None:
    assert Field("nodes", Kind.LIST, FilterNode, False) in fields_of(FilterNode)
    assert not has_payload(FilterNode)
