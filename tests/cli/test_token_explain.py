"""centrifast token explain."""

import json
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from centrifast.cli.main import cli
from tests.cli.conftest import Run


def explain(token: str, *arguments: str) -> Result:
    """Give the token on standard input."""
    return CliRunner().invoke(cli, ["token", "explain", *arguments, "-"], input=token, prog_name="centrifast")


def test_a_good_token_exits_with_zero(run: Run, secret: str) -> None:
    result = run("token", "explain", run("gentoken", "-u", "42", "-q").stdout)
    assert result.exit_code == 0
    assert '  sub  "42"' in result.stdout
    assert "HS256, fits client.token.hmac_secret_key" in result.stdout
    assert result.stdout.endswith('connection token accepted, for user "42"\n')
    assert secret not in result.output


def test_a_bad_token_exits_with_one(run: Run, secret: str) -> None:
    result = run("token", "explain", jwt.encode({"sub": "42", "exp": 1}, secret))
    assert result.exit_code == 1
    assert "FAIL    exp" in result.stdout
    assert "refused: exp is over (error 109, token expired)" in result.stdout


def test_a_token_is_read_from_standard_input(run: Run, secret: str) -> None:
    token = run("gensubtoken", "-u", "42", "-s", "news", "-q").stdout
    assert explain(f"\n{token}\n", "--subscription").exit_code == 0
    assert explain(token).exit_code == 1
    assert explain("x" * 2_000_000).stdout.startswith("error: more than")
    assert explain("\x00").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--channel", "news"], 0),
        (["--channel", "other"], 1),
        (["--client", "c1", "--user", "42"], 0),
        (["--user", "7"], 1),
    ],
)
def test_what_it_is_used_for_makes_it_a_subscription_token(
    arguments: list[str], code: int, run: Run, secret: str
) -> None:
    result = explain(run("gensubtoken", "-u", "42", "-s", "news", "-q").stdout, *arguments)
    assert result.exit_code == code
    assert "subscription token" in result.stdout


def test_json_is_for_programs(run: Run, secret: str) -> None:
    result = run("token", "explain", "--json", jwt.encode({"sub": "42"}, secret + "\n"))
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["accepted"] is False
    assert answer["kind"] == "connection"
    assert answer["claims"] == [{"name": "sub", "value": '"42"', "meaning": "user id"}]
    assert [line["name"] for line in answer["header"]] == ["alg", "typ"]
    (signature,) = [check for check in answer["checks"] if check["check"] == "signature"]
    assert signature["level"] == "FAIL"
    assert "newline" in signature["mend"][0]


def test_no_token_is_told(run: Run, directory: Path) -> None:
    result = run("token", "explain", "abc")
    assert result.exit_code == 1
    assert "config.json not found" in result.stderr
    assert "it has 1 part: abc" in result.stdout


def test_a_wrong_command_line_exits_with_two(run: Run) -> None:
    assert run("token", "explain").exit_code == 2
    assert run("token", "nope").exit_code == 2
