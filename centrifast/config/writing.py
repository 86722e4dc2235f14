"""From options back to text: a tree of plain values as JSON, YAML or TOML, and lines of variables."""

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path

import yaml

from centrifast.config.duration import format_duration
from centrifast.config.environment import PREFIXES
from centrifast.config.error import ConfigError
from centrifast.config.option import Kind, Option, options_of

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
OWNER_ONLY = 0o600


def tree_of(section: object) -> dict[str, object]:
    """Return a section as a file would hold it, every option present, durations as text."""
    tree: dict[str, object] = {}
    for option in options_of(type(section)):
        value = getattr(section, option.name)
        if option.kind is not Kind.IGNORED:
            tree[option.name] = plain_value(option, value)
    return tree


def plain_value(option: Option, value: object) -> object:
    """Return one value as a file would hold it."""
    if option.kind is Kind.SECTION:
        return tree_of(value)
    if isinstance(value, tuple):
        return [tree_of(item) if option.kind is Kind.ITEMS else item for item in value]
    return format_duration(value) if isinstance(value, float) else value


def to_json(tree: Mapping[str, object]) -> str:
    """Write JSON, indented by two."""
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def to_yaml(tree: Mapping[str, object]) -> str:
    """Write YAML in the order of the tree."""
    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True)


def to_toml(tree: Mapping[str, object]) -> str:
    """Write TOML: a table for each object, inline ones inside of lists."""
    return "\n".join(toml_lines(tree, ())) + "\n"


def toml_lines(tree: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """Write a table: its values first, then the tables below it."""
    values = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    if path and values:
        yield f"\n[{'.'.join(map(toml_key, path))}]"
    for key, value in values.items():
        yield f"{toml_key(key)} = {toml_value(value)}"
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from toml_lines(value, (*path, key))


def toml_key(key: str) -> str:
    """Write a key, quoted where it must be."""
    return key if BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def toml_value(value: object) -> str:
    """Write a value; what is left of JSON's forms is TOML too."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)


WRITERS: Mapping[str, Callable[[Mapping[str, object]], str]] = {
    ".json": to_json,
    ".yaml": to_yaml,
    ".yml": to_yaml,
    ".toml": to_toml,
}


def write_tree(path: Path, tree: Mapping[str, object]) -> None:
    """Create a configuration file only its owner can read; raise :exc:`ConfigError` when there is one."""
    text = render(path, tree)
    try:
        path.touch(OWNER_ONLY, exist_ok=False)
        path.write_text(text, "utf-8")
    except FileExistsError:
        raise ConfigError(f"{path} exists already; remove it or choose another name") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def render(path: Path, tree: Mapping[str, object]) -> str:
    """Write a tree in the form the name of a file asks for."""
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise ConfigError(f"{path}: unknown kind of file; use .json, .yaml, .yml or .toml")
    return write(tree)


def variables_of(
    section: object, prefix: str = PREFIXES[0], path: str = "", *, only: Container[str] | None = None
) -> Iterator[str]:
    """Write every option as ``NAME=value``; with *only* (paths), just those of them that are not zero or empty."""
    for option in options_of(type(section)):
        value = getattr(section, option.name)
        name, place = prefix + option.name.upper(), path + option.name
        if option.kind is Kind.SECTION:
            yield from variables_of(value, f"{name}_", f"{place}.", only=only)
        elif option.kind is not Kind.IGNORED:
            if only is None or (value and place in only):
                yield f"{name}={variable_value(option, value)}"
            for index, item in enumerate(value if option.is_named_list else ()):
                own = f"{name}_{variable_name(item.name)}_"
                yield from variables_of(item, own, f"{place}.[{index}].", only=only)


def variable_name(name: str) -> str:
    """Return how the name of an item appears in names of variables."""
    return name.upper().replace(".", "_").replace("-", "_")


def variable_value(option: Option, value: object) -> str:
    """Write a value in the syntax of the environment; texts in double quotes."""
    if isinstance(value, bool | int):
        return json.dumps(value)
    text = str(value)
    if isinstance(value, float):
        text = format_duration(value)
    elif isinstance(value, tuple) and option.is_named_list:
        text = " ".join(item.name for item in value)
    elif isinstance(value, tuple) and option.kind is Kind.STRINGS:
        text = " ".join(value)
    elif isinstance(value, tuple | dict):
        text = json.dumps(plain_value(option, value), ensure_ascii=False) if value else ""
    return json.dumps(text, ensure_ascii=False)
