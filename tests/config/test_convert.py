"""Weak typing of files, strict typing of JSON in variables, syntax of plain variables."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.config.convert import describe, from_file, from_json, from_text
from centrifast.config.option import Kind

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (Kind.INT, 5.7, 5),
        (Kind.INT, "8000", 8000),
        (Kind.INT, "0x10", 16),
        (Kind.INT, "010", 8),
        (Kind.INT, True, 1),
        (Kind.INT, "", 0),
        (Kind.STR, "a", "a"),
        (Kind.STR, 9000, "9000"),
        (Kind.STR, 1.5, "1.5"),
        (Kind.STR, 2.0, "2"),
        (Kind.STR, True, "1"),
        (Kind.BOOL, 0, False),
        (Kind.BOOL, 0.5, True),
        (Kind.BOOL, "", False),
        (Kind.BOOL, "T", True),
        (Kind.BOOL, "False", False),
        (Kind.DURATION, 25, 25e-9),
        (Kind.DURATION, 1e9, 1.0),
        (Kind.DURATION, "1m", 60.0),
        (Kind.DURATION, "", 0.0),
        (Kind.STRINGS, "a,b", ("a,b",)),
        (Kind.STRINGS, ["a", 1, None], ("a", "1", "")),
        (Kind.STRINGS, "", ("",)),
        (Kind.STRINGS, [], ()),
        (Kind.MAP, {"a": 1, "b": None}, {"a": "1", "b": ""}),
        (Kind.MAP, [{"key": "A", "value": "x"}, {"key": "B"}], {"A": "x", "B": ""}),
        (Kind.IGNORED, {"any": "thing"}, None),
    ],
)
def test_a_file_is_read_leniently(kind: Kind, value: object, result: object) -> None:
    assert from_file(kind, value) == result


@pytest.mark.parametrize("read", [from_file, from_text])
def test_booleans_are_the_words_of_go(read: Callable[[Kind, str], object]) -> None:
    assert {read(Kind.BOOL, word) for word in ("1", "t", "T", "TRUE", "true", "True")} == {True}
    assert {read(Kind.BOOL, word) for word in ("0", "f", "F", "FALSE", "false", "False")} == {False}
    for word in ("yes", "on", "tRUE", "2"):
        with pytest.raises(ValueError, match="expected true or false"):
            read(Kind.BOOL, word)


@pytest.mark.parametrize("text", ["8000", "0x1f40", "0o17500", "017500", "0b1111101000000"])
def test_whole_numbers_have_four_notations(text: str) -> None:
    assert from_file(Kind.INT, text) == from_text(Kind.INT, text) == 8000


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.INT, 2**63),
        (Kind.INT, -(2**63) - 1),
        (Kind.INT, 1e30),
        (Kind.INT, str(2**63)),
        (Kind.DURATION, 2**63),
        (Kind.DURATION, 10**400),
        (Kind.DURATION, 1e300),
    ],
)
def test_numbers_have_64_bits(kind: Kind, value: object) -> None:
    with pytest.raises(ValueError, match="whole numbers have 64 bits"):
        from_file(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Kind.STR, float("nan"), "expected a text, got nan"),
        (Kind.DURATION, float("inf"), "expected a duration such as 10s, got inf"),
        (Kind.INT, "many", "expected a whole number, got 'many'"),
        (Kind.INT, float("inf"), "expected a whole number, got inf"),
        (Kind.INT, [1], "got a list"),
        (Kind.STR, {}, "expected a text, got an object"),
        (Kind.STR, None, "got nothing"),
        (Kind.BOOL, "yes", "expected true or false, got 'yes'"),
        (Kind.BOOL, [], "expected true or false, got a list"),
        (Kind.DURATION, "25", "write a number with a unit"),
        (Kind.DURATION, True, "expected a duration such as 10s"),
        (Kind.STRINGS, {}, "expected a text"),
        (Kind.MAP, "x", "expected an object"),
        (Kind.MAP, ["x"], "expected {key, value}, got 'x'"),
        (Kind.MAP, [{"value": "x"}], "expected {key, value}"),
        (Kind.MAP, [{"key": "x", "extra": 1}], "expected {key, value}"),
        (Kind.MAP, [{"key": "x"}, {"key": "x"}], "'x' occurs twice"),
        (Kind.MAP, {"x": {"y": "z"}}, "for a key with a dot"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Kind, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_file(kind, value)


@given(st.sampled_from([kind for kind in Kind if kind not in (Kind.SECTION, Kind.ITEMS)]), ANYTHING)
def test_any_value_converts_or_is_a_value_error(kind: Kind, value: object) -> None:
    for convert in (from_file, from_json):
        with contextlib.suppress(ValueError):
            convert(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.INT, "1"),
        (Kind.INT, True),
        (Kind.STR, 1),
        (Kind.BOOL, 1),
        (Kind.STRINGS, "a"),
        (Kind.STRINGS, [1]),
        (Kind.MAP, {"a": 1}),
        (Kind.MAP, [{"key": "a", "value": "b"}]),
        (Kind.DURATION, True),
    ],
)
def test_json_in_a_variable_is_read_strictly(kind: Kind, value: object) -> None:
    with pytest.raises(ValueError, match=f"expected {kind.value}"):
        from_json(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (Kind.INT, 1, 1),
        (Kind.BOOL, True, True),
        (Kind.DURATION, "1s", 1.0),
        (Kind.DURATION, 10**9, 1.0),
        (Kind.STRINGS, ["a"], ("a",)),
        (Kind.MAP, {"A": "b"}, {"A": "b"}),
        (Kind.IGNORED, [], None),
    ],
)
def test_json_of_the_right_type_is_taken(kind: Kind, value: object, result: object) -> None:
    assert from_json(kind, value) == result


@pytest.mark.parametrize(
    ("kind", "text", "result"),
    [
        (Kind.INT, "0b11", 3),
        (Kind.INT, "-5", -5),
        (Kind.BOOL, "true", True),
        (Kind.STR, "a b", "a b"),
        (Kind.PEM, "x", "x"),
        (Kind.DURATION, "0", 0.0),
        (Kind.STRINGS, "a b", ("a", "b")),
        (Kind.MAP, '{"A": "b"}', {"A": "b"}),
        (Kind.IGNORED, "x", None),
    ],
)
def test_a_variable_has_its_own_syntax(kind: Kind, text: str, result: object) -> None:
    assert from_text(kind, text) == result


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Kind.BOOL, "yes", "expected true or false"),
        (Kind.INT, "1.5", "expected a whole number"),
        (Kind.DURATION, "10", "with a unit"),
        (Kind.MAP, "{", "not valid JSON"),
        (Kind.MAP, '[{"key": "a"}]', "expected map of str, got a list"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused(kind: Kind, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_text(kind, text)


def test_values_inside_lists_and_objects_are_not_shown() -> None:
    assert describe({"password": "secret"}) == "an object"
    assert describe(["secret"]) == "a list"
