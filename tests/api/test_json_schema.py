from typing import Any

import pytest
from msgspec import Struct

from centrifast.api.json_schema import Components, JsonSchema, paragraph
from centrifast.api.messages import (
    BatchRequest,
    DisconnectRequest,
    HistoryRequest,
    HistoryResult,
    InfoResult,
    Outcome,
    PresenceResult,
    PublishRequest,
    PublishResult,
)


class Empty(Struct):
    pass


def without_descriptions(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: without_descriptions(part)
            for name, part in schema.items()
            if not isinstance(part, str) or name != "description"
        }
    return [without_descriptions(part) for part in schema] if isinstance(schema, list) else schema


def components(*, request: type | None = None, result: type | None = None) -> JsonSchema:
    """The components that a struct needs, without what is said of them."""
    made = Components(lambda struct, field: f"{struct}.{field}")
    reference = made.request(request) if request is not None else made.result(result or Empty)
    assert reference == {"$ref": f"#/components/schemas/{(request or result or Empty).__name__}"}
    schemas: JsonSchema = without_descriptions(made.schemas)
    return schemas


def test_a_request_may_leave_out_everything_and_say_null() -> None:
    (publish,) = components(request=PublishRequest).values()
    assert publish == {
        "type": "object",
        "properties": {
            "channel": {"type": ["string", "null"]},
            "data": {},
            "b64data": {"type": ["string", "null"]},
            "skip_history": {"type": ["boolean", "null"]},
            "tags": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
            "idempotency_key": {"type": ["string", "null"]},
            "delta": {"type": ["boolean", "null"]},
            "version": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**64 - 1},
            "version_epoch": {"type": ["string", "null"]},
        },
    }


def test_integers_have_the_bounds_of_their_width() -> None:
    properties = components(request=HistoryRequest)["HistoryRequest"]["properties"]
    assert properties["limit"] == {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1}


def test_structs_inside_are_components_of_their_own() -> None:
    schemas = components(request=DisconnectRequest)
    assert schemas["DisconnectRequest"]["properties"]["disconnect"] == {
        "anyOf": [{"$ref": "#/components/schemas/DisconnectReason"}, {"type": "null"}]
    }
    assert "code" in schemas["DisconnectReason"]["properties"]
    commands = components(request=BatchRequest)["BatchRequest"]["properties"]["commands"]
    assert commands["items"]["anyOf"] == [{"$ref": "#/components/schemas/BatchCommand"}, {"type": "null"}]


@pytest.mark.parametrize(
    ("struct", "required"),
    [
        (PublishResult, None),
        (Outcome, None),
        (PresenceResult, ["presence"]),
        (HistoryResult, ["publications", "epoch", "offset"]),
        (Empty, None),
    ],
)
def test_a_result_says_what_is_always_there(struct: type, required: list[str] | None) -> None:
    assert components(result=struct)[struct.__name__].get("required") == required


def test_what_a_factory_makes_is_always_there() -> None:
    required = components(result=InfoResult)["NodeInfo"]["required"]
    assert {"uid", "num_clients", "metrics", "num_subs"} <= set(required)
    assert "uptime" not in required


def test_values_of_the_domain_are_shown_as_they_are_written() -> None:
    schemas = components(result=HistoryResult)
    assert schemas["Publication"] == {
        "type": "object",
        "properties": {
            "data": {},
            "b64data": {"type": "string", "contentEncoding": "base64"},
            "info": {"$ref": "#/components/schemas/ClientInfo"},
            "offset": {"type": "integer"},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    assert schemas["ClientInfo"]["required"] == ["user", "client"]


def test_fields_are_described() -> None:
    made = Components(lambda struct, field: f"{struct}.{field}")
    made.result(PublishResult)
    properties = made.schemas["PublishResult"]["properties"]
    assert properties["epoch"]["description"] == "PublishResult.epoch"


def test_a_docstring_becomes_one_line() -> None:
    assert paragraph("One ``word``\n    and more.\n\n    Not this.\n") == "One `word` and more."
    assert paragraph("A word (server specification 2.1).") == "A word."
