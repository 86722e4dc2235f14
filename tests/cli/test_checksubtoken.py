"""centrifast checksubtoken."""

from tests.cli.conftest import Run


def test_a_token_of_gensubtoken_is_valid(run: Run, secret: str) -> None:
    result = run("checksubtoken", run("gensubtoken", "-u", "42", "-s", "chat:index", "-q").stdout)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == 'valid subscription token for user "42" and channel "chat:index"'
    assert second.startswith('payload: {"sub":"42","channel":"chat:index",')


def test_a_connection_token_is_none(run: Run, secret: str) -> None:
    result = run("checksubtoken", run("gentoken", "-u", "42", "-q").stdout)
    assert result.exit_code == 1
    assert "has error" in result.stdout
