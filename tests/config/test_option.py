"""Declarations read back."""

from collections.abc import Mapping
from dataclasses import dataclass

from centrifast.config.option import (
    Kind,
    Pem,
    Support,
    items,
    option,
    options_of,
    section,
    text_map,
    values_of,
    walk,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One of a list."""

    name: str = option("", "Name.")
    size: int = option(3, "Size.", unit="bytes", min=1, max=9)


@dataclass(frozen=True, slots=True)
class Inner:
    """A section."""

    enabled: bool = option(False, "Switch.", support=Support.REFUSED)
    key: Pem = option(Pem(""), "Key.", secret=True)


@dataclass(frozen=True, slots=True)
class Root:
    """A root."""

    wait: float = option(1.5, "Time.")
    words: tuple[str, ...] = option((), "Words.", choices=("a",))
    headers: Mapping[str, str] = text_map("Headers.")
    anything: object = option(None, "Ignored.", extension=True)
    inner: Inner = section(Inner, "Inner.", support=Support.ACCEPTED)
    list: tuple[Item, ...] = items(Item, "Items.")
    pairs: tuple[Inner, ...] = items(Inner, "Pairs.")


def test_the_type_of_a_field_is_its_kind() -> None:
    assert [(found.name, found.kind) for found in options_of(Root)] == [
        ("wait", Kind.DURATION),
        ("words", Kind.STRINGS),
        ("headers", Kind.MAP),
        ("anything", Kind.IGNORED),
        ("inner", Kind.SECTION),
        ("list", Kind.ITEMS),
        ("pairs", Kind.ITEMS),
    ]
    assert [found.kind for found in (*options_of(Item), *options_of(Inner))] == [
        Kind.STR,
        Kind.INT,
        Kind.BOOL,
        Kind.PEM,
    ]


def test_facts_and_defaults_are_kept() -> None:
    size = options_of(Item)[1]
    assert (size.default, size.facts.unit, size.facts.min, size.facts.max) == (3, "bytes", 1, 9)
    by_name = {found.name: found for found in options_of(Root)}
    assert by_name["inner"].default == Inner()
    assert by_name["headers"].default == {}
    assert by_name["anything"].facts.extension


def test_only_lists_whose_items_have_names_are_named() -> None:
    by_name = {found.name: found.is_named_list for found in options_of(Root)}
    assert by_name == {
        "wait": False,
        "words": False,
        "headers": False,
        "anything": False,
        "inner": False,
        "list": True,
        "pairs": False,
    }


def test_walk_gives_paths_and_passes_support_down() -> None:
    support = {path: found.facts.support for path, found in walk(Root)}
    assert support["inner.key"] is Support.ACCEPTED
    assert support["inner.enabled"] is Support.REFUSED
    assert support["list[].name"] is Support.BUILT
    assert list(support).index("inner") < list(support).index("inner.enabled")


def test_values_come_with_paths_and_support() -> None:
    root = Root(list=(Item(name="x"),), inner=Inner(enabled=True))
    found = {setting.path: setting for setting in values_of(root)}
    assert found["list.[0].name"].value == "x"
    assert found["inner.key"].support is Support.ACCEPTED


def test_sections_that_are_off_can_be_left_out() -> None:
    paths = [setting.path for setting in values_of(Root(), only_active=True)]
    assert "inner" in paths
    assert "inner.key" not in paths
    assert "inner.key" in [setting.path for setting in values_of(Root())]


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Inner(key=Pem("hush")))
