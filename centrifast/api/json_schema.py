"""JSON Schema (2020-12) of requests as ``api/decoding.py`` takes them, and of results as they are written.

msgspec has a generator of its own, but it says what msgspec takes: no ``null`` for texts and numbers, no unknown
fields. Here a request says what the decoder forgives, and a result which members are always there.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import NODEFAULT, inspect

from centrifast.api.encoding import WRITTEN
from centrifast.protocol.wire import MAX_UINT64

JsonSchema = dict[str, Any]

Describe = Callable[[str, str], str]
"""Gives the description of a struct's field, by the names of both."""

REFERENCE = "#/components/schemas/"

_SOURCE = re.compile(r" \((?:server specification|client protocol)[^)]*\)")

_DOMAIN = {form: value for value, form in WRITTEN.items()}


class Components:
    """Schemas of structs, each once, by its name."""

    def __init__(self, describe: Describe) -> None:
        self.schemas: dict[str, JsonSchema] = {}
        self._describe = describe

    def request(self, struct: type) -> JsonSchema:
        """A reference to what a call may carry; ``null`` stands for nothing in every field."""
        return self._reference(inspect.type_info(struct), is_request=True)

    def result(self, struct: type) -> JsonSchema:
        """A reference to what a call answers."""
        return self._reference(inspect.type_info(struct), is_request=False)

    def _reference(self, kind: inspect.Type, *, is_request: bool) -> JsonSchema:
        assert isinstance(kind, inspect.StructType)
        struct = _DOMAIN.get(kind.cls, kind.cls)
        name = struct.__name__
        if name not in self.schemas:
            self.schemas[name] = {}  # a struct inside itself finds it here
            written = inspect.type_info(WRITTEN.get(struct, struct))
            assert isinstance(written, inspect.StructType)
            description = {"description": paragraph(struct.__doc__)} if struct.__doc__ else {}
            self.schemas[name] = description | self._struct(name, written, is_request=is_request)
        return {"$ref": f"{REFERENCE}{name}"}

    def _struct(self, name: str, kind: inspect.StructType, *, is_request: bool) -> JsonSchema:
        schema: JsonSchema = {"type": "object"}
        properties: JsonSchema = {}
        for field in kind.fields:
            described = self._schema(field.type, is_request=is_request)
            properties[field.encode_name] = described | {
                "description": self._describe(name, field.encode_name)
            }
        if properties:
            schema["properties"] = properties
        if not is_request and (
            required := [field.encode_name for field in kind.fields if is_always(kind, field)]
        ):
            schema["required"] = required
        return schema

    def _schema(self, kind: inspect.Type, *, is_request: bool) -> JsonSchema:
        if isinstance(kind, inspect.UnionType):  # something or nothing; a result leaves nothing out
            schema = self._schema(kind.types[0], is_request=is_request)
            return {"anyOf": [schema, {"type": "null"}]} if is_request else schema
        if isinstance(kind, inspect.StructType):
            return self._reference(kind, is_request=is_request)
        if isinstance(kind, inspect.RawType):
            return {}
        schema = self._plain(kind, is_request=is_request)
        return schema | {"type": [schema["type"], "null"]} if is_request else schema

    def _plain(self, kind: inspect.Type, *, is_request: bool) -> JsonSchema:
        if isinstance(kind, inspect.DictType):
            values = self._schema(kind.value_type, is_request=is_request)
            return {"type": "object", "additionalProperties": values}
        if isinstance(kind, inspect.CollectionType):
            return {"type": "array", "items": self._schema(kind.item_type, is_request=is_request)}
        if isinstance(kind, inspect.IntType):
            return {"type": "integer"} | bounds(kind)
        if isinstance(kind, inspect.BytesType):
            return {"type": "string", "contentEncoding": "base64"}
        return {"type": _NAMES[type(kind)]}


_NAMES: Mapping[type, str] = {
    inspect.StrType: "string",
    inspect.BoolType: "boolean",
    inspect.FloatType: "number",
}


def bounds(kind: inspect.IntType) -> JsonSchema:
    """Of an integer; one that is only bounded below is a ``UInt64``, whose end msgspec can not express."""
    if kind.ge is None:
        return {}
    return {"minimum": kind.ge, "maximum": MAX_UINT64 if kind.le is None else kind.le}


def is_always(kind: inspect.StructType, field: inspect.Field) -> bool:
    """Whether a member is written even when it is empty."""
    omits = kind.cls.__struct_config__.omit_defaults
    return (
        not omits
        or field.required
        or (field.default is NODEFAULT and field.default_factory not in (dict, list))
    )


def paragraph(docstring: str) -> str:
    """The first paragraph of a docstring on one line, in Markdown, without the sources it names."""
    text = " ".join(docstring.strip().split("\n\n")[0].split())
    return _SOURCE.sub("", text).replace("``", "`")
