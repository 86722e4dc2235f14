"""Which key verifies which token, and for how long."""

from dataclasses import replace

import pytest

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.issue import issue_token
from centrifast.auth.jws import parse
from centrifast.auth.keys import StaticKeys
from centrifast.config.schema import TokenConfig

NOW = 1_700_000_000
NO_KEYS = TokenConfig()

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def verifies(config: TokenConfig, secret: str, algorithm: str = "HS256") -> bool:
    """Say whether a token signed with *secret* is believed at ``NOW``."""
    token = parse(issue_token({"sub": "42"}, secret, algorithm))
    try:
        StaticKeys(config).verify(token, NOW)
    except InvalidTokenError:
        return False
    return True


def rotated(valid_until: int) -> TokenConfig:
    return TokenConfig(
        hmac_secret_key="new",
        hmac_previous_secret_key="old",
        hmac_previous_secret_key_valid_until=valid_until,
    )


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_previous_key_counts_beside_the_current_one(algorithm: str) -> None:
    assert verifies(rotated(0), "new", algorithm)
    assert verifies(rotated(0), "old", algorithm)
    assert not verifies(rotated(0), "older", algorithm)


def test_previous_key_counts_until_its_time_only() -> None:
    assert verifies(rotated(NOW + 1), "old")
    assert not verifies(rotated(NOW), "old")
    assert not verifies(rotated(NOW - 1), "old")


def test_time_of_the_previous_key_does_not_limit_the_current_one() -> None:
    assert verifies(rotated(NOW - 1), "new")


def test_previous_key_alone_counts() -> None:
    assert verifies(TokenConfig(hmac_previous_secret_key="old"), "old")


def test_without_keys_nothing_is_believed() -> None:
    assert not verifies(NO_KEYS, "")
    assert not verifies(NO_KEYS, "new")


@pytest.mark.parametrize("option", ["hmac_secret_key", "hmac_previous_secret_key"])
def test_public_key_can_not_be_an_hmac_secret(option: str) -> None:
    with pytest.raises(ValueError, match=option) as caught:
        StaticKeys(replace(NO_KEYS, **{option: PUBLIC_KEY}))  # type: ignore[arg-type]
    assert "MFkw" not in str(caught.value)


@pytest.mark.parametrize("option", ["rsa_public_key", "ecdsa_public_key", "jwks_public_endpoint"])
def test_key_that_is_not_supported_is_not_ignored(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        StaticKeys(replace(NO_KEYS, **{option: "x"}))  # type: ignore[arg-type]
