"""centrifast checktoken."""

import jwt
import pytest

from tests.cli.conftest import Run


def test_a_token_of_gentoken_is_valid(run: Run, secret: str) -> None:
    result = run("checktoken", run("gentoken", "-u", "42", "-q").stdout)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == "valid token for user 42"
    assert second.startswith('payload: {"sub":"42","exp":')


def test_a_token_may_be_anonymous(run: Run, secret: str) -> None:
    result = run("checktoken", run("gentoken", "-q").stdout)
    assert result.stdout.startswith("valid token for anonymous user\n")


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "e30.e30.e30", "W10.e30.x"])
def test_what_is_no_token_is_told(token: str, run: Run, secret: str) -> None:
    result = run("checktoken", token)
    assert (result.exit_code, result.stdout) == (1, "error: token format is not valid\n")


def test_an_expired_token_is_told(run: Run, secret: str) -> None:
    token = jwt.encode({"sub": "42", "exp": 1}, secret, algorithm="HS256")
    result = run("checktoken", token)
    assert result.exit_code == 1
    assert result.stdout == (
        'error: token with algorithm HS256 and claims {"sub":"42","exp":1} has error: token expired\n'
    )


def test_a_token_of_another_key_is_told(run: Run, secret: str) -> None:
    token = jwt.encode({"sub": "42"}, secret + "x", algorithm="HS256")
    result = run("checktoken", token)
    assert result.exit_code == 1
    assert result.stdout.startswith('error: token with algorithm HS256 and claims {"sub":"42"} has error: ')
