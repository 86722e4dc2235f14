"""Any tree a client sends is refused for one of the known reasons, or means what a plain reading of the table says."""

import json
import re
from collections.abc import Mapping
from fractions import Fraction

from centrifast.protocol.codec import MalformedError
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.tags_filter import compile_filter
from centrifast.protocol.wire import FilterNode
from tests.fuzz.mutate import main
from tests.protocol.client_side import decoded

CMPS = ("eq", "neq", "sw", "ew", "ct", "gt", "gte", "lt", "lte")
LEAVES = [json.dumps({"key": "a", "cmp": cmp, "val": "1"}).encode() for cmp in CMPS]
SEEDS = [
    b'{"a":"10.50","b":"x"}\n{"op":"and","nodes":[{"key":"b","cmp":"in","vals":["x","y"]},'
    b'{"key":"a","cmp":"gte","val":"10.5"}]}',
    b'{"a":"-1"}\n{"op":"not","nodes":[{"op":"or","nodes":[%s]}]}' % b",".join(LEAVES),
    b'{"":"1"}\n{"op":"or","nodes":[{"cmp":"ex"},{"key":"a","cmp":"nex"},{"key":"b","cmp":"nin","vals":[""]}]}',
    *(b'{"a":"+01.0"}\n%s' % leaf for leaf in LEAVES),
]

_codec = JsonCodec()
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def check(data: bytes) -> None:
    """Tags and the tree are JSON, with a newline between them."""
    first, _, second = data.partition(b"\n")
    try:
        commands = decoded(
            _codec, b'{"id":1,"subscribe":{"channel":"a","tf":%s}}' % second.replace(b"\n", b"")
        )
        tags = json.loads(first)
    except (MalformedError, ValueError):
        return
    subscribe = commands[0].subscribe
    if subscribe is None or subscribe.tf is None:
        return
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        tags = {}
    try:
        compiled = compile_filter(subscribe.tf)
    except ValueError:
        return
    again = compile_filter(subscribe.tf)
    assert (again, hash(again)) == (compiled, hash(compiled))
    assert compiled.matches(tags) is means(subscribe.tf, tags)
    assert compiled.matches(None) is means(subscribe.tf, {})


def means(node: FilterNode, tags: Mapping[str, str]) -> bool:
    """Client protocol 9.1 row by row."""
    match node.op:
        case "and":
            return all(means(child, tags) for child in node.nodes)
        case "or":
            return any(means(child, tags) for child in node.nodes)
        case "not":
            return not means(node.nodes[0], tags)
    value = tags.get(node.key)
    match node.cmp:
        case "ex" | "nex":
            return (value is not None) == (node.cmp == "ex")
        case "in" | "nin":
            return ((value or "") in node.vals) == (node.cmp == "in")
        case "neq":
            return value != node.val
    return value is not None and _means_present(node.cmp, value, node.val)


def _means_present(cmp: str, value: str, wanted: str) -> bool:
    match cmp:
        case "eq":
            return value == wanted
        case "sw":
            return value[: len(wanted)] == wanted
        case "ew":
            return value[-len(wanted) :] == wanted
        case "ct":
            return value.find(wanted) >= 0
    if not (_NUMBER.fullmatch(value) and _NUMBER.fullmatch(wanted)):
        return False
    difference = Fraction(value) - Fraction(wanted)
    match cmp:
        case "gt":
            return difference > 0
        case "gte":
            return difference >= 0
        case "lt":
            return difference < 0
    assert cmp == "lte"
    return difference <= 0


if __name__ == "__main__":
    main(check, SEEDS)
