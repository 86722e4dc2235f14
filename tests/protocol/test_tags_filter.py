"""Tags filters: the table of client protocol 9.1 row by row, what is invalid, and the limits."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.limits import FILTER_DEPTH, FILTER_NODES, FILTER_TEXT_SIZE
from centrifast.protocol.tags_filter import compile_filter, number_of, order_of
from centrifast.protocol.wire import FilterNode
from tests.fuzz.fuzz_tags_filter import means


def leaf(cmp: str, val: str = "", vals: Sequence[str] = (), key: str = "k") -> FilterNode:
    return FilterNode(key=key, cmp=cmp, val=val, vals=vals)


def node(op: str, *nodes: FilterNode) -> FilterNode:
    return FilterNode(op=op, nodes=nodes)


def matches(tree: FilterNode, tags: Mapping[str, str] | None) -> bool:
    return compile_filter(tree).matches(tags)


TRUE, FALSE = leaf("nex", key="never"), leaf("ex", key="never")

# ---------------------------------------------------------------- the rows of the table


@pytest.mark.parametrize(
    ("tree", "tag", "expected"),
    [
        (leaf("eq", "v"), "v", True),
        (leaf("eq", "v"), "V", False),
        (leaf("eq", "v"), "", False),
        (leaf("eq", "v"), None, False),
        (leaf("eq", "1"), "1.0", False),  # texts, not numbers
        (leaf("neq", "v"), "v", False),
        (leaf("neq", "v"), "w", True),
        (leaf("neq", "v"), "", True),
        (leaf("neq", "v"), None, True),
        (leaf("in", vals=["a", "b"]), "a", True),
        (leaf("in", vals=["a", "b"]), "b", True),
        (leaf("in", vals=["a", "b"]), "c", False),
        (leaf("in", vals=["ab"]), "a", False),
        (leaf("in", vals=["a"]), None, False),
        (leaf("in", vals=["a", ""]), None, True),  # absent counts as empty
        (leaf("in", vals=["a", ""]), "", True),
        (leaf("nin", vals=["a", "b"]), "a", False),
        (leaf("nin", vals=["a", "b"]), "c", True),
        (leaf("nin", vals=["a"]), None, True),
        (leaf("nin", vals=["a", ""]), None, False),
        (leaf("nin", vals=["a", ""]), "", False),
        (leaf("ex"), "v", True),
        (leaf("ex"), "", True),
        (leaf("ex"), None, False),
        (leaf("nex"), "v", False),
        (leaf("nex"), "", False),
        (leaf("nex"), None, True),
        (leaf("sw", "ab"), "abc", True),
        (leaf("sw", "ab"), "ab", True),
        (leaf("sw", "ab"), "a", False),
        (leaf("sw", "ab"), "xab", False),
        (leaf("sw", "ab"), None, False),
        (leaf("ew", "ab"), "xab", True),
        (leaf("ew", "ab"), "ab", True),
        (leaf("ew", "ab"), "abx", False),
        (leaf("ew", "ab"), None, False),
        (leaf("ct", "ab"), "xabx", True),
        (leaf("ct", "ab"), "axb", False),
        (leaf("ct", "ab"), "", False),
        (leaf("ct", "ab"), None, False),
        (leaf("ct", "😀"), "a😀b", True),
        (leaf("gt", "10"), "10.01", True),
        (leaf("gt", "10"), "10.0", False),
        (leaf("gt", "10"), "9", False),
        (leaf("gte", "10"), "10.000", True),
        (leaf("gte", "10"), "010", True),
        (leaf("gte", "10"), "9.999", False),
        (leaf("lt", "10"), "9.9", True),
        (leaf("lt", "10"), "10", False),
        (leaf("lt", "10"), "-10", True),
        (leaf("lt", "10"), "10.5", False),
        (leaf("lte", "10"), "+10", True),
        (leaf("lte", "10"), "11", False),
        (leaf("gt", "0"), "-0", False),
        (leaf("gte", "0"), "-0.0", True),
        (leaf("gt", "-2"), "-1.5", True),
        (leaf("gt", "-1"), "-2", False),
        (leaf("gt", "-1"), "-11", False),
        (leaf("gt", "0.1"), "0.10000000000000000000000000000000000001", True),
        (leaf("lt", "100000000000000000000000000000000000000000000001"), "1" + "0" * 47, True),
        (leaf("gt", "0.3"), "0.25", False),
    ],
)
def test_the_rows_of_the_table(tree: FilterNode, tag: str | None, expected: bool) -> None:
    tags = {"other": "v"} if tag is None else {"k": tag}
    assert matches(tree, tags) is expected
    assert means(tree, tags) is expected
    if tag is None:
        assert matches(tree, None) is expected


NOT_NUMBERS = [
    "",
    "a",
    ".5",
    "5.",
    "1e5",
    "1E5",
    " 1",
    "1 ",
    "1\n",
    "1,5",
    "0x1",
    "--1",
    "+-1",
    "-",
    "+",
    ".",
]
NOT_NUMBERS += ["1.2.3", "١", "１", "inf", "nan", "1_000", "1/2"]


@pytest.mark.parametrize("cmp", ["gt", "gte", "lt", "lte"])
def test_only_two_numbers_have_an_order(cmp: str) -> None:
    for text in NOT_NUMBERS:
        assert not matches(leaf(cmp, "1"), {"k": text})
        assert not matches(leaf(cmp, text or "x"), {"k": "1"})
        assert not matches(leaf(cmp, text or "x"), {"k": text})
    assert not matches(leaf(cmp, "1"), {"other": "1"})
    assert not matches(leaf(cmp, "1"), None)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (node("and", TRUE), True),
        (node("and", TRUE, TRUE, TRUE), True),
        (node("and", TRUE, FALSE), False),
        (node("and", FALSE, TRUE), False),
        (node("or", FALSE), False),
        (node("or", FALSE, TRUE), True),
        (node("or", TRUE, FALSE), True),
        (node("or", FALSE, FALSE), False),
        (node("not", TRUE), False),
        (node("not", FALSE), True),
        (node("not", node("not", TRUE)), True),
        (node("and", node("or", FALSE, TRUE), node("not", FALSE)), True),
        (node("or", node("and", TRUE, FALSE), node("not", TRUE)), False),
    ],
)
def test_and_or_not(tree: FilterNode, expected: bool) -> None:
    assert matches(tree, {"k": "v"}) is expected
    assert means(tree, {"k": "v"}) is expected


def test_the_example_of_the_specification() -> None:
    tree = node("and", leaf("in", vals=["A", "B"], key="sym"), leaf("gte", "10.5", key="price"))
    assert matches(tree, {"sym": "A", "price": "10.50"})
    assert not matches(tree, {"sym": "A", "price": "10.49"})
    assert not matches(tree, {"sym": "C", "price": "11"})
    assert not matches(tree, {"price": "11"})


def test_an_empty_key_is_a_key_for_presence() -> None:
    assert matches(leaf("ex", key=""), {"": "v"})
    assert matches(leaf("nex", key=""), {"k": "v"})


# ---------------------------------------------------------------- what is invalid

BY_VALUE = ["eq", "neq", "sw", "ew", "ct", "gt", "gte", "lt", "lte"]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (FilterNode(), "without cmp"),
        (leaf("", "v"), "without cmp"),
        (leaf("EQ", "v"), "unknown cmp 'EQ'"),
        (leaf("x" * 10_000, "v"), "unknown cmp 'x{20}'$"),
        *((leaf(cmp), f"{cmp} needs val") for cmp in BY_VALUE),
        *((leaf(cmp, vals=["v"]), f"{cmp} needs val") for cmp in BY_VALUE),
        *((leaf(cmp, "v", vals=["v"]), f"{cmp} has no vals") for cmp in BY_VALUE),
        *((leaf(cmp, "v", key=""), f"{cmp} needs a key") for cmp in BY_VALUE),
        *((leaf(cmp), f"{cmp} needs vals") for cmp in ("in", "nin")),
        *((leaf(cmp, "v", ["v"]), f"{cmp} has no val") for cmp in ("in", "nin")),
        *((leaf(cmp, vals=["v"], key=""), f"{cmp} needs a key") for cmp in ("in", "nin")),
        *((leaf(cmp, "v"), f"{cmp} has no val") for cmp in ("ex", "nex")),
        *((leaf(cmp, vals=["v"]), f"{cmp} has no vals") for cmp in ("ex", "nex")),
        (node("and"), "and without nodes"),
        (node("or"), "or without nodes"),
        (node("not"), "exactly one"),
        (node("not", TRUE, TRUE), "exactly one"),
        (node("xor", TRUE), "unknown op 'xor'"),
        (node("AND", TRUE), "unknown op 'AND'"),
        (node("leaf", TRUE), "unknown op 'leaf'"),
    ],
)
def test_what_is_invalid_is_refused_anywhere_in_the_tree(tree: FilterNode, reason: str) -> None:
    for whole in (tree, node("not", tree), node("or", TRUE, node("and", TRUE, tree))):
        with pytest.raises(ValueError, match=reason):
            compile_filter(whole)


def test_as_many_nodes_as_the_limit() -> None:
    assert matches(node("and", *[TRUE] * (FILTER_NODES - 1)), {})
    with pytest.raises(ValueError, match="nodes"):
        compile_filter(node("and", *[TRUE] * FILTER_NODES))
    halves = [node("and", *[TRUE] * (FILTER_NODES // 2)) for _ in range(2)]
    with pytest.raises(ValueError, match="nodes"):
        compile_filter(node("or", *halves))


def nested(depth: int) -> FilterNode:
    tree = TRUE
    for _ in range(depth - 1):
        tree = node("not", tree)
    return tree


def test_as_deep_as_the_limit() -> None:
    assert matches(nested(FILTER_DEPTH), {}) is (FILTER_DEPTH % 2 == 1)
    for depth in (FILTER_DEPTH + 1, FILTER_NODES, 100_000):
        with pytest.raises(ValueError, match=r"nested|nodes"):
            compile_filter(nested(depth))


def test_as_much_text_as_the_limit() -> None:
    assert not matches(leaf("eq", "v" * (FILTER_TEXT_SIZE - 1)), {"k": "v"})
    with pytest.raises(ValueError, match="longer"):
        compile_filter(leaf("eq", "v" * FILTER_TEXT_SIZE))
    assert not matches(leaf("in", vals=["v"] * (FILTER_TEXT_SIZE // 2 - 1)), {})
    with pytest.raises(ValueError, match="longer"):
        compile_filter(leaf("in", vals=["v"] * (FILTER_TEXT_SIZE // 2)))
    with pytest.raises(ValueError, match="longer"):
        compile_filter(leaf("in", vals=[""] * FILTER_TEXT_SIZE))
    with pytest.raises(ValueError, match="longer"):
        compile_filter(node("or", *[leaf("eq", "v" * (FILTER_TEXT_SIZE // 2))] * 2))


# ---------------------------------------------------------------- identity


def test_filters_that_mean_the_same_are_equal() -> None:
    one = compile_filter(node("and", leaf("in", vals=["a", "b"]), leaf("gt", "1")))
    other = compile_filter(node("and", leaf("in", vals=("b", "a", "b")), leaf("gt", "1")))
    assert one == other
    assert hash(one) == hash(other)
    assert {one: 1}[other] == 1


def test_what_a_node_does_not_use_makes_no_difference() -> None:
    plain = compile_filter(node("or", leaf("eq", "v")))
    extra = FilterNode(
        op="or",
        key="x",
        cmp="y",
        val="z",
        vals=["1"],
        nodes=[FilterNode(key="k", cmp="eq", val="v", nodes=[FilterNode(op="?")])],
    )
    assert compile_filter(extra) == plain
    assert compile_filter(extra).matches({"k": "v"})


@pytest.mark.parametrize(
    "tree",
    [
        leaf("eq", "w"),
        leaf("eq", "v", key="other"),
        leaf("neq", "v"),
        leaf("in", vals=["v"]),
        node("and", leaf("eq", "v")),
        node("not", leaf("eq", "v")),
    ],
)
def test_other_filters_are_not_equal(tree: FilterNode) -> None:
    assert compile_filter(tree) != compile_filter(leaf("eq", "v"))
    assert compile_filter(tree) != tree


# ---------------------------------------------------------------- numbers

numbers = st.from_regex(r"[+-]?[0-9]{1,5}(\.[0-9]{1,5})?", fullmatch=True)


@given(numbers, numbers)
def test_numbers_are_ordered_like_fractions(left: str, right: str) -> None:
    one, other = number_of(left), number_of(right)
    assert one is not None
    assert other is not None
    difference = Fraction(left) - Fraction(right)
    assert order_of(one, other) == (difference > 0) - (difference < 0)
    assert (one == other) is (not difference)


def test_numbers_of_a_million_digits_take_linear_time() -> None:
    million = 10**6
    one, other = "1" * million, "1" * (million - 1) + "2"
    assert matches(leaf("lt", "2"), {"k": "1." + one})
    assert matches(leaf("gt", "2"), {"k": one})
    for text in ("0" * million + "x", "0." + "0" * million + "x", one + ".", "-" + "0" * million + "-"):
        assert number_of(text) is None
    left, right = number_of(one), number_of("0" * million + other)
    assert left is not None
    assert right is not None
    assert order_of(left, right) == -1


# ---------------------------------------------------------------- any tree

keys = st.sampled_from(["k", "l"])
texts = st.sampled_from(["a", "ab", "b", "1", "1.0", "-2", "+10.5", "1.", "é"])
leaves = st.one_of(
    st.builds(leaf, st.sampled_from(BY_VALUE), texts, key=keys),
    st.builds(leaf, st.sampled_from(["in", "nin"]), vals=st.lists(texts | st.just(""), min_size=1), key=keys),
    st.builds(leaf, st.sampled_from(["ex", "nex"]), key=keys | st.just("")),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda op, nodes: node(op, *nodes), st.sampled_from(["and", "or"]), st.lists(inner, min_size=1)
        ),
        st.builds(lambda child: node("not", child), inner),
    ),
    max_leaves=8,
)


@given(trees, st.dictionaries(keys | st.just(""), texts | st.just("")))
def test_any_tree_means_what_its_rows_say(tree: FilterNode, tags: dict[str, str]) -> None:
    assert matches(tree, tags) is means(tree, tags)
