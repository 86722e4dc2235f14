"""How a configuration differs from the defaults: one line for each option that has another value."""

from collections.abc import Iterator
from dataclasses import dataclass

from centrifast.config.option import Kind, options_of
from centrifast.config.schema import Config
from centrifast.config.shown import shown


@dataclass(frozen=True, slots=True)
class Difference:
    """One option that is not at its default; both values as plain data, secrets masked."""

    path: str
    default: object
    value: object


def differences(config: Config) -> Iterator[Difference]:
    """Give every difference in the order of declaration."""
    yield from differences_in(config, "")


def differences_in(section: object, path: str, *, name_is_shown: bool = False) -> Iterator[Difference]:
    """Compare one section with what it is without configuration; items are called by their name."""
    for option in options_of(type(section)):
        value = getattr(section, option.name)
        place = path + option.name
        if option.kind is Kind.SECTION:
            yield from differences_in(value, f"{place}.")
        elif option.kind is Kind.ITEMS:
            if value:
                yield Difference(place, [], shown(option, value))
            for index, item in enumerate(value):
                label = getattr(item, "name", "") or f"[{index}]"
                yield from differences_in(item, f"{place}.{label}.", name_is_shown=True)
        elif value != option.default and not (name_is_shown and option.name == "name"):
            yield Difference(place, shown(option, option.default), shown(option, value))
