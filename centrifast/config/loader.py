"""Files, environment and flags to one :class:`Config`: the only reader of all three.

How it works: :class:`Builder` walks the schema from the root. At each option it takes the first that is given
of flag, variable, file and default, converts it, and notes where it came from. What of the file was not taken is an
unknown key; what of the environment was not asked for is an unknown variable. Only types are checked here; see
``validate``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

from centrifast.config import convert
from centrifast.config.environment import Environment, Variable
from centrifast.config.error import ConfigError
from centrifast.config.files import load_dotenv, read_pem, read_tree
from centrifast.config.old_names import SWITCHES
from centrifast.config.option import Kind, Option, options_of
from centrifast.config.schema import Config
from centrifast.config.writing import variable_name

__all__ = ["ConfigError", "FlagValue", "LoadedConfig", "Origin", "Source", "load", "load_dotenv", "reload"]

T = TypeVar("T")
V = TypeVar("V")
FlagValue = str | bool | int

SHORTEST_PLAUSIBLE = 1_000_000
"""Nanoseconds; a bare number below a millisecond was most likely meant in seconds."""


SCHEMA_KEY = "$schema"
"""What editors look for in a file; not an option, and no unknown key either."""


class Origin(Enum):
    """Which of the sources a value comes from."""

    FILE = "file"
    VARIABLE = "variable"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of one option comes from; *name* is the key in the file, the variable, or the flag."""

    origin: Origin
    name: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, what was odd about its sources, and how to read them again.

    *sources* has an entry for each option that is not at its default for want of a value, by path. *unknown* are the
    keys of the file that no option took, with what stands there; *known_env* are all variables there are.
    """

    config: Config
    unknown: Mapping[str, object] = field(default_factory=dict)
    unknown_env: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    path: Path | None = None
    file_found: bool = False
    flags: Mapping[str, FlagValue] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    known_env: frozenset[str] = frozenset()

    @property
    def unknown_keys(self) -> tuple[str, ...]:
        """Keys of the file that no option took."""
        return tuple(self.unknown)


def load(path: Path | None, flags: Mapping[str, FlagValue], environ: Mapping[str, str]) -> LoadedConfig:
    """Build the configuration; flags (by option path) win over variables, those over the file.

    Raises :exc:`ConfigError` when the file cannot be parsed, or with every value that has the wrong type. A missing
    file is a warning.
    """
    tree: dict[str, object] = {}
    builder = Builder(Environment(environ), flags)
    file_found = False
    if path is not None:
        try:
            tree = read_tree(path)
            file_found = True
        except FileNotFoundError:
            builder.warnings.append(f"config file {path} not found, using environment and defaults")
    tree.pop(SCHEMA_KEY, None)
    config = builder.build(Config, tree, Given("", ""), "")
    if builder.problems:
        raise ConfigError("\n".join(builder.problems), builder.unknown)
    builder.warnings.extend(
        f"both {ours} and {theirs} are set, {ours} is used" for ours, theirs in builder.environment.overridden
    )
    return LoadedConfig(
        config,
        unknown=builder.unknown,
        unknown_env=builder.environment.unknown(),
        warnings=tuple(builder.warnings),
        path=path,
        file_found=file_found,
        flags=dict(flags),
        sources=builder.sources,
        known_env=frozenset(builder.environment.asked),
    )


def reload(loaded: LoadedConfig, environ: Mapping[str, str]) -> LoadedConfig:
    """Read file and environment again; flags keep their values.

    A file that has disappeared is an error: going on without its namespaces would be worse than keeping them.
    """
    again = load(loaded.path, loaded.flags, environ)
    if loaded.file_found and not again.file_found:
        raise ConfigError(f"config file {loaded.path} has disappeared")
    return again


@dataclass(frozen=True, slots=True)
class Given:
    """Where a value stands: the option's path, how to call it in messages, and which conversion applies.

    *label* is the path in a file; inside JSON of a variable it begins with the variable, types are strict, and unknown
    keys do not matter.
    """

    path: str
    label: str
    from_json: bool = False

    def below(self, name: str) -> "Given":
        """Return the place of an option of this section, or of an item of this list."""
        separator = "." if self.path else ""
        return Given(f"{self.path}{separator}{name}", f"{self.label}{separator}{name}", self.from_json)


@dataclass(slots=True)
class Builder:
    """Builds sections, collecting what is odd or wrong on the way."""

    environment: Environment
    flags: Mapping[str, FlagValue]
    unknown: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def build(self, kind: type[T], tree: dict[str, object], given: Given, variables: str) -> T:
        """Build one section from what a file or a variable has for it.

        *variables* is what names of options are appended to in the environment.
        """
        values: dict[str, object] = {}
        for option in options_of(kind):
            found = tree.pop(option.name, None)
            values[option.name] = self.value(
                option, found, given.below(option.name), variables + option.name.upper()
            )
        if not given.from_json:
            self.unknown.update((given.below(name).path, value) for name, value in tree.items())
        return kind(**values)

    def value(self, option: Option, found: object, given: Given, variable: str) -> object:
        """Return what counts for one option; its default when what is given cannot be used."""
        try:
            if option.kind is Kind.SECTION:
                assert option.section is not None
                return self.build(option.section, object_of(found, given), given, variable + "_")
            if option.kind is Kind.ITEMS:
                return self.items(option, found, given, variable)
            return self.single(option, found, given, variable)
        except ConfigError as error:
            self.problems.append(str(error))
            return option.default

    def single(self, option: Option, found: object, given: Given, variable: str) -> object:
        """Return what counts for an option that holds no others."""
        if given.path in self.flags:
            self.sources[given.path] = Source(Origin.FLAG, f"--{given.path}")
            return self.from_flag(option, given.path)
        taken = self.environment.take(variable)
        if taken is not None:
            self.sources[given.path] = Source(Origin.VARIABLE, taken.name)
            return self.finished(option, convert.from_text, taken.text, taken.name)
        return option.default if found is None else self.from_tree(option, found, given)

    def from_flag(self, option: Option, path: str) -> object:
        """Convert a flag; one that is no text has the right type already."""
        value = self.flags[path]
        return (
            self.finished(option, convert.from_text, value, f"--{path}") if isinstance(value, str) else value
        )

    def from_tree(self, option: Option, found: object, given: Given) -> object:
        """Convert a value of a file; an empty one counts as not set (not so in the environment)."""
        if (
            option.kind is Kind.DURATION
            and isinstance(found, int | float)
            and 0 < abs(found) < SHORTEST_PLAUSIBLE
        ):
            self.warnings.append(f'{given.label}: {found} is nanoseconds; write a unit, such as "{found}s"')
        read = convert.from_json if given.from_json else convert.from_file
        value = self.finished(option, read, found, given.label)
        if value or not option.default:
            origin = Origin.VARIABLE if given.from_json else Origin.FILE
            self.sources[given.path] = Source(origin, given.label)
        return value or option.default

    def finished(self, option: Option, read: Callable[[Kind, V], object], raw: V, label: str) -> object:
        """Convert with *read*, and fetch what the value refers to: a PEM file, variables inside maps."""
        try:
            value = read(option.kind, raw)
            if option.kind is Kind.PEM:
                return read_pem(str(value))
            if option.name == "handler_prefix":
                return endpoint_path(str(value))
            if isinstance(value, dict):
                return {key: self.environment.substitute(text) for key, text in value.items()}
        except ValueError as error:
            raise ConfigError(f"{label}: {error}") from None
        return value

    def items(self, option: Option, found: object, given: Given, variable: str) -> object:
        """Build the sections of a list; items with a name can be overridden by variables of their own."""
        assert option.section is not None
        taken = self.environment.take(variable)
        if taken is not None:
            found = items_of_variable(option, taken)
            given = Given(given.path, taken.name, from_json=True)
            self.sources[given.path] = Source(Origin.VARIABLE, taken.name)
        elif found is not None and not given.from_json:
            self.sources[given.path] = Source(Origin.FILE, given.label)
        trees = found if isinstance(found, list) else [] if found is None else [found]
        sections: list[object] = []
        for index, item in enumerate(trees):
            place = given.below(f"[{index}]")
            tree = object_of(item, place)
            name = tree.get("name") if option.is_named_list else None
            # A bracket cannot occur in the name of a variable, so items without a name are out of reach.
            own = f"{variable}_{variable_name(str(name))}_" if name else f"{variable}[{index}]_"
            sections.append(self.build(option.section, tree, place, own))
        return tuple(sections)


def endpoint_path(prefix: str) -> str:
    """Return the path of an endpoint: with a slash in front, none behind; ``/`` alone catches the rest."""
    return "/" + prefix.strip("/") if prefix else ""


def object_of(found: object, given: Given) -> dict[str, object]:
    """Return what a section is built from; keys of JSON in a variable are made lower case, those of maps are not."""
    if found is None:
        return {}
    if isinstance(found, dict):
        return {str(key).lower(): value for key, value in found.items()} if given.from_json else found
    old = SWITCHES.get(given.path)
    hint = f"; older versions had a single value here, use `{old}`" if old else ""
    raise ConfigError(f"{given.label}: expected an object with options, got {convert.describe(found)}{hint}")


def items_of_variable(option: Option, taken: Variable) -> object:
    """Read a list of sections from a variable: JSON, or names separated by single spaces."""
    if taken.text.startswith("[") and taken.text.endswith("]"):
        try:
            return convert.parse_json(taken.text)
        except ValueError as error:
            raise ConfigError(f"{taken.name}: {error}") from None
    if option.is_named_list:
        return [{"name": name} for name in taken.text.split(" ")]
    raise ConfigError(f"{taken.name}: expected a JSON list")
