"""The form of tokens."""

import pytest

from centrifast.doctor.finding import Level
from centrifast.doctor.token_form import take_apart, untangle
from tests.auth.signing import sign

TOKEN = sign({"sub": "42"}, "a secret of more than thirty-two bytes", "HS256")


def test_a_token_has_nothing_around_it() -> None:
    assert untangle(TOKEN) == (TOKEN, ())


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        (f'"{TOKEN}"', "quotes"),
        (f"'{TOKEN}'", "quotes"),
        (f"Bearer {TOKEN}", "Bearer"),
        (f'Authorization: Bearer "{TOKEN}"', "Bearer"),
        (f"token={TOKEN}", "Bearer"),
        (f"{TOKEN[:40]}\n  {TOKEN[40:]}", "newlines"),
        (TOKEN.replace(".", "%2E"), "percent"),
        (TOKEN.replace("-", "+").replace("_", "/") + "==", "base64url"),
    ],
)
def test_what_people_paste_around_it_is_told(text: str, shows: str) -> None:
    token, findings = untangle(text)
    assert token == TOKEN
    assert any(shows in finding.seen for finding in findings)
    assert all(finding.level is Level.FAIL and finding.mend for finding in findings)


def test_a_whole_token_is_taken_apart() -> None:
    signed, finding = take_apart(TOKEN)
    assert signed is not None
    assert signed.header.alg == "HS256"
    assert finding.level is Level.OK


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        ("", "empty"),
        ("abc", "it has 1 part: abc"),
        ("a.b.c.d", "it has 4 parts"),
        ("a.b.c.d.e", "encrypted"),
        ("eyJjcml0IjpbImEiXX0.e30.e30", "crit"),
        ("a.b.c", "damaged"),
    ],
)
def test_what_is_no_token_is_told(token: str, seen: str) -> None:
    signed, finding = take_apart(token)
    assert signed is None
    assert finding.level is Level.FAIL
    assert seen in finding.seen
    assert finding.needed
