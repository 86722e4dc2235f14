"""Files, environment and flags to one :class:`Config`: the only reader of all three.

How it works: :class:`Builder` walks the schema from the root. At each option it takes the first that is given
of flag, variable, file and default, and converts it. What of the file was not taken is an unknown key; what
of the environment was not asked for is an unknown variable. Only types are checked here; see ``validate``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from centrifast.config import convert
from centrifast.config.environment import Environment, Variable
from centrifast.config.error import ConfigError
from centrifast.config.files import load_dotenv, plain, read_pem, read_tree
from centrifast.config.option import Kind, Option, options_of
from centrifast.config.schema import Config
from centrifast.config.writing import variable_name

__all__ = ["ConfigError", "FlagValue", "LoadedConfig", "load", "load_dotenv", "reload"]

T = TypeVar("T")
V = TypeVar("V")
FlagValue = str | bool | int

SHORTEST_PLAUSIBLE = 1_000_000
"""Nanoseconds; a bare number below a millisecond was most likely meant in seconds."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, what was odd about its sources, and how to read them again."""

    config: Config
    unknown_keys: tuple[str, ...] = ()
    unknown_env: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    path: Path | None = None
    file_found: bool = False
    flags: Mapping[str, FlagValue] = field(default_factory=dict)


def load(path: Path | None, flags: Mapping[str, FlagValue], environ: Mapping[str, str]) -> LoadedConfig:
    """Build the configuration; flags (by option path) win over variables, those over the file.

    Raises :exc:`ConfigError` when the file cannot be parsed or a value has the wrong type. A missing file is
    a warning.
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
    config = builder.build(Config, tree, "", "")
    builder.warnings.extend(
        f"both {ours} and {theirs} are set, {ours} is used" for ours, theirs in builder.environment.overridden
    )
    return LoadedConfig(
        config,
        unknown_keys=tuple(builder.unknown_keys),
        unknown_env=builder.environment.unknown(),
        warnings=tuple(builder.warnings),
        path=path,
        file_found=file_found,
        flags=dict(flags),
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
    """Where a value comes from: how to call it in messages, and which conversion applies."""

    label: str
    from_json: bool = False


@dataclass(slots=True)
class Builder:
    """Builds sections, collecting what is odd on the way."""

    environment: Environment
    flags: Mapping[str, FlagValue]
    unknown_keys: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def build(
        self, kind: type[T], tree: dict[str, object], path: str, variables: str, *, from_json: bool = False
    ) -> T:
        """Build one section.

        *path* and *variables* are what option names are appended to, in messages and in the environment.
        *from_json* says that the tree comes out of a variable: types are strict, unknown keys do not matter.
        """
        values: dict[str, object] = {}
        for option in options_of(kind):
            given = Given(path + option.name, from_json)
            values[option.name] = self.value(
                option, tree.pop(option.name, None), given, variables + option.name.upper()
            )
        if not from_json:
            self.unknown_keys.extend(path + name for name in tree)
        return kind(**values)

    def value(self, option: Option, found: object, given: Given, variable: str) -> object:
        """Return what counts for one option."""
        if option.kind is Kind.SECTION:
            assert option.section is not None
            tree = object_of(found, given.label)
            return self.build(
                option.section, tree, given.label + ".", variable + "_", from_json=given.from_json
            )
        if option.kind is Kind.ITEMS:
            return self.items(option, found, given, variable)
        if given.label in self.flags:
            return self.from_flag(option, given.label)
        taken = self.environment.take(variable)
        if taken is not None:
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
        return self.finished(option, read, found, given.label) or option.default

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
            given = Given(taken.name, from_json=True)
        trees = found if isinstance(found, list) else [] if found is None else [found]
        sections: list[object] = []
        for index, item in enumerate(trees):
            path = f"{given.label}.[{index}]"
            tree = object_of(item, path)
            name = tree.get("name") if option.is_named_list else None
            # A bracket cannot occur in the name of a variable, so items without a name are out of reach.
            own = f"{variable}_{variable_name(str(name))}_" if name else f"{variable}[{index}]_"
            sections.append(self.build(option.section, tree, f"{path}.", own, from_json=given.from_json))
        return tuple(sections)


def endpoint_path(prefix: str) -> str:
    """Return the path of an endpoint: with a slash in front, none behind; ``/`` alone catches the rest."""
    return "/" + prefix.strip("/") if prefix else ""


def object_of(found: object, label: str) -> dict[str, object]:
    """Return what a section is built from."""
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    raise ConfigError(f"{label}: expected an object with options, got {convert.describe(found)}")


def items_of_variable(option: Option, taken: Variable) -> object:
    """Read a list of sections from a variable: JSON, or names separated by single spaces."""
    if taken.text.startswith("[") and taken.text.endswith("]"):
        try:
            return plain(convert.parse_json(taken.text), f"{taken.name}.")
        except ValueError as error:
            raise ConfigError(f"{taken.name}: {error}") from None
    if option.is_named_list:
        return [{"name": name} for name in taken.text.split(" ")]
    raise ConfigError(f"{taken.name}: expected a JSON list")
