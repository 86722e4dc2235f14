"""The API described for programs: an OpenAPI 3.1 document made of the requests and results themselves. Pure.

How it works: ``json_schema`` says what a request may carry and what a result holds, ``descriptions`` what words can
add, ``errors`` which codes there are. A component named ``PublishRequest`` is what the decoder takes, also inside a
batch; what only the method demands is added where the method is described. ``docs/reference/openapi.json`` is the
document of a server with the default configuration.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from centrifast import __version__, errors
from centrifast.api import descriptions
from centrifast.api.commands import NUMBERED_METHODS
from centrifast.api.descriptions import METHODS as METHOD_DOCS
from centrifast.api.descriptions import MethodDoc
from centrifast.api.json_schema import Components, JsonSchema, paragraph
from centrifast.api.messages import Error
from centrifast.api.methods import METHODS
from centrifast.errors import API_ERRORS, ApiErrorCode

COMMANDS = "commands"
"""Id of the operation at the prefix itself, the old command format."""

_MAX_UINT32 = 2**32 - 1

_JSON = "application/json"
_ERROR = "#/components/schemas/Error"
_MODE_HEADER = "X-Centrifugo-Error-Mode"

_INTRODUCTION = """\
Calls are `POST` with a JSON object as body; `Content-Type` is not looked at. Names of fields are matched in any case,
unknown fields are ignored, `null` means absent. Members with empty values are left out of answers.

An error is answered with status 200 and `{{"error": {{"code": …, "message": …}}}}`. With the header
`X-Centrifugo-Error-Mode: transport`, or `http_api.error_mode`, it is answered with a status of its own and the bare
error as body:

| Code | Message | Status |
|---|---|---|
{table}"""

_COMMANDS_TEXT = """\
One or more commands, with line breaks or nothing between them; the answer has a line for each. They run one after
another, and errors stand in the reply of their command in every error mode. `method` is a name in any case or its
number; without one it is `publish`. The schemas describe one command and its reply."""

Document = dict[str, Any]


def document(prefix: str = "/api", *, insecure: bool = False) -> Document:
    """The description of the API at *prefix*, a path without trailing slash; *insecure*: calls need no key."""
    components = Components(descriptions.describe)
    components.result(Error)
    prefix = prefix.rstrip("/")
    paths = {f"{prefix}/{name}": {"post": _operation(components, name)} for name in METHODS}
    if prefix:
        paths[prefix] = {"post": _commands_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "centrifast server API",
            "version": __version__,
            "description": _INTRODUCTION.format(table=_error_table()),
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components.schemas | _schemas_of_replies(components),
            "responses": _RESPONSES,
            "parameters": {"ErrorMode": _MODE},
            "securitySchemes": {} if insecure else _SECURITY,
        },
        "security": [] if insecure else [{name: []} for name in _SECURITY],
    }


def _error_table() -> str:
    return "\n".join(f"| {row.code} | {row.message} | {row.status} |" for row in API_ERRORS)


def _operation(components: Components, name: str) -> Document:
    request, serve = METHODS[name]
    doc = METHOD_DOCS[name]
    failures = sorted({errors.API_INTERNAL, *doc.failures}, key=lambda failure: failure.code)
    return {
        "operationId": name,
        "summary": f"{paragraph(serve.__doc__ or name).split('. ')[0].rstrip('.')}.",
        "description": doc.text,
        "parameters": [{"$ref": "#/components/parameters/ErrorMode"}],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _body(components.request(request), doc), "example": doc.example}},
        },
        "responses": _success(components, name, doc, failures) | _failures(failures) | _REFUSALS,
    }


def _body(request: JsonSchema, doc: MethodDoc) -> JsonSchema:
    """What a method demands beyond the types of its request; nothing at all may be ``null``."""
    if not doc.demands:
        return {"anyOf": [request, {"type": "null"}]}
    kind = "object" if "required" in doc.demands else ["object", "null"]
    either = request if kind == "object" else {"anyOf": [request, {"type": "null"}]}
    return {"allOf": [either, {"type": kind, **doc.demands}]}


def _success(components: Components, name: str, doc: MethodDoc, failures: Iterable[ApiErrorCode]) -> Document:
    """Status 200: a result or, unless the error mode is ``transport``, an error."""
    failed: JsonSchema = {
        "type": "object",
        "properties": {"error": {"$ref": _ERROR}},
        "required": ["error"],
    }
    if name == "batch":
        succeeded: JsonSchema = {"$ref": "#/components/schemas/BatchResult"}
        answer = doc.answer
    else:
        result = components.result(doc.result)
        succeeded = {"type": "object", "properties": {"result": result}, "required": ["result"]}
        answer = {"result": doc.answer}
    examples: Document = {} if name == "rpc" else {"success": {"value": answer}}
    for failure in failures:
        value = {"error": _example(failure)}
        examples[str(failure.code)] = {"summary": failure.message, "value": value}
    content = {"schema": {"anyOf": [succeeded, failed]}, "examples": examples}
    return {"200": {"description": "The result, or an error.", "content": {_JSON: content}}}


def _example(failure: ApiErrorCode) -> Document:
    return {"code": failure.code, "message": failure.message}


def _failures(failures: Iterable[ApiErrorCode]) -> Document:
    """Errors as statuses. 400 and 500 also tell of what is no error of the table, as text."""
    by_status: dict[int, list[ApiErrorCode]] = {400: [], 500: []}
    for failure in failures:
        by_status.setdefault(failure.status, []).append(failure)
    return {str(status): _failure(status, rows) for status, rows in sorted(by_status.items())}


def _failure(status: int, rows: Iterable[ApiErrorCode]) -> Document:
    content: Document = {}
    described = [f"{row.code} {row.message}" for row in rows]
    if rows:
        examples = {str(row.code): {"summary": row.message, "value": _example(row)} for row in rows}
        content[_JSON] = {"schema": {"$ref": _ERROR}, "examples": examples}
    text = f"In error mode `transport`: {', '.join(described)}." if described else ""
    if status == HTTPStatus.BAD_REQUEST:
        text = f"The body is no JSON object, or a field has the wrong type. {text}".strip()
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR):
        content["text/plain"] = {"schema": {"const": HTTPStatus(status).phrase}}
    return {"description": text, "content": content}


def _commands_operation() -> Document:
    command = {"id": 1, "method": "publish", "params": {"channel": "chat:1", "data": 1}}
    reply = {"id": 1, "result": {"offset": 8, "epoch": "HyfEqRtb"}}
    return {
        "operationId": COMMANDS,
        "summary": "Run commands of the old format.",
        "description": _COMMANDS_TEXT,
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Command"}, "example": command}},
        },
        "responses": {
            "200": {
                "description": "A line for each command.",
                "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Reply"}, "example": reply}},
            },
            **_failures(()),
            **_REFUSALS,
        },
    }


def _schemas_of_replies(components: Components) -> Document:
    """What no struct says: replies of a batch, and the old command format."""
    results = {name: components.result(doc.result) for name, doc in METHOD_DOCS.items() if name != "batch"}
    reply = results | {"error": {"$ref": _ERROR}}
    bounds = {"minimum": 0, "maximum": _MAX_UINT32}
    return {
        "BatchReply": {"type": "object", "properties": reply, "minProperties": 1, "maxProperties": 1},
        "BatchResult": {
            "type": "object",
            "properties": {
                "replies": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/BatchReply"},
                    "description": "One for each command, in their order; missing if there are none.",
                }
            },
        },
        "Command": {
            "type": ["object", "null"],
            "properties": {
                "id": {"type": ["integer", "null"], **bounds},
                "method": {"anyOf": [{"enum": [*NUMBERED_METHODS, None]}, {"type": "integer"}]},
                "params": {"description": "The request of the method; may be left out for `info` only."},
            },
        },
        "Reply": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", **bounds, "description": "That of the command, unless it is 0."},
                "result": {"type": "object"},
                "error": {"$ref": _ERROR},
            },
            "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
        },
    }


_MODE: Document = {
    "name": _MODE_HEADER,
    "in": "header",
    "description": "`transport`: errors have a status of their own. Anything else means nothing.",
    "schema": {"type": "string"},
    "example": "transport",
}

_TEXT = {"text/plain": {"schema": {"type": "string"}}}

_RESPONSES: Document = {
    "Unauthorized": {"description": "The key is missing or wrong."},
    "MethodNotAllowed": {
        "description": "The request is not `POST`.",
        "headers": {"Allow": {"required": True, "schema": {"const": "POST"}}},
    },
    "TooLarge": {
        "description": "The body is larger than `http_api.max_request_body_size`.",
        "content": _TEXT,
    },
    "Unavailable": {"description": "The server stops, or can take no more connections.", "content": _TEXT},
}

_REFUSALS: Document = {
    str(status): {"$ref": f"#/components/responses/{name}"}
    for status, name in (
        (401, "Unauthorized"),
        (405, "MethodNotAllowed"),
        (413, "TooLarge"),
        (503, "Unavailable"),
    )
}

_SECURITY: Document = {
    "KeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The key; if this header is there, `Authorization` is not looked at.",
    },
    "AuthorizationHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`apikey <key>`.",
    },
    "KeyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "api_key",
        "description": "Looked at when neither header has the right key.",
    },
}
