"""Every row of the situation tables of the client protocol, in both encodings, and that every code is met."""

from pathlib import Path

import pytest

from centrifast import errors
from centrifast.protocol.wire import Encoding
from tests.conformance.channel_rows import CHANNEL_ROWS
from tests.conformance.connection_rows import CONNECTION_ROWS
from tests.conformance.situations import DISCONNECTS, ERRORS, UNSUBSCRIBES, Row, both, play

ROWS = CONNECTION_ROWS | CHANNEL_ROWS

NEVER_SENT = {
    101: "the server API's own; no command is answered with it",
    111: "an answer of proxies and of rate limits that do not exist here",
    113: "paginated map subscriptions do not exist here",
    2502: "only other servers of the family invalidate state",
    3000: "stands for the end of the transport itself",
    3011: "a code of the disconnect API: its caller names it",
    3013: "an answer of proxies and of rate limits that do not exist here",
    3014: "only other servers of the family invalidate state",
    3509: "only other servers of the family count errors",
}
"""Codes that no situation leads to, and why."""


@both(ROWS)
def test_situation(row: Row, encoding: Encoding) -> None:
    play(row, encoding)


def test_the_tables_of_codes_are_those_of_the_specification() -> None:
    assert {row.code: (row.message, row.temporary) for row in errors.CLIENT_ERRORS} == ERRORS
    assert {row.code: row.reason for row in errors.DISCONNECTS} == DISCONNECTS
    assert {row.code: row.reason for row in errors.UNSUBSCRIBES} == UNSUBSCRIBES


def test_every_code_is_met_in_some_situation() -> None:
    met = {row.then for table in ROWS.values() for row in table if isinstance(row.then, int)}
    assert met | NEVER_SENT.keys() == ERRORS.keys() | DISCONNECTS.keys() | UNSUBSCRIBES.keys()
    assert not met & NEVER_SENT.keys()


@pytest.mark.parametrize("code", sorted(NEVER_SENT))
def test_what_is_never_sent_is_not_named_outside_its_table(code: int) -> None:
    (name,) = [
        name
        for name in vars(errors)
        if getattr(getattr(errors, name), "code", None) == code and not name.startswith("API_")
    ]
    package = Path(errors.__file__).parent
    users = [
        path.name
        for path in package.rglob("*.py")
        if path.name != "errors.py" and name in path.read_text().replace("_" + name, "")
    ]
    assert users == []
