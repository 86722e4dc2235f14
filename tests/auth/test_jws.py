"""Any text is either a token in three parts or refused."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.issue import issue_token
from centrifast.auth.jws import parse

TOKEN = issue_token({"sub": "42"}, "secret")


def test_token_is_taken_apart() -> None:
    token = parse(TOKEN)
    assert token.header.alg == "HS256"
    assert token.payload == b'{"sub":"42"}'
    assert token.signing_input == TOKEN.rpartition(".")[0].encode()
    assert len(token.signature) == 32


def test_both_characters_of_base64url_are_understood() -> None:
    assert parse("e30.__--.").payload == b"\xff\xff\xbe"


@pytest.mark.parametrize("part", ["_-8=", "/+//", "A", "AA AA", "AA\nAA", "ÄÄÄÄ", "AA.A"])
def test_anything_else_than_base64url_without_padding_is_refused(part: str) -> None:
    for token in (f"{part}.e30.", f"e30.{part}.", f"e30.e30.{part}"):
        with pytest.raises(InvalidTokenError):
            parse(token)


@pytest.mark.parametrize("crit", ['["exp"]', "[]", "null", "1"])
def test_extension_that_the_header_demands_is_refused(crit: str) -> None:
    header = base64.urlsafe_b64encode(f'{{"alg":"HS256","crit":{crit}}}'.encode()).rstrip(b"=").decode()
    with pytest.raises(InvalidTokenError, match="extension"):
        parse(f"{header}.e30.")


@given(st.text() | st.text(alphabet="eyJ.-_AQ0=", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidTokenError):
        parse(text)
