"""Requests made of the API's document, legal and not, against running daemons: nothing undocumented may come back.

In error mode ``transport`` every refusal shows as a status, so what breaks the document must be refused. Without it
what is legal must be answered with 200, and what is not with a refusal of either kind.
``SCHEMATHESIS_EXAMPLES`` sets how many requests are made up for each operation besides those that cover its schema.
"""

import json
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import BaseSchema, Case, CheckContext, CheckFunction, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from centrifast.api.openapi import Document, document
from centrifast.glob import Glob, GlobError
from tests.server_process import ServerProcess

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "10"))
REPEATABLE = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FULL = {"presence": True, "history_size": 5, "history_ttl": "60s"}
CHANNELS = {"without_namespace": FULL, "namespaces": [{"name": "chat", **FULL}]}
KEY = {"X-API-Key": "key"}
NO_MODE = {"X-Centrifugo-Error-Mode": "none"}


def closed(api: Document) -> Document:
    """The document without room for more in answers; clients are told to expect that there will be."""

    def close(schema: Any) -> None:
        parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        if isinstance(schema, dict):
            name = schema.get("$ref", "").rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                close(api["components"]["schemas"][name])
            if schema.get("type") == "object" and schema is not anything:
                schema.setdefault("additionalProperties", False)
        for part in parts:
            close(part)

    seen: set[str] = set()
    anything = api["components"]["schemas"]["Reply"]["properties"]["result"]  # of any method
    for path in api["paths"].values():
        for answer in path["post"]["responses"].values():
            for content in answer.get("content", {}).values():
                close(content["schema"])
    return api


def load(statuses: list[str]) -> BaseSchema:
    """The operations to test, of which legal requests may be answered with *statuses*."""
    checks = {"positive_data_acceptance": {"expected-statuses": statuses}}
    config = schemathesis.Config.from_dict({"seed": 1, "checks": checks})
    return schemathesis.openapi.from_dict(closed(document()), config=config)


def write_as_usual(case: Case[Any]) -> None:
    """Write whole numbers without a point: JSON Schema takes 1.0 for an integer, decoders with types do not."""
    usual = as_written(case.body)
    if usual is not case.body:
        case.body = usual


def as_written(value: Any) -> Any:
    """The value, its whole numbers as integers; the same object if there is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        items = [as_written(item) for item in value]
        return items if any(map(operator.is_not, items, value)) else value
    if isinstance(value, dict):
        members = {name: as_written(item) for name, item in value.items()}
        return members if any(map(operator.is_not, members.values(), value.values())) else value
    return value


def has_wrong_pattern(case: Case[Any]) -> bool:
    """Whether it asks for channels by no glob: error 100 (server specification 6.5), so status 500."""
    if case.operation.path != "/api/channels" or not isinstance(case.body, dict):
        return False
    pattern = case.body.get("pattern")
    try:
        Glob(pattern if isinstance(pattern, str) else "")
    except GlobError:
        return True
    return False


def refused_by_error(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """``negative_data_rejection`` where a refusal may also be an error in the body, as of a missing channel."""
    try:
        negative_data_rejection(context, response, case)
    except Failure:
        answer = json.loads(response.content)
        if "error" not in answer:
            raise


def serve(folder: Path, error_mode: str) -> Iterator[str]:
    """A daemon in this error mode; its URL."""
    config = {"channel": CHANNELS, "http_api": {"error_mode": error_mode}}
    with ServerProcess(folder, config) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Errors stand in the body."""
    yield from serve(tmp_path_factory.mktemp("plain"), "")


@pytest.fixture(scope="module")
def transport(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Errors are statuses."""
    yield from serve(tmp_path_factory.mktemp("transport"), "transport")


in_body = load(["200"])
as_status = load(["200", "400", "404", "416"])


@in_body.parametrize()
@REPEATABLE
def test_errors_in_the_body(case: Case[Any], plain: str) -> None:
    write_as_usual(case)
    case.call_and_validate(
        plain,
        headers=KEY | NO_MODE,
        additional_checks=[refused_by_error],
        excluded_checks=[negative_data_rejection],
    )


@as_status.parametrize()
@REPEATABLE
def test_errors_as_status(case: Case[Any], transport: str) -> None:
    write_as_usual(case)
    excluded: list[CheckFunction] | None = (
        [not_a_server_error, positive_data_acceptance] if has_wrong_pattern(case) else None
    )
    case.call_and_validate(transport, headers=KEY, excluded_checks=excluded)
