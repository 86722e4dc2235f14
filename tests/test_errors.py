import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from centrifast import errors
from centrifast.errors import ApiError, ClientError, Disconnect, DisconnectCode
from tools.reference_codes import PAGE, page

TABLES: dict[type, Sequence[Any]] = {
    errors.ErrorCode: errors.CLIENT_ERRORS,
    errors.ApiErrorCode: errors.API_ERRORS,
    errors.DisconnectCode: errors.DISCONNECTS,
    errors.UnsubscribeCode: errors.UNSUBSCRIBES,
}

REASONS = [(row.code, row.reason) for row in (*errors.DISCONNECTS, *errors.UNSUBSCRIBES)]


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_holds_every_row_of_the_module_once_in_order(kind: type) -> None:
    codes = [row.code for row in TABLES[kind]]
    assert codes == sorted(set(codes))
    assert set(TABLES[kind]) == {row for row in vars(errors).values() if isinstance(row, kind)}


def test_codes_lie_in_the_ranges_of_their_kind() -> None:
    assert all(0 < row.code < 400 for row in (*errors.CLIENT_ERRORS, *errors.API_ERRORS))
    assert all(2000 <= row.code < 3000 for row in errors.UNSUBSCRIBES)
    assert all(3000 <= row.code < 4000 for row in errors.DISCONNECTS)


@pytest.mark.parametrize(("code", "reason"), REASONS)
def test_a_reason_fits_into_a_close_frame_and_is_not_json(code: int, reason: str) -> None:
    assert 1 <= len(reason.encode()) <= 123
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(reason)


def test_messages_are_never_empty() -> None:
    assert all(row.message for row in (*errors.CLIENT_ERRORS, *errors.API_ERRORS))


def test_only_what_may_pass_by_itself_is_temporary() -> None:
    assert {row.code for row in errors.CLIENT_ERRORS if row.temporary} == {100, 111, 113}


@pytest.mark.parametrize(
    ("code", "reconnect"),
    [
        (0, True),
        (2999, True),
        (3000, True),
        (3499, True),
        (3500, False),
        (3999, False),
        (4000, True),
        (4499, True),
        (4500, False),
        (4999, False),
        (5000, True),
    ],
)
def test_clients_come_back_unless_the_code_says_final(code: int, reconnect: bool) -> None:
    assert DisconnectCode(code, "text").reconnect is reconnect


def test_api_errors_have_an_http_status() -> None:
    assert all(400 <= row.status < 600 for row in errors.API_ERRORS)


def test_each_exception_carries_its_row() -> None:
    client, api, disconnect = (
        ClientError(errors.EXPIRED),
        ApiError(errors.API_CONFLICT),
        Disconnect(errors.SLOW),
    )
    assert (client.error, str(client)) == (errors.EXPIRED, "expired")
    assert (api.error, str(api)) == (errors.API_CONFLICT, "conflict")
    assert (disconnect.disconnect, str(disconnect)) == (errors.SLOW, "slow")


def test_the_reference_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tools.reference_codes"


def test_the_reference_page_names_every_code() -> None:
    codes = re.findall(r"^\| (\d+) \|", page(), re.MULTILINE)
    assert codes == [
        str(row.code)
        for row in (*errors.CLIENT_ERRORS, *errors.DISCONNECTS, *errors.UNSUBSCRIBES, *errors.API_ERRORS)
    ]
