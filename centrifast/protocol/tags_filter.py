"""Tags filters: from the tree that a subscriber sends to a function of a publication's tags (client protocol 9.1).

A tree is checked and turned into closures once, at subscribe. Filters that mean the same are equal, so subscribers
who send the same tree share one evaluation for each publication.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from centrifast.limits import FILTER_DEPTH, FILTER_NODES, FILTER_TEXT_SIZE
from centrifast.protocol.wire import FilterNode

Tags = Mapping[str, str]
Check = Callable[[Tags], bool]

_NO_TAGS: Tags = {}


class TagsFilter:
    """A filter ready for use; hashable, and equal to every other one that was made from the same tree."""

    __slots__ = ("_check", "_hash", "_tree")

    def __init__(self, tree: FilterNode, check: Check) -> None:
        self._tree = tree
        self._hash = hash(tree)
        self._check = check

    def matches(self, tags: Tags | None) -> bool:
        """Whether a publication with these tags is for the subscriber."""
        return self._check(_NO_TAGS if tags is None else tags)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagsFilter) and self._hash == other._hash and self._tree == other._tree

    def __hash__(self) -> int:
        return self._hash


def compile_filter(node: FilterNode) -> TagsFilter:
    """The filter that a tree describes. Raises ``ValueError`` with the reason if it is invalid or beyond the limits."""
    _check_limits(node)
    tree = _canonical(node)
    return TagsFilter(tree, _compiled(tree))


def _check_limits(root: FilterNode) -> None:
    """Before anything recurses into the tree."""
    nodes, size = 1, 0
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += len(node.nodes)
        size += len(node.key) + len(node.val) + len(node.vals) + sum(map(len, node.vals))
        if nodes > FILTER_NODES:
            raise ValueError(f"more than {FILTER_NODES} nodes")
        if depth > FILTER_DEPTH:
            raise ValueError(f"nodes are nested deeper than {FILTER_DEPTH}")
        if size > FILTER_TEXT_SIZE:
            raise ValueError(f"keys and values are longer than {FILTER_TEXT_SIZE} characters")
        waiting.extend((child, depth + 1) for child in node.nodes)


# ---------------------------------------------------------------- checking the tree


def _canonical(node: FilterNode) -> FilterNode:
    """The same tree, hashable and without what it does not need; raises ``ValueError`` for an invalid one."""
    if not node.op:
        _check_leaf(node)
        return FilterNode(key=node.key, cmp=node.cmp, val=node.val, vals=tuple(sorted(set(node.vals))))
    if node.op not in _INNER:
        raise ValueError(f"unknown op {node.op[:20]!r}")
    if node.op == "not" and len(node.nodes) != 1:
        raise ValueError("not needs exactly one node")
    if not node.nodes:
        raise ValueError(f"{node.op} without nodes")
    return FilterNode(op=node.op, nodes=tuple(map(_canonical, node.nodes)))


def _check_leaf(leaf: FilterNode) -> None:
    cmp = leaf.cmp
    if not cmp:
        raise ValueError("a leaf without cmp")
    if cmp not in _LEAVES:
        raise ValueError(f"unknown cmp {cmp[:20]!r}")
    needs_val, needs_vals = cmp in _BY_VALUE, cmp in _BY_VALUES
    if not leaf.key and (needs_val or needs_vals):
        raise ValueError(f"{cmp} needs a key")
    if bool(leaf.val) != needs_val:
        raise ValueError(f"{cmp} needs val" if needs_val else f"{cmp} has no val")
    if bool(leaf.vals) != needs_vals:
        raise ValueError(f"{cmp} needs vals" if needs_vals else f"{cmp} has no vals")


# ---------------------------------------------------------------- making the function


def _compiled(tree: FilterNode) -> Check:
    if tree.op:
        return _INNER[tree.op]([_compiled(node) for node in tree.nodes])
    return _LEAVES[tree.cmp](tree)


def _all_of(checks: Sequence[Check]) -> Check:
    def check(tags: Tags) -> bool:
        for part in checks:  # noqa: SIM110 - all() would make a generator for every publication
            if not part(tags):
                return False
        return True

    return check


def _any_of(checks: Sequence[Check]) -> Check:
    def check(tags: Tags) -> bool:
        for part in checks:  # noqa: SIM110 - as above
            if part(tags):
                return True
        return False

    return check


def _not(checks: Sequence[Check]) -> Check:
    (negated,) = checks
    return lambda tags: not negated(tags)


def _among(leaf: FilterNode) -> Check:
    key, values = leaf.key, frozenset(leaf.vals)
    return lambda tags: tags.get(key, "") in values


def _not_among(leaf: FilterNode) -> Check:
    key, values = leaf.key, frozenset(leaf.vals)
    return lambda tags: tags.get(key, "") not in values


def _present(leaf: FilterNode) -> Check:
    key = leaf.key
    return lambda tags: key in tags


def _absent(leaf: FilterNode) -> Check:
    key = leaf.key
    return lambda tags: key not in tags


# A `val` is never empty, so an absent tag may count as "" below.


def _equal(leaf: FilterNode) -> Check:
    key, value = leaf.key, leaf.val
    return lambda tags: tags.get(key) == value


def _different(leaf: FilterNode) -> Check:
    key, value = leaf.key, leaf.val
    return lambda tags: tags.get(key) != value


def _starting(leaf: FilterNode) -> Check:
    key, value = leaf.key, leaf.val
    return lambda tags: tags.get(key, "").startswith(value)


def _ending(leaf: FilterNode) -> Check:
    key, value = leaf.key, leaf.val
    return lambda tags: tags.get(key, "").endswith(value)


def _containing(leaf: FilterNode) -> Check:
    key, value = leaf.key, leaf.val
    return lambda tags: value in tags.get(key, "")


def _in_order(*accepted: int) -> Callable[[FilterNode], Check]:
    """Numbers whose order to the filter's is one of these: -1 = smaller, 0 = equal, 1 = greater."""

    def make(leaf: FilterNode) -> Check:
        key, bound = leaf.key, number_of(leaf.val)
        if bound is None:
            return lambda tags: False

        def check(tags: Tags) -> bool:
            number = number_of(tags.get(key, ""))
            return number is not None and order_of(number, bound) in accepted

        return check

    return make


_INNER: Mapping[str, Callable[[Sequence[Check]], Check]] = {"and": _all_of, "or": _any_of, "not": _not}
_BY_VALUE: Mapping[str, Callable[[FilterNode], Check]] = {
    "eq": _equal,
    "neq": _different,
    "sw": _starting,
    "ew": _ending,
    "ct": _containing,
    "gt": _in_order(1),
    "gte": _in_order(0, 1),
    "lt": _in_order(-1),
    "lte": _in_order(-1, 0),
}
_BY_VALUES: Mapping[str, Callable[[FilterNode], Check]] = {"in": _among, "nin": _not_among}
_BY_PRESENCE: Mapping[str, Callable[[FilterNode], Check]] = {"ex": _present, "nex": _absent}
_LEAVES = {**_BY_VALUE, **_BY_VALUES, **_BY_PRESENCE}

# ---------------------------------------------------------------- numbers

_NUMBER = re.compile(r"([+-]?)([0-9]++)(?:\.([0-9]++))?")


class Number(NamedTuple):
    """A decimal number of any precision, as text: digits compare like numbers once they are equally many.

    *magnitude*: how many digits the whole part has, the whole part without leading zeros, the fraction without
    trailing ones. So it is never converted, which would take quadratic time.
    """

    is_negative: bool
    magnitude: tuple[int, str, str]


_ZERO = (0, "", "")


def number_of(text: str) -> Number | None:
    """What *text* says, or None if it is no number. Linear in its length."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups("")
    whole = whole.lstrip("0")
    magnitude = (len(whole), whole, fraction.rstrip("0"))
    return Number(sign == "-" and magnitude != _ZERO, magnitude)


def order_of(left: Number, right: Number) -> int:
    """-1, 0 or 1 as *left* is smaller than, equal to or greater than *right*."""
    if left == right:
        return 0
    if left.is_negative != right.is_negative:
        return -1 if left.is_negative else 1
    return -1 if (left.magnitude < right.magnitude) != left.is_negative else 1
