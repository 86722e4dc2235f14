"""Tokens made here are tokens for everybody."""

import jwt
import pytest

from centrifast.auth.issue import issue_token

SECRET = "s" * 64


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_issued_token_is_a_standard_one(algorithm: str) -> None:
    claims = {"sub": "42", "exp": 4_000_000_000, "info": {"name": "Ännchen"}}
    token = issue_token(claims, SECRET, algorithm)
    assert jwt.decode(token, SECRET, algorithms=[algorithm]) == claims
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT"}


def test_same_claims_make_the_same_token() -> None:
    assert issue_token({"sub": "42"}, SECRET) == issue_token({"sub": "42"}, SECRET)
