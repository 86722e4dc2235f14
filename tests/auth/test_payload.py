"""Claims as written become values."""

import msgspec
import pytest

from centrifast.auth.claims import InvalidTokenError, SubscriptionOptions, SubscriptionOverride
from centrifast.auth.payload import (
    Flag,
    Override,
    Sub,
    json_payload,
    override,
    payload,
    seconds,
    subscription,
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"", b""),
        (b"null", b""),
        (b"0", b"0"),
        (b'{"a" : 1.0}', b'{"a" : 1.0}'),
        (b'{"a":\n1}', b'{"a":1}'),
        (b'{"a":\r\n1}', b'{"a":1}'),
        (b"[1,\r2]", b"[1,2]"),
        (b'"\\n"', b'"\\n"'),
    ],
)
def test_json_keeps_every_byte_but_raw_newlines(written: bytes, expected: bytes) -> None:
    assert json_payload(msgspec.Raw(written)) == expected


def test_base64_wins_unless_it_is_empty() -> None:
    assert payload(msgspec.Raw(b"1"), "AP8=") == b"\x00\xff"
    assert payload(msgspec.Raw(b"1"), "") == b"1"
    assert payload(msgspec.Raw(b"1"), None) == b"1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, 0.0), (0, 0.0), (1, 1.0), (1.5, 1.5), ("1.5", 1.5), ("2", 2.0), ("1e3", 1000.0), (-1, -1.0)],
)
def test_time_is_a_number_or_a_string_with_one(value: int | float | str | None, expected: float) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "1_0", "1e999", 10**400])
def test_any_other_time_is_refused(value: int | str) -> None:
    with pytest.raises(InvalidTokenError):
        seconds(value)


def test_flag_without_value_is_off_and_missing_flag_overrides_nothing() -> None:
    written = Override(presence=Flag(True), join_leave=Flag(False), force_recovery=Flag())
    assert override(written) == SubscriptionOverride(True, False, None, False, None)


def test_subscription_without_anything_is_plain() -> None:
    assert subscription(None) == subscription(Sub()) == SubscriptionOptions()
