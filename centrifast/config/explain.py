"""Everything there is to say about one option: what it means, what it may be, what it is and why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from centrifast.config.environment import PREFIXES
from centrifast.config.error import ConfigError
from centrifast.config.lines import line_of
from centrifast.config.loader import LoadedConfig, Origin
from centrifast.config.option import Kind, Option, Support, options_of
from centrifast.config.reference import FLAGS, SHORT_FLAGS
from centrifast.config.schema import Config
from centrifast.config.shown import shown
from centrifast.config.suggest import explain_key
from centrifast.config.validate import bound_text
from centrifast.config.writing import variable_name

ITEM = re.compile(r"\.\[\d+\]$")

LEVELS = {
    Support.BUILT: "works",
    Support.ACCEPTED: "accepted, without effect",
    Support.WARNED: "not built: no effect, a warning at start",
    Support.REFUSED: "not built: the server does not start with it",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an option is: its path in the values and in the variables, and its value.

    *is_real* is false for an option of items in general (``proxies[].timeout``), which has no value.
    """

    path: str
    variables: str
    option: Option
    support: Support
    value: object
    is_real: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """The facts about one option, ready to be shown; secrets are masked, items have their names in the path."""

    path: str
    meaning: str
    type: str
    unit: str
    default: object
    bounds: str
    choices: tuple[str, ...]
    support: str
    variables: tuple[str, ...]
    flag: str
    value: object
    source: str
    options: tuple[str, ...]
    is_real: bool


def explain(key: str, loaded: LoadedConfig) -> Explanation:
    """Return the facts about an option of a configuration, by its path; items by their name.

    Raises :exc:`ConfigError` for an unknown option, with what was probably meant.
    """
    place = find(key, loaded.config)
    option, facts = place.option, place.option.facts
    is_value = option.section is None
    return Explanation(
        path=with_names(place.path, loaded.config) if place.is_real else place.path,
        meaning=facts.help,
        type=option.kind.value,
        unit=facts.unit or "",
        default=shown(option, option.default) if is_value else None,
        bounds=", ".join(bounds_of(option)),
        choices=facts.choices or (),
        support=", ".join(support_of(place)),
        variables=tuple(prefix + place.variables for prefix in PREFIXES) if place.variables else (),
        flag=", ".join(flags_of(place.path)),
        value=shown(option, place.value) if place.is_real and option.kind is not Kind.SECTION else None,
        source=source_of(place, loaded),
        options=tuple(found.name for found in options_of(option.section)) if option.section else (),
        is_real=place.is_real,
    )


def find(key: str, config: Config) -> Place:
    """Return the place of an option by its path."""
    place = find_in(config, key, "", "", Support.BUILT, is_real=True)
    if place is None:
        raise ConfigError(f"there is no option {explain_key(key)}")
    return place


def find_in(
    section: object, rest: str, path: str, variables: str, support: Support, *, is_real: bool
) -> Place | None:
    """Look for *rest* of a path below a section; *variables* is what stands before names of variables."""
    for option in options_of(type(section)):
        if not (rest.lower() + ".").startswith((f"{option.name}.", f"{option.name}[")):
            continue
        value = getattr(section, option.name)
        level = Support(max(support, option.facts.support))
        variable = variables + option.name.upper() if variables or not path else ""
        below = rest[len(option.name) :].removeprefix(".")
        place = Place(path + option.name, variable, option, level, value, is_real)
        if not below:
            return place
        if option.kind is Kind.SECTION:
            start = f"{variable}_" if variable else ""
            return find_in(value, below, f"{place.path}.", start, level, is_real=is_real)
        return find_in_items(place, below) if option.kind is Kind.ITEMS else None
    return None


def find_in_items(place: Place, rest: str) -> Place | None:
    """Look for *rest* below a list: by name, by ``[0]``, or with ``[]`` for what any item has."""
    option, items = place.option, place.value
    assert option.section is not None
    assert isinstance(items, tuple)
    labels = {f"[{index}]": index for index in range(len(items))}
    labels.update((getattr(item, "name", ""), index) for index, item in enumerate(items))
    for label in sorted(filter(None, labels), key=len, reverse=True):
        if not (rest + ".").startswith(f"{label}."):
            continue
        index = labels[label]
        own = variable_name(getattr(items[index], "name", ""))
        start = f"{place.variables}_{own}_" if own and place.variables else ""
        path = f"{place.path}.[{index}]"
        below = rest[len(label) :].removeprefix(".")
        if not below:
            return Place(path, "", option, place.support, (items[index],), True)
        return find_in(items[index], below, f"{path}.", start, place.support, is_real=True)
    found = find_in_any_item(place, rest.removeprefix("[]").removeprefix("."))
    label, _, below = rest.partition(".")
    if found is None and find_in_any_item(place, below) is not None:
        names = ", ".join(f"`{name}`" for name in labels if name and not name.startswith("["))
        raise ConfigError(f"there is no `{label}` in `{place.path}`" + (f", only {names}" if names else ""))
    return found


def find_in_any_item(place: Place, rest: str) -> Place | None:
    """Look for *rest* in what every item of a list has."""
    assert place.option.section is not None
    start = f"{place.variables}_<NAME>_" if place.option.is_named_list and place.variables else ""
    return find_in(place.option.section(), rest, f"{place.path}[].", start, place.support, is_real=False)


def with_names(path: str, config: Config) -> str:
    """Write a path with the names of items in place of their numbers."""
    value: Any = config
    parts = []
    for part in path.split("."):
        value = value[int(part[1:-1])] if part.startswith("[") else getattr(value, part)
        parts.append((getattr(value, "name", "") or part) if part.startswith("[") else part)
    return ".".join(parts)


def bounds_of(option: Option) -> Iterator[str]:
    """Give the smallest and the largest value."""
    facts = option.facts
    if facts.min is not None:
        yield f"at least {bound_text(option, facts.min)}"
    if facts.max is not None:
        yield f"at most {bound_text(option, facts.max)}"


def support_of(place: Place) -> Iterator[str]:
    """Give how far the option is built."""
    yield LEVELS[place.support]
    if place.option.facts.later:
        yield f"not built: {', '.join(place.option.facts.later)}"
    if place.option.facts.extension:
        yield "an addition of centrifast"


def flags_of(path: str) -> Iterator[str]:
    """Give the flags of the server."""
    if path in FLAGS:
        yield f"--{path}"
    if path in SHORT_FLAGS:
        yield SHORT_FLAGS[path]


def source_of(place: Place, loaded: LoadedConfig) -> str:
    """Say where the value comes from; nothing for sections and for what no item has."""
    if not place.is_real or place.option.kind is Kind.SECTION:
        return ""
    source = loaded.sources.get(place.path) or loaded.sources.get(ITEM.sub("", place.path))
    if source is None:
        return "default"
    if source.origin is Origin.FLAG:
        return f"flag {source.name}"
    if source.origin is Origin.VARIABLE:
        return f"variable {source.name}"
    assert loaded.path is not None
    line = line_of(loaded.path, place.path)
    return f"{loaded.path}, line {line}" if line else str(loaded.path)
