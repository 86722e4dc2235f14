"""Every method against every error it can answer, in both error modes and inside a batch (server specification 6.4)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from centrifast.api.commands import NUMBERED_METHODS
from centrifast.api.messages import BatchCommand
from centrifast.api.methods import METHODS
from centrifast.config.schema_server import HttpApiConfig
from centrifast.errors import API_ERRORS, ApiErrorCode
from tests.api.test_handler import ask

ERRORS = {error.code: error for error in API_ERRORS}

GOOD: dict[str, dict[str, Any]] = {
    "publish": {"channel": "a", "data": 1},
    "broadcast": {"channels": ["a"], "data": 1},
    "subscribe": {"user": "u", "channel": "a"},
    "unsubscribe": {"user": "u", "channel": "a"},
    "disconnect": {"user": "u"},
    "refresh": {"user": "u"},
    "presence": {"channel": "present:a"},
    "presence_stats": {"channel": "present:a"},
    "history": {"channel": "history:a"},
    "history_remove": {"channel": "history:a"},
    "channels": {},
    "info": {},
    "stats": {},
    "rpc": {"method": "m"},
    "batch": {"commands": []},
}
"""A call of each method that succeeds, but for rpc, of which there is none."""

OF_A_CHANNEL = [name for name, request in GOOD.items() if "channel" in request]
NEEDS_CHANNEL = [name for name in OF_A_CHANNEL if name != "unsubscribe"]  # an empty one is legal there
NEEDS_FEATURE = ["presence", "presence_stats", "history", "history_remove"]


def rows() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Method, request, code."""
    for name in OF_A_CHANNEL:
        yield name, GOOD[name] | {"channel": "nope:a"}, 102
        yield name, GOOD[name] | {"channel": "away:a"}, 100
        yield name, GOOD[name] | {"channel": "bug:a"}, 100
    for name in NEEDS_CHANNEL:
        yield name, {field: value for field, value in GOOD[name].items() if field != "channel"}, 107
        yield name, GOOD[name] | {"channel": ""}, 107
        yield name, GOOD[name] | {"channel": None}, 107
    for name in NEEDS_FEATURE:
        yield name, {"channel": "a"}, 108
    for name in ("publish", "broadcast"):
        yield name, GOOD[name] | {"b64data": "*"}, 107
    for name in ("b64info", "b64data"):
        yield "subscribe", GOOD["subscribe"] | {name: "*"}, 107
    yield "publish", {"channel": "a"}, 107
    yield "broadcast", {"data": 1}, 107
    yield "broadcast", {"channels": [], "data": 1}, 107
    yield "disconnect", {"user": "u", "disconnect": {"code": 1000}}, 107
    yield "channels", {"pattern": "["}, 100
    yield "stats", {"slow": -1}, 107
    yield "stats", {"slow": 1001}, 107
    yield "rpc", {}, 107
    yield "rpc", {"method": "m"}, 104
    yield "history", {"channel": "history:a", "since": {"offset": 1, "epoch": "other"}}, 112
    yield "history", {"channel": "history:a", "since": {"offset": 0}, "reverse": True}, 107


def bare(error: ApiErrorCode) -> str:
    return f'{{"code":{error.code},"message":"{error.message}"}}'


ROWS = list(rows())
WRONG_TYPES = [name for name, request in GOOD.items() if request]


def test_the_table_knows_every_method_and_every_error_but_conflict() -> None:
    assert GOOD.keys() == METHODS.keys()
    assert {code for _, _, code in ROWS} == ERRORS.keys() - {113}  # of map writes, which are not there
    assert {name for name, _, _ in ROWS} == METHODS.keys() - {"info", "batch", "refresh"}


@pytest.mark.parametrize(("name", "request_", "code"), ROWS)
def test_errors_in_the_body(name: str, request_: dict[str, Any], code: int) -> None:
    answer = ask(name, json.dumps(request_).encode())
    assert (answer.status, answer.body.decode()) == (200, f'{{"error":{bare(ERRORS[code])}}}')


@pytest.mark.parametrize(("name", "request_", "code"), ROWS)
def test_errors_as_status(name: str, request_: dict[str, Any], code: int) -> None:
    config = HttpApiConfig(insecure=True, error_mode="transport")
    answer = ask(name, json.dumps(request_).encode(), config=config)
    assert (answer.status, answer.body.decode()) == (ERRORS[code].status, bare(ERRORS[code]))


@pytest.mark.parametrize("mode", ["", "transport"])
@pytest.mark.parametrize("parallel", [False, True])
def test_errors_in_a_batch(mode: str, *, parallel: bool) -> None:
    commands = [{name: request} for name, request, _ in ROWS]
    batch = json.dumps({"commands": commands, "parallel": parallel}).encode()
    answer = ask("batch", batch, config=HttpApiConfig(insecure=True, error_mode=mode))
    replies = ",".join(f'{{"error":{bare(ERRORS[code])}}}' for _, _, code in ROWS)
    assert (answer.status, answer.body.decode()) == (200, f'{{"replies":[{replies}]}}')


@pytest.mark.parametrize("mode", ["", "transport"])
def test_errors_of_the_old_command_format(mode: str) -> None:
    rows = [row for row in ROWS if row[0] in NUMBERED_METHODS]  # it is older than our extensions
    commands = "\n".join(json.dumps({"method": name, "params": request}) for name, request, _ in rows)
    answer = ask("", commands.encode(), config=HttpApiConfig(insecure=True, error_mode=mode))
    replies = "\n".join(f'{{"error":{bare(ERRORS[code])}}}' for _, _, code in rows)
    assert (answer.status, answer.body.decode()) == (200, replies)


@pytest.mark.parametrize("mode", ["", "transport"])
@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("rpc", "batch")])
def test_success_is_the_same_in_both_modes_and_bare_in_a_batch(name: str, mode: str) -> None:
    config = HttpApiConfig(insecure=True, error_mode=mode)
    request = json.dumps(GOOD[name])
    answer = ask(name, request.encode(), config=config)
    assert answer.status == 200
    result = answer.body.decode().removeprefix('{"result":').removesuffix("}")
    assert answer.body.decode() == f'{{"result":{result}}}'
    batch = ask("batch", f'{{"commands":[{{"{name}":{request}}}]}}'.encode(), config=config)
    assert batch.body.decode() == f'{{"replies":[{{"{name}":{result}}}]}}'


@pytest.mark.parametrize("mode", ["", "transport"])
@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_wrong_type_is_refused_in_both_modes(name: str, mode: str) -> None:
    config = HttpApiConfig(insecure=True, error_mode=mode)
    for field in GOOD[name].keys() - {"data"}:
        answer = ask(name, json.dumps(GOOD[name] | {field: 1}).encode(), config=config)
        assert (answer.status, answer.body) == (400, b"Bad Request")


def test_batches_know_every_method_but_themselves() -> None:
    assert {*BatchCommand.__struct_fields__, "batch"} == METHODS.keys()
