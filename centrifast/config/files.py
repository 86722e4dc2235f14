"""Configuration files and ``.env`` files: text to a tree of plain values with lower-case keys and no dots."""

import base64
import binascii
import json
import re
import tomllib
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import yaml

from centrifast.config.error import ConfigError
from centrifast.config.option import Pem


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2 core schema, as Go reads it: ``no`` and ``12:30`` are texts, and a key stands once."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Build a mapping; raise ``ComposerError`` for a key that stands twice."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.composer.ComposerError(
                    None, None, f"key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what ``<<`` names; of a key that is merged and written, only the written one is left to merge on."""
        super().flatten_mapping(node)
        pairs = {
            key.value if isinstance(key, yaml.ScalarNode) else key: (key, value) for key, value in node.value
        }
        node.value = list(pairs.values())


for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


def parse_yaml(text: str) -> object:
    """Decode YAML. Raises ValueError with the place of a mistake, but not with the line itself: it may be a secret."""
    try:
        return yaml.load(text, CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{', '.join(filter(None, (error.context, error.problem)))}{place}") from None


PARSERS: Mapping[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".toml": tomllib.loads,
}


def read_tree(path: Path) -> dict[str, object]:
    """Read a configuration file; an empty one is an empty tree.

    Raises :exc:`FileNotFoundError` for a missing file, :exc:`ConfigError` for one that cannot be used.
    """
    parse = PARSERS.get(path.suffix.lower())
    if parse is None:
        raise ConfigError(f"{path}: unknown kind of file; use .json, .yaml, .yml or .toml")
    try:
        text = path.read_text("utf-8")
        parsed = parse(text) if text.strip() else {}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise ConfigError(f"{path}: expected an object with options at the top")
    return plain_tree(parsed, "")


def plain_tree(mapping: Mapping[object, object], path: str) -> dict[str, object]:
    """Lower the keys and turn dotted keys into nested objects, at every depth.

    Keys that meet in this way are merged; of two values for one key the last wins.
    """
    tree: dict[str, object] = {}
    for key, value in mapping.items():
        *parents, name = str(key).lower().split(".")
        below = tree
        for parent in parents:
            child = below.setdefault(parent, {})
            if not isinstance(child, dict):
                raise ConfigError(f"{path}{key}: `{parent}` has a value already, it cannot be an object too")
            below = child
        merge(below, name, plain(value, f"{path}{key}."))
    return tree


def plain(value: object, path: str) -> object:
    """Apply :func:`plain_tree` to the objects inside a value."""
    if isinstance(value, dict):
        return plain_tree(value, path)
    if isinstance(value, list):
        return [plain(item, path) for item in value]
    return value


def merge(tree: dict[str, object], name: str, value: object) -> None:
    """Put a value into a tree, objects into objects."""
    present = tree.get(name)
    if isinstance(present, dict) and isinstance(value, dict):
        for key, item in value.items():
            merge(present, key, item)
    else:
        tree[name] = value


def read_pem(value: str) -> Pem:
    """Return the PEM text that *value* is, encodes in base64, or names as a file.

    Raises :exc:`ValueError` when it is none of the three; the value is not repeated, it may be a key.
    """
    if not value or is_pem(value):
        return Pem(value)
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    if is_pem(decoded):
        return Pem(decoded)
    try:
        content = Path(value).read_text("utf-8")
    except (OSError, ValueError):
        content = ""
    if is_pem(content):
        return Pem(content)
    raise ValueError("expected PEM text, base64 of it, or the path of a readable PEM file")


def is_pem(text: str) -> bool:
    """Whether a text holds at least one PEM block."""
    return "-----BEGIN " in text


ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*)", re.DOTALL)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def load_dotenv(path: Path, environ: MutableMapping[str, str]) -> tuple[str, ...]:
    """Add the variables of a ``.env`` file to *environ*, never replacing one; return warnings.

    A missing file is nothing to speak of. Values are taken as they are: no expansion of variables.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        return (f"{path}: cannot be read: {error}",)
    warnings = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = ASSIGNMENT.fullmatch(text)
        if match is None:
            warnings.append(f"{path}: line {number} is not NAME=value, skipped")
        else:
            environ.setdefault(match[1], unquote(match[2]))
    return tuple(warnings)


def unquote(text: str) -> str:
    """Take quotes off a value of ``.env``, or the comment behind one without quotes."""
    quoted = re.match(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", text)
    if quoted is None:
        return re.split(r"\s+#", text, maxsplit=1)[0].rstrip()
    if quoted[1] is not None:
        return quoted[1]
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), quoted[2])
