import json
from collections.abc import Iterator
from typing import Any

import openapi_spec_validator
import pytest
from openapi_schema_validator import OAS31Validator

from centrifast.api.commands import decode_command
from centrifast.api.decoding import decoder_of
from centrifast.api.methods import METHODS
from centrifast.api.openapi import COMMANDS, document
from centrifast.errors import API_ERRORS
from tests.api.test_error_table import ERRORS, ROWS
from tests.server_process import BASE_CONFIG, ServerProcess
from tools.reference_openapi import PAGE, page

API = document()
CHAT = {"name": "chat", "presence": True, "history_size": 10, "history_ttl": "60s"}


def validator(schema: Any) -> OAS31Validator:
    """Of a schema that may refer to components."""
    return OAS31Validator({"allOf": [schema], "components": API["components"]})


def operations() -> Iterator[tuple[str, Any]]:
    """Path and operation."""
    for path, item in API["paths"].items():
        yield path, item["post"]


OPERATIONS = list(operations())
IDS = [operation["operationId"] for _, operation in OPERATIONS]


def body_of(operation: Any) -> Any:
    return operation["requestBody"]["content"]["application/json"]


def answer_of(operation: Any, status: str = "200") -> Any:
    return operation["responses"][status]["content"]["application/json"]


def test_it_is_an_openapi_document() -> None:
    openapi_spec_validator.validate(API)


def test_the_committed_document_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.reference_openapi"


def test_every_method_stands_at_its_path() -> None:
    expected = {f"/api/{name}" for name in METHODS} | {"/api"}
    assert API["paths"].keys() == expected
    assert {*METHODS, COMMANDS} == set(IDS)


def test_the_prefix_is_that_of_the_server_and_at_the_root_there_are_no_old_commands() -> None:
    assert document("/v1/api").get("paths", {}).keys() >= {"/v1/api", "/v1/api/publish"}
    assert document("/")["paths"].keys() == {f"/{name}" for name in METHODS}


def test_calls_need_one_of_three_keys_unless_the_server_is_insecure() -> None:
    schemes = API["components"]["securitySchemes"].values()
    assert [(scheme["in"], scheme["name"]) for scheme in schemes] == [
        ("header", "X-API-Key"),
        ("header", "Authorization"),
        ("query", "api_key"),
    ]
    assert len(API["security"]) == 3
    insecure = document(insecure=True)
    assert (insecure["security"], insecure["components"]["securitySchemes"]) == ([], {})
    openapi_spec_validator.validate(insecure)


def test_every_error_of_the_table_is_explained() -> None:
    for error in API_ERRORS:
        assert f"| {error.code} | {error.message} | {error.status} |" in API["info"]["description"]


@pytest.mark.parametrize(("name", "code"), sorted({(name, code) for name, _, code in ROWS}))
def test_every_error_of_a_method_is_documented_in_both_modes(name: str, code: int) -> None:
    operation = dict(zip(IDS, OPERATIONS, strict=True))[name][1]
    error = {"code": code, "message": ERRORS[code].message}
    assert answer_of(operation)["examples"][str(code)]["value"] == {"error": error}
    assert answer_of(operation, str(ERRORS[code].status))["examples"][str(code)]["value"] == error


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=IDS)
def test_everything_is_described(path: str, operation: Any) -> None:
    assert operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert {"400", "401", "405", "413", "503"} <= operation["responses"].keys()
    for schema in API["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            assert "$ref" in field or field.get("description") or name in ("id", "method", "result"), name


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=IDS)
def test_examples_fit_their_schemas(path: str, operation: Any) -> None:
    body = body_of(operation)
    validator(body["schema"]).validate(body["example"])
    text = json.dumps(body["example"]).encode()
    name = operation["operationId"]
    decode_command(text) if name == COMMANDS else decoder_of(METHODS[name][0])(text)
    for status in operation["responses"]:
        for content in operation["responses"][status].get("content", {}).values():
            examples = [example["value"] for example in content.get("examples", {}).values()]
            for example in [*examples, *([content["example"]] if "example" in content else [])]:
                validator(content["schema"]).validate(example)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("publish", {"data": 1}),
        ("publish", {"channel": "", "data": 1}),
        ("publish", {"channel": "a", "b64data": "*"}),
        ("publish", {"channel": "a", "tags": {"a": 1}}),
        ("publish", None),
        ("broadcast", {"channels": []}),
        ("disconnect", {"disconnect": {"code": 1000}}),
        ("history", {"channel": "a", "limit": 2**31}),
        ("rpc", {}),
        ("batch", {"commands": [1]}),
        ("info", []),
        ("stats", {"slow": -1}),
        (COMMANDS, {"method": "nope"}),
    ],
)
def test_what_would_be_refused_does_not_fit(name: str, body: Any) -> None:
    operation = dict(zip(IDS, OPERATIONS, strict=True))[name][1]
    assert not validator(body_of(operation)["schema"]).is_valid(body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("publish", {"channel": "a", "data": None, "tags": None, "more": 1}),
        ("unsubscribe", None),
        ("disconnect", {"disconnect": {"code": 0}}),
        ("disconnect", None),
        ("batch", {"commands": [None, {}, {"publish": {"channel": ""}}]}),
        (COMMANDS, {"method": 99}),
    ],
)
def test_what_is_forgiven_fits(name: str, body: Any) -> None:
    operation = dict(zip(IDS, OPERATIONS, strict=True))[name][1]
    assert validator(body_of(operation)["schema"]).is_valid(body)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A daemon that has what the examples are about."""
    namespaces = [*BASE_CONFIG["channel"]["namespaces"], CHAT]
    with ServerProcess(tmp_path_factory.mktemp("openapi"), {"channel": {"namespaces": namespaces}}) as server:
        yield server


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=IDS)
def test_the_server_accepts_every_example(server: ServerProcess, path: str, operation: Any) -> None:
    body = json.dumps(body_of(operation)["example"]).encode()
    status, answer = server.request("POST", path, body, {"X-API-Key": "key"})
    result = json.loads(answer)
    assert status == 200
    assert ("error" in result) == (operation["operationId"] == "rpc")  # there are no extensions
    validator(answer_of(operation)["schema"]).validate(result)
