"""Weak typing: from what a file, a variable or a flag holds to the value of an option.

The rules are those of the server specification, 1.2 to 1.4. Every function raises :exc:`ValueError` with a
text that says what was expected; the loader adds which option. Nothing here fills in defaults or reads files.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence

from centrifast.config.duration import parse_duration
from centrifast.config.option import Kind

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
LEADING_ZERO = re.compile(r"[-+]?0[0-7_]+")
LIMIT = 2**63
"""Whole numbers have 64 bits, also as nanoseconds."""


def parse_bool(text: str) -> bool:
    """Read the words Go takes for booleans."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"expected true or false, got {text!r}")


def parse_int(text: str) -> int:
    """Read decimal, ``0x``, ``0o``, ``0b``, and, as Go does, octal after a leading zero."""
    try:
        number = int(text, 8 if LEADING_ZERO.fullmatch(text) else 0)
    except ValueError:
        raise ValueError(f"expected a whole number, got {text[:100]!r}") from None
    return within_limit(number)


def within_limit(number: float) -> int:
    """Cut a fraction off a number that fits into 64 bits."""
    if not -LIMIT <= number < LIMIT:
        raise ValueError("the number is too large; whole numbers have 64 bits")
    return int(number)


def weak_bool(value: object) -> bool:
    """Read a boolean, also from a number or a word."""
    if isinstance(value, bool | int | float):
        return bool(value)
    if isinstance(value, str):
        return bool(value) and parse_bool(value)
    raise ValueError(f"expected true or false, got {describe(value)}")


def weak_int(value: object) -> int:
    """Read a whole number, also from a fraction (cut off), a text or a boolean."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return within_limit(value)
    if isinstance(value, str):
        return parse_int(value) if value else 0
    raise ValueError(f"expected a whole number, got {describe(value)}")


def weak_str(value: object) -> str:
    """Read a text, also from a number or a boolean (written 1 or 0, as Go does)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    raise ValueError(f"expected a text, got {describe(value)}")


def weak_duration(value: object) -> float:
    """Read a duration; a bare number is nanoseconds."""
    if isinstance(value, str):
        return parse_duration(value) if value else 0.0
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole or (isinstance(value, float) and math.isfinite(value)):
        return within_limit(value) / 1e9  # type: ignore[arg-type]
    raise ValueError(f"expected a duration such as 10s, got {describe(value)}")


def weak_strings(value: object) -> tuple[str, ...]:
    """Read a list of texts; a scalar is a list of one, commas are not special."""
    if isinstance(value, list):
        return tuple("" if item is None else weak_str(item) for item in value)
    return (weak_str(value),)


def weak_map(value: object) -> Mapping[str, str]:
    """Read a map of texts from an object or from a list of ``{key, value}``, which keeps the case of keys."""
    if isinstance(value, dict):
        return {key: map_value(key, text) for key, text in value.items()}
    if not isinstance(value, list):
        raise ValueError(f"expected an object, or a list of {{key, value}}, got {describe(value)}")
    result: dict[str, str] = {}
    for pair in value:
        if not isinstance(pair, dict) or not pair.keys() <= {"key", "value"} or "key" not in pair:
            raise ValueError(f"expected {{key, value}}, got {describe(pair)}")
        key = weak_str(pair["key"])
        if key in result:
            raise ValueError(f"key {key!r} occurs twice; keep one")
        result[key] = weak_str(pair.get("value", ""))
    return result


def map_value(key: str, value: object) -> str:
    """Read one value of a map; an object here is what a dotted key has become."""
    if value is None:
        return ""
    if isinstance(value, dict):
        raise ValueError(f"{key!r} must be a text; for a key with a dot write a list of {{key, value}}")
    return weak_str(value)


FROM_FILE: Mapping[Kind, Callable[[object], object]] = {
    Kind.BOOL: weak_bool,
    Kind.INT: weak_int,
    Kind.STR: weak_str,
    Kind.PEM: weak_str,
    Kind.DURATION: weak_duration,
    Kind.STRINGS: weak_strings,
    Kind.MAP: weak_map,
    Kind.IGNORED: lambda value: None,
}


def from_file(kind: Kind, value: object) -> object:
    """Convert a scalar, list or map found in a file."""
    return FROM_FILE[kind](value)


JSON_TYPES: Mapping[Kind, type | tuple[type, ...]] = {
    Kind.BOOL: bool,
    Kind.INT: int,
    Kind.STR: str,
    Kind.PEM: str,
    Kind.DURATION: (str, int, float),
    Kind.STRINGS: list,
    Kind.MAP: dict,
    Kind.IGNORED: object,
}


def from_json(kind: Kind, value: object) -> object:
    """Convert a value inside JSON in a variable: like a file, but of the right type from the start."""
    wrong = not isinstance(value, JSON_TYPES[kind]) or (isinstance(value, bool) and kind is not Kind.BOOL)
    if kind is not Kind.IGNORED and (wrong or not all_texts(value)):
        raise ValueError(f"expected {kind.value}, got {describe(value)}")
    return from_file(kind, value)


def all_texts(value: object) -> bool:
    """Whether a list or map holds nothing but texts; true for scalars."""
    members: Sequence[object] = ()
    if isinstance(value, list):
        members = value
    elif isinstance(value, dict):
        members = list(value.values())
    return all(isinstance(member, str) for member in members)


FROM_TEXT: Mapping[Kind, Callable[[str], object]] = {
    Kind.BOOL: parse_bool,
    Kind.INT: parse_int,
    Kind.STR: str,
    Kind.PEM: str,
    Kind.DURATION: parse_duration,
    Kind.STRINGS: lambda text: tuple(text.split(" ")),
    Kind.MAP: lambda text: from_json(Kind.MAP, parse_json(text)),
    Kind.IGNORED: lambda text: None,
}


def from_text(kind: Kind, text: str) -> object:
    """Convert the text of a variable or flag; an empty one never gets here."""
    return FROM_TEXT[kind](text)


def parse_json(text: str) -> object:
    """Decode JSON that a variable holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from None


def describe(value: object) -> str:
    """Name a value that does not fit, without showing what is inside lists and objects."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)
