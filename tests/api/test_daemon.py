"""The table of errors, and payloads that are no JSON, through the running daemon instead of a fake of the node."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from centrifast.api.commands import NUMBERED_METHODS
from tests.api.test_error_table import ERRORS, ROWS, bare
from tests.server_process import BASE_CONFIG, ServerProcess

NAMESPACES = [
    *BASE_CONFIG["channel"]["namespaces"],
    {"name": "present", "presence": True},
    {"name": "binary", "publication_data_format": "binary", "history_size": 10, "history_ttl": "60s"},
]
REACHED = [row for row in ROWS if not str(row[1].get("channel")).startswith(("away:", "bug:"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The daemon of these tests."""
    config = {"channel": {"namespaces": NAMESPACES}}
    with ServerProcess(tmp_path_factory.mktemp("api"), config) as server:
        yield server


def ask(server: ServerProcess, path: str, body: bytes, mode: str = "") -> tuple[int, str]:
    """Status and body."""
    headers = {"X-API-Key": "key", "X-Centrifugo-Error-Mode": mode}
    status, answer = server.request("POST", f"/api{path}", body, headers)
    return status, answer.decode()


@pytest.mark.parametrize(("name", "request_", "code"), REACHED)
def test_errors(server: ServerProcess, name: str, request_: dict[str, Any], code: int) -> None:
    body, error = json.dumps(request_).encode(), ERRORS[code]
    assert ask(server, f"/{name}", body) == (200, f'{{"error":{bare(error)}}}')
    assert ask(server, f"/{name}", body, "transport") == (error.status, bare(error))


def test_errors_of_the_old_command_format(server: ServerProcess) -> None:
    rows = [row for row in REACHED if row[0] in NUMBERED_METHODS]  # it is older than our extensions
    commands = "\n".join(json.dumps({"method": name, "params": request}) for name, request, _ in rows)
    replies = "\n".join(f'{{"error":{bare(ERRORS[code])}}}' for _, _, code in rows)
    assert ask(server, "", commands.encode()) == (200, replies)


def test_a_history_with_bytes_in_it(server: ServerProcess) -> None:
    encoded = b64encode(b"\x00\xff").decode()
    for body in ({"b64data": encoded}, {"data": {"a": "<"}}, {}):
        status, _ = ask(
            server, "/publish", json.dumps({"channel": "binary:a", "tags": {"k": "v"}, **body}).encode()
        )
        assert status == 200
    status, text = ask(server, "/history", b'{"channel":"binary:a","limit":-1}')
    epoch = json.loads(text)["result"]["epoch"]
    assert (status, text) == (
        200,
        f'{{"result":{{"publications":[{{"b64data":"{encoded}","offset":1,"tags":{{"k":"v"}}}},'
        '{"data":{"a":"\\u003c"},"offset":2,"tags":{"k":"v"}},{"offset":3,"tags":{"k":"v"}}],'
        f'"epoch":"{epoch}","offset":3}}}}',
    )
