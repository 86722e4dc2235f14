"""The schema for editors: JSON Schema (draft 7, which all of them know) of what a configuration file may hold.

It allows all weak forms a file may have (server specification 1.2), so a file that loads is valid, but for keys: to
point out typing errors, it knows them in lower case only. Keys with a dot are paths, which it lets pass unseen.
"""

from collections.abc import Mapping

from centrifast.config.convert import FALSE, TRUE
from centrifast.config.option import Facts, Kind, Option, Support, options_of
from centrifast.config.schema import Config
from centrifast.config.writing import plain_value, to_json

Schema = dict[str, object]

STATES = {
    Support.BUILT: "",
    Support.ACCEPTED: "No effect yet.",
    Support.WARNED: "Not built yet: no effect, a warning at start.",
    Support.REFUSED: "Not built yet: the server refuses to start with it.",
}

DURATION = r"(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+"
WHOLE_NUMBER = r"^[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[0-9][0-9_]*)?$"
SCALAR = ["string", "number", "boolean", "null"]

KINDS: Mapping[Kind, Schema] = {
    Kind.BOOL: {
        "anyOf": [{"type": ["boolean", "number", "null"]}, {"enum": ["", *sorted(TRUE | FALSE)]}],
    },
    Kind.INT: {
        "anyOf": [
            {"type": ["number", "boolean", "null"]},
            {"type": "string", "pattern": WHOLE_NUMBER},
        ],
    },
    Kind.STR: {"type": SCALAR},
    Kind.DURATION: {
        "anyOf": [
            {"type": ["number", "null"]},
            {"type": "string", "pattern": f"^([-+]?0|[-+]?{DURATION})?$"},
        ],
    },
    Kind.PEM: {"type": ["string", "null"]},
    Kind.STRINGS: {
        "anyOf": [{"type": SCALAR}, {"type": "array", "items": {"type": SCALAR}}],
    },
    Kind.MAP: {
        "anyOf": [
            {"type": ["object", "null"], "additionalProperties": {"type": SCALAR}},
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"key": {"type": SCALAR}, "value": {"type": SCALAR}},
                    "required": ["key"],
                    "additionalProperties": False,
                },
            },
        ],
    },
    Kind.IGNORED: {},
}


def json_schema() -> str:
    """Return the schema as text, ready to be published."""
    definitions: dict[str, Schema] = {
        kind.name.lower(): shape for kind, shape in KINDS.items() if kind is not Kind.IGNORED
    }
    root = section_schema(Config, definitions)
    properties = root["properties"]
    assert isinstance(properties, dict)
    root["properties"] = {
        "$schema": {"type": "string", "description": "Where editors find this."},
        **properties,
    }
    return to_json(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Configuration of centrifast",
            **root,
            "definitions": dict(sorted(definitions.items())),
        }
    )


def section_schema(kind: type, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a section; *definitions* gets those of the sections inside, by class."""
    return {
        "type": ["object", "null"],
        "properties": {option.name: option_schema(option, definitions) for option in options_of(kind)},
        "patternProperties": {r"[.A-Z]": {}},
        "additionalProperties": False,
    }


def option_schema(option: Option, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of one option."""
    if option.section is not None:
        name = option.section.__name__
        if name not in definitions:
            definitions[name] = {}  # before what is inside refers to it
            definitions[name] = section_schema(option.section, definitions)
        one = reference(name)
        shape: Schema = {"allOf": [one]}
        if option.kind is Kind.ITEMS:
            shape = {"anyOf": [{"type": "array", "items": one}, one]}
        return {"description": description(option.facts), **shape}
    shape = {"description": description(option.facts), "default": plain_value(option, option.default)}
    if option.facts.secret:
        shape["writeOnly"] = True
    if option.kind is not Kind.IGNORED:
        shape["allOf"] = [reference(option.kind.name.lower()), *limits(option)]
    return shape


def reference(name: str) -> Schema:
    """Refer to a definition."""
    return {"$ref": f"#/definitions/{name}"}


def limits(option: Option) -> list[Schema]:
    """Return what one option demands beyond its kind. A zero stands for the default, whatever the bounds are."""
    facts = option.facts
    if facts.choices is not None:
        words: Schema = {"enum": [*dict.fromkeys((*facts.choices, "", None))]}
        many: Schema = {"anyOf": [words, {"type": "array", "items": {"enum": list(facts.choices)}}]}
        return [many if option.kind is Kind.STRINGS else words]
    scale = 1e9 if option.kind is Kind.DURATION else 1
    bounds: Schema = {}
    if facts.min is not None:
        bounds["minimum"] = int(min(facts.min, 0) * scale)
    if facts.max is not None:
        bounds["maximum"] = int(facts.max * scale)
    if option.kind is Kind.DURATION and facts.min is not None and facts.min >= 0:
        bounds["pattern"] = "^[^-]*$"
    return [bounds] if bounds else []


def description(facts: Facts) -> str:
    """Return help, unit, bounds and how far the option is built, as plain sentences."""
    words = [facts.help]
    if facts.unit:
        words.append(f"Unit: {facts.unit}.")
    if facts.later:
        words.append(f"Not built yet: {', '.join(facts.later)}.")
    if facts.extension:
        words.append("An addition of centrifast.")
    return " ".join(filter(None, (*words, STATES[facts.support])))
