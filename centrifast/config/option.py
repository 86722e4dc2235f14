"""How one option is declared, and how the declarations are read back.

Every option is one field of a frozen dataclass. Its type says how text becomes a value (see :class:`Kind`);
everything else (help, bounds, how far it is built) hangs on the field as :class:`Facts`. The loader, the
checks, the reference page, the environment variables and the flags derive from what :func:`options_of` and
:func:`walk` give.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum
from typing import NewType, TypeVar

T = TypeVar("T")

Pem = NewType("Pem", str)
"""PEM text; the loader also takes base64 of it, or the path of a file."""


class Support(IntEnum):
    """How far an option is built; a section passes its level on to everything inside when that is higher."""

    BUILT = 0
    ACCEPTED = 1  # parsed and type-checked, without effect
    WARNED = 2  # without effect; switching it on gives a warning
    REFUSED = 3  # switching it on would change delivery or security: the server does not start


class Kind(Enum):
    """What a value of the option looks like; decides which conversions apply."""

    BOOL = "bool"
    INT = "int"
    STR = "str"
    DURATION = "duration"
    PEM = "pem"
    STRINGS = "list of str"
    MAP = "map of str"
    IGNORED = "ignored"
    SECTION = "object"
    ITEMS = "list of objects"


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an option besides its name, type and default."""

    help: str
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] | None = None
    later: tuple[str, ...] = ()
    secret: bool = False
    support: Support = Support.BUILT
    extension: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One declared option, or a section of them (then ``section`` is the class of it or of its items)."""

    name: str
    kind: Kind
    default: object
    facts: Facts
    section: type | None = None

    @property
    def is_named_list(self) -> bool:
        """Whether items have a name, by which the environment can address them."""
        return (
            self.kind is Kind.ITEMS
            and self.section is not None
            and any(field.name == "name" for field in dataclasses.fields(self.section))
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """The value an option has in one configuration, and its effective support."""

    path: str
    option: Option
    value: object
    support: Support


def option(
    default: T,
    help: str,
    *,
    unit: str | None = None,
    min: float | None = None,
    max: float | None = None,
    choices: tuple[str, ...] | None = None,
    later: tuple[str, ...] = (),
    secret: bool = False,
    support: Support = Support.BUILT,
    extension: bool = False,
) -> T:
    """Declare an option.

    ``min`` and ``max`` are inclusive. ``choices`` are all valid words, ``later`` those of them that are not
    built: choosing one is refused like an option of :attr:`Support.REFUSED`. A ``secret`` never shows in the
    ``repr`` of its section.
    """
    facts = Facts(help, unit, min, max, choices, later, secret, support, extension)
    return dataclasses.field(default=default, repr=not secret, metadata={"facts": facts})


def text_map(help: str, *, secret: bool = False) -> Mapping[str, str]:
    """Declare a map of texts, empty by default; one that may hold a *secret* never shows in a ``repr``."""
    facts = Facts(help, secret=secret)
    return dataclasses.field(default_factory=dict, repr=not secret, metadata={"facts": facts})


def section(kind: type[T], help: str, *, support: Support = Support.BUILT, extension: bool = False) -> T:
    """Declare a group of options."""
    facts = Facts(help, support=support, extension=extension)
    return dataclasses.field(default_factory=kind, metadata={"facts": facts})


def items(kind: type[T], help: str, *, support: Support = Support.BUILT) -> tuple[T, ...]:
    """Declare a list of groups of options, empty by default."""
    return dataclasses.field(default=(), metadata={"facts": Facts(help, support=support)})


_options: dict[type, tuple[Option, ...]] = {}


def options_of(section: type) -> tuple[Option, ...]:
    """Return the options a section declares, in the order of declaration."""
    if section not in _options:
        _options[section] = tuple(read_options(section))
    return _options[section]


def read_options(section: type) -> Iterator[Option]:
    """Read the declarations off the fields; costly, so done once per section."""
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        kind, nested = kind_of(hints[field.name])
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        yield Option(field.name, kind, default, field.metadata["facts"], nested)


SCALARS: Mapping[object, Kind] = {
    bool: Kind.BOOL,
    int: Kind.INT,
    str: Kind.STR,
    float: Kind.DURATION,
    Pem: Kind.PEM,
    object: Kind.IGNORED,
}


def kind_of(hint: object) -> tuple[Kind, type | None]:
    """Return the kind a type annotation stands for, and the class of a section or of its items."""
    if hint in SCALARS:
        return SCALARS[hint], None
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        return Kind.SECTION, hint
    if typing.get_origin(hint) is tuple:
        item: type = typing.get_args(hint)[0]
        return (Kind.STRINGS, None) if item is str else (Kind.ITEMS, item)
    return Kind.MAP, None


def walk(section: type, prefix: str = "", support: Support = Support.BUILT) -> Iterator[tuple[str, Option]]:
    """Give every option below a section with its path; items appear as ``path[]``.

    A section comes before its options. The support of each option is the effective one.
    """
    for found in options_of(section):
        level = Support(max(support, found.facts.support))
        effective = dataclasses.replace(found, facts=dataclasses.replace(found.facts, support=level))
        path = f"{prefix}{found.name}"
        yield path, effective
        if found.section is not None:
            below = "[]." if found.kind is Kind.ITEMS else "."
            yield from walk(found.section, path + below, level)


def values_of(
    section: object, prefix: str = "", support: Support = Support.BUILT, *, only_active: bool = False
) -> Iterator[Setting]:
    """Give every option of a built configuration with its value; items appear as ``path.[0]``.

    Sections come before their options, as with :func:`walk`. With *only_active*, what is inside a section
    that is switched off (``enabled`` false) is left out.
    """
    off = only_active and getattr(section, "enabled", True) is False
    for found in () if off else options_of(type(section)):
        level = Support(max(support, found.facts.support))
        path = f"{prefix}{found.name}"
        value = getattr(section, found.name)
        yield Setting(path, found, value, level)
        if found.kind is Kind.SECTION:
            yield from values_of(value, f"{path}.", level, only_active=only_active)
        elif found.kind is Kind.ITEMS:
            for index, item in enumerate(value):
                yield from values_of(item, f"{path}.[{index}].", level, only_active=only_active)
