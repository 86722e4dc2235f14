"""Which key verifies which token, and for how long."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.issue import issue_token
from centrifast.auth.jws import parse
from centrifast.auth.keys import StaticKeys, candidates_of
from centrifast.config.schema import TokenConfig
from centrifast.eager import start
from tests.auth.signing import (
    ED25519,
    P256,
    P384,
    P521,
    RSA,
    RSA_OTHER,
    PrivateKey,
    certificate_of,
    private_pem_of,
    public_pem_of,
    sign,
)

NOW = 1_700_000_000
NO_KEYS = TokenConfig()


def verifies(config: TokenConfig, secret: str, algorithm: str = "HS256") -> bool:
    """Say whether a token signed with *secret* is believed at ``NOW``."""
    token = parse(issue_token({"sub": "42"}, secret, algorithm))
    try:
        start(StaticKeys(config).verify(token, NOW, {}))
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
@pytest.mark.parametrize("text", [public_pem_of(P256), public_pem_of(RSA), certificate_of(RSA)])
def test_public_key_can_not_be_an_hmac_secret(option: str, text: str) -> None:
    with pytest.raises(ValueError, match=option) as caught:
        StaticKeys(replace(NO_KEYS, **{option: text}))  # type: ignore[arg-type]
    assert text.splitlines()[1] not in str(caught.value)


# ------------------------------------------------------------------ public keys

HMAC, RS, ES256, ES384, ES512 = "hmac", "rsa", "es256", "es384", "es512"
CONFIGS = {
    HMAC: TokenConfig(hmac_secret_key="s" * 64),
    RS: TokenConfig(rsa_public_key=public_pem_of(RSA)),
    ES256: TokenConfig(ecdsa_public_key=public_pem_of(P256)),
    ES384: TokenConfig(ecdsa_public_key=public_pem_of(P384)),
    ES512: TokenConfig(ecdsa_public_key=public_pem_of(P521)),
}
TOKENS: dict[str, tuple[PrivateKey | str, str]] = {
    "HS256": ("s" * 64, HMAC),
    "HS384": ("s" * 64, HMAC),
    "HS512": ("s" * 64, HMAC),
    "RS256": (RSA, RS),
    "RS384": (RSA, RS),
    "RS512": (RSA, RS),
    "ES256": (P256, ES256),
    "ES384": (P384, ES384),
    "ES512": (P521, ES512),
    "EdDSA": (ED25519, ""),
    "PS256": (RSA, ""),
    "PS384": (RSA, ""),
    "PS512": (RSA, ""),
}


def outcome(config: TokenConfig, token: str) -> str:
    """Return why a token is refused; empty if it is believed."""
    try:
        start(StaticKeys(config).verify(parse(token), NOW, {}))
    except InvalidTokenError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("algorithm", TOKENS)
def test_each_algorithm_needs_the_key_of_its_family(algorithm: str, name: str) -> None:
    key, family = TOKENS[algorithm]
    expected = "" if family == name else "no key for the token's algorithm"
    assert outcome(CONFIGS[name], sign({"sub": "42"}, key, algorithm)) == expected


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_another_rsa_key_is_a_wrong_signature(algorithm: str) -> None:
    assert outcome(CONFIGS[RS], sign({"sub": "42"}, RSA_OTHER, algorithm)) == "wrong signature"


@pytest.mark.parametrize(("algorithm", "name"), [("ES256", ES256), ("ES384", ES384), ("RS256", RS)])
def test_broken_signature_is_a_wrong_one(algorithm: str, name: str) -> None:
    key, _ = TOKENS[algorithm]
    head = sign({"sub": "42"}, key, algorithm).rpartition(".")[0]
    for signature in ("", "AAAA", "A" * 64, "A" * 86, "_" * 342):
        assert outcome(CONFIGS[name], f"{head}.{signature}") == "wrong signature"


def test_keys_of_all_families_stand_side_by_side() -> None:
    config = TokenConfig(
        hmac_secret_key="s" * 64,
        rsa_public_key=public_pem_of(RSA),
        ecdsa_public_key=public_pem_of(P384),
    )
    believed = {name for name, (key, _) in TOKENS.items() if not outcome(config, sign({}, key, name))}
    assert believed == {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES384"}


@pytest.mark.parametrize("text", [public_pem_of(RSA), public_pem_of(RSA).strip(), certificate_of(RSA)])
def test_rsa_public_key_signs_nothing_as_an_hmac_secret(text: str) -> None:
    config = TokenConfig(rsa_public_key=text)
    for algorithm in ("HS256", "HS384", "HS512"):
        assert (
            outcome(config, issue_token({"sub": "42"}, text, algorithm)) == "no key for the token's algorithm"
        )


@pytest.mark.parametrize(("option", "key"), [("rsa_public_key", RSA), ("ecdsa_public_key", P256)])
def test_certificate_gives_its_key(option: str, key: PrivateKey) -> None:
    config = replace(NO_KEYS, **{option: certificate_of(key)})  # type: ignore[arg-type]
    assert outcome(config, sign({}, key, "RS256" if key is RSA else "ES256")) == ""


@pytest.mark.parametrize("option", ["rsa_public_key", "ecdsa_public_key"])
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        private_pem_of(RSA),
        private_pem_of(P256),
    ],
)
def test_what_is_no_public_key_is_told_by_its_option(option: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: neither a public key nor a certificate"):
        StaticKeys(replace(NO_KEYS, **{option: text}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("rsa_public_key", P256),
        ("rsa_public_key", ED25519),
        ("ecdsa_public_key", RSA),
        ("ecdsa_public_key", ED25519),
        ("ecdsa_public_key", ec.generate_private_key(ec.SECP256K1())),
    ],
)
def test_key_of_another_family_or_curve_is_told_by_its_option(option: str, key: PrivateKey) -> None:
    with pytest.raises(ValueError, match=f"^{option}: a key of another family"):
        StaticKeys(replace(NO_KEYS, **{option: public_pem_of(key)}))  # type: ignore[arg-type]


def test_rsa_key_is_neither_too_small_nor_too_large() -> None:
    for bits in (512, 16_385):
        assert candidates_of(RSAPublicNumbers(65_537, (1 << bits - 1) | 1).public_key()) == {}
    assert len(candidates_of(RSAPublicNumbers(65_537, (1 << 1023) | 1).public_key())) == 3


def test_key_of_another_kind_verifies_nothing() -> None:
    assert candidates_of(X25519PrivateKey.generate().public_key()) == {}


def test_closing_static_keys_leaves_them_usable() -> None:
    keys = StaticKeys(CONFIGS[HMAC])
    start(keys.close())
    start(keys.verify(parse(issue_token({}, "s" * 64)), NOW, {}))
