"""centrifast gensubtoken."""

import jwt

from tests.cli.conftest import Run


def test_the_token_is_what_backends_make(run: Run, secret: str) -> None:
    first, token = run("gensubtoken", "-u", "42", "-s", "chat:index", "-t", "60").stdout.splitlines()
    assert first == 'HMAC SHA-256 JWT for user "42" and channel "chat:index" with expiration TTL 1m0s:'
    claims = jwt.decode(token, secret, algorithms=["HS256"])
    assert (claims["sub"], claims["channel"]) == ("42", "chat:index")
    assert claims["exp"] - claims["iat"] == 60


def test_quiet_prints_the_token_only(run: Run, secret: str) -> None:
    output = run("gensubtoken", "-s", "news", "-q").stdout
    assert jwt.decode(output, secret, algorithms=["HS256"])["channel"] == "news"


def test_a_channel_is_needed(run: Run, secret: str) -> None:
    result = run("gensubtoken", "-u", "42")
    assert (result.exit_code, result.stdout) == (1, "channel is required\n")
