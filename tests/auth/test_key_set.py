"""A key set becomes keys; one strange key does not spoil the others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.auth.jws import parse
from centrifast.auth.key_set import parse_key_set
from centrifast.limits import KEY_SET_KEYS
from tests.auth.signing import ED25519, P256, P384, P521, RSA, PrivateKey, jwk_of, sign


def key_set(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, ["RS256", "RS384", "RS512"]),
        (P256, ["ES256"]),
        (P384, ["ES384"]),
        (P521, ["ES512"]),
        (ED25519, ["EdDSA"]),
    ],
)
def test_key_verifies_the_algorithms_of_its_family(key: PrivateKey, algorithms: list[str]) -> None:
    keys = parse_key_set(key_set(jwk_of(key, "a")))
    assert list(keys["a"]) == algorithms
    for algorithm in algorithms:
        assert keys["a"][algorithm].fits(parse(sign({}, key, algorithm)), 0)


@pytest.mark.parametrize(
    "strange",
    [
        None,
        1,
        [],
        {},
        jwk_of(P256, "b", use="enc"),
        jwk_of(P256, "b", use=None),
        jwk_of(P256, ""),
        {**jwk_of(P256, "b"), "kid": 1},
        jwk_of(P256, "b", kty="EC2"),
        jwk_of(P256, "b", kty=1),
        jwk_of(P256, "b", kty="RSA"),
        jwk_of(P256, "b", crv="P-384"),
        jwk_of(P256, "b", x="AA"),
        jwk_of(P256, "b", x=1),
        jwk_of(P256, "b", y="!"),
        jwk_of(RSA, "b", n="AQAB"),
        jwk_of(RSA, "b", n="é"),
        jwk_of(RSA, "b", e="AA"),
        jwk_of(RSA, "b", n=""),
        jwk_of(ED25519, "b", crv="X25519"),
        jwk_of(ED25519, "b", x="AA"),
        {"kty": "oct", "kid": "b", "use": "sig", "k": "c2VjcmV0"},
    ],
)
def test_what_can_not_be_used_is_left_out(strange: object) -> None:
    assert set(parse_key_set(key_set(strange, jwk_of(P384, "a"), strange))) == {"a"}


def test_private_part_is_not_read() -> None:
    keys = parse_key_set(key_set(jwk_of(RSA, "a", d="AQAB", p="AQAB"), jwk_of(P256, "b", d="x")))
    assert set(keys) == {"a", "b"}


def test_algorithm_and_unknown_members_of_a_key_mean_nothing() -> None:
    assert len(parse_key_set(key_set(jwk_of(RSA, "a", alg="RS512", x5c=["x"], key_ops=1)))["a"]) == 3


def test_keys_of_two_families_may_share_an_id_and_the_first_of_one_family_counts() -> None:
    other = jwk_of(P256, "a", x=jwk_of(P256, "")["y"])
    keys = parse_key_set(key_set(jwk_of(P256, "a"), jwk_of(ED25519, "a"), other, jwk_of(P256, "a")))
    assert set(keys["a"]) == {"ES256", "EdDSA"}
    assert keys["a"]["ES256"].fits(parse(sign({}, P256, "ES256")), 0)


def test_number_of_keys_is_bounded_but_others_do_not_count() -> None:
    many = [jwk_of(P256, str(number)) for number in range(KEY_SET_KEYS + 1)]
    others = [jwk_of(P256, "x", use="enc")] * KEY_SET_KEYS
    assert len(parse_key_set(key_set(*others, *many))) == KEY_SET_KEYS


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[}', b"\xff", b"<html>", b"[" * 100_000]
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no key set"):
        parse_key_set(body)


def test_deep_key_is_refused_or_left_out() -> None:
    with pytest.raises(ValueError, match="no key set"):
        parse_key_set(b'{"keys":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}")


def test_empty_key_set_is_one() -> None:
    assert parse_key_set(b'{"keys":[]}') == {}


@given(
    st.dictionaries(st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use"]), st.text() | st.none())
)
def test_any_key_is_read_or_left_out(key: dict[str, str | None]) -> None:
    for kty in ("RSA", "EC", "OKP"):
        parse_key_set(key_set({**key, "kty": kty, "kid": "a", "use": "sig"}))
