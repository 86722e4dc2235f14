"""centrifast checktoken."""

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.auth.signing import P256, RSA, public_pem_of, sign
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


def test_a_token_of_a_public_key_is_valid(run: Run, directory: Path) -> None:
    tree = {"client.token.ecdsa_public_key": public_pem_of(P256)}
    (directory / "config.json").write_text(json.dumps(tree))
    assert run("checktoken", sign({"sub": "42"}, P256, "ES256")).stdout.startswith(
        "valid token for user 42\n"
    )
    assert (
        "wrong signature" in run("checktoken", sign({}, ec.generate_private_key(P256.curve), "ES256")).stdout
    )
    assert "no key" in run("checktoken", sign({}, RSA, "RS256")).stdout


def test_a_key_that_can_not_be_used_is_told(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"client.token.rsa_public_key": "x"}')
    result = run("checktoken", sign({}, RSA, "RS256"))
    assert result.exit_code == 1
    assert "rsa_public_key: neither a public key nor a certificate" in result.stdout


def test_a_provider_that_can_not_be_reached_is_told(run: Run, directory: Path) -> None:
    (directory / "config.json").write_text('{"client.token.jwks_public_endpoint": "http://127.0.0.1:1/keys"}')
    result = run("checktoken", sign({"sub": "42"}, RSA, "RS256", "a"))
    assert result.exit_code == 1
    assert "the key set can not be fetched" in result.stdout


@pytest.mark.parametrize(
    ("tree", "algorithms"),
    [
        ({}, "none"),
        ({"hmac_secret_key": "x", "rsa_public_key": ""}, "HS256, HS384, HS512"),
        ({"ecdsa_public_key": public_pem_of(P256)}, "ES256"),
        ({"rsa_public_key": "x"}, "none"),
        (
            {"jwks_public_endpoint": "http://127.0.0.1:1/", "hmac_secret_key": "x"},
            "ES256, ES384, ES512, EdDSA, RS256, RS384, RS512",
        ),
    ],
)
def test_the_enabled_algorithms_are_logged(
    tree: dict[str, str], algorithms: str, run: Run, directory: Path
) -> None:
    (directory / "config.json").write_text(json.dumps({"client": {"token": tree}}))
    line = json.loads(run("checktoken", "abc").stderr)
    assert (line["level"], line["algorithms"]) == ("info", algorithms)
