"""centrifast gentoken."""

import jwt

from tests.cli.conftest import Run


def test_the_token_is_what_backends_make(run: Run, secret: str) -> None:
    first, token = run("gentoken", "-u", "42").stdout.splitlines()
    assert first == 'HMAC SHA-256 JWT for user "42" with expiration TTL 168h0m0s:'
    claims = jwt.decode(token, secret, algorithms=["HS256"])
    assert claims["sub"] == "42"
    assert claims["exp"] - claims["iat"] == 604800


def test_an_anonymous_token_without_end(run: Run, secret: str) -> None:
    first, token = run("gentoken", "-u", "", "-t", "-1").stdout.splitlines()
    assert first == "HMAC SHA-256 JWT for anonymous user without expiration:"
    assert set(jwt.decode(token, secret, algorithms=["HS256"])) == {"iat"}


def test_quiet_prints_the_token_only(run: Run, secret: str) -> None:
    output = run("gentoken", "-q").stdout
    assert "\n" not in output
    jwt.decode(output, secret, algorithms=["HS256"])


def test_a_key_is_needed(run: Run) -> None:
    result = run("gentoken")
    assert result.exit_code == 1
    assert result.stdout.startswith("error: ")
