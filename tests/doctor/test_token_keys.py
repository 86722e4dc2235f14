"""Whose signature it is, and mistakes in signing."""

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from centrifast.auth.fetching import HttpFetcher
from centrifast.auth.jws import SignedToken, parse
from centrifast.doctor.finding import Finding, Level
from centrifast.doctor.token_keys import key_set_finding, static_findings
from tests.auth.key_server import key_server
from tests.auth.signing import ED25519, P256, RSA, RSA_OTHER, jwk_of, public_pem_of, sign
from tests.config.building import config_of

NOW = 1_700_000_000.0
SECRET = "YSBzZWNyZXQgb2YgbW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXM="
"""Base64 of a text, so that it can be decoded by mistake."""


def look(token: str, token_options: Mapping[str, object], **others: object) -> Finding:
    config = config_of({"client": {"token": dict(token_options)}, **others})
    return asyncio.run(static_findings(parse(token), "client.token", config.client.token, config, NOW))


def mac(key: bytes, algorithm: str = "HS256") -> str:
    """A token with the HMAC of any key; PyJWT refuses the strange ones."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=")
    signed = head + b".e30"
    made = hmac.digest(key, signed, "sha" + algorithm[2:])
    return (signed + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    ("token", "options", "seen"),
    [
        (mac(SECRET.encode()), {"hmac_secret_key": SECRET}, "HS256, fits client.token.hmac_secret_key"),
        (
            mac(b"old"),
            {"hmac_secret_key": SECRET, "hmac_previous_secret_key": "old"},
            "HS256, fits client.token.hmac_previous_secret_key",
        ),
        (
            mac(b"old"),
            {"hmac_previous_secret_key": "old", "hmac_previous_secret_key_valid_until": int(NOW) + 60},
            "which counts until 2023-11-14 22:14:20 UTC, in 1 minute",
        ),
        (sign({}, RSA, "RS256"), {"rsa_public_key": public_pem_of(RSA)}, "fits client.token.rsa_public_key"),
        (
            sign({}, P256, "ES256"),
            {"ecdsa_public_key": public_pem_of(P256)},
            "fits client.token.ecdsa_public_key",
        ),
    ],
)
def test_the_key_that_fits_is_named(token: str, options: Mapping[str, object], seen: str) -> None:
    finding = look(token, options)
    assert finding.level is Level.OK
    assert seen in finding.seen
    assert SECRET not in finding.seen


def test_a_previous_secret_that_no_longer_counts_is_told() -> None:
    finding = look(
        mac(b"old"),
        {
            "hmac_secret_key": SECRET,
            "hmac_previous_secret_key": "old",
            "hmac_previous_secret_key_valid_until": int(NOW) - 60,
        },
    )
    assert finding.level is Level.FAIL
    assert "hmac_previous_secret_key fits but counted until 2023-11-14" in finding.seen
    assert "1 minute ago" in finding.seen


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        (base64.b64decode(SECRET), "decodes the secret (base64 or hex)"),
        (base64.b64encode(SECRET.encode()), "signs with the base64 of the secret"),
        (f"{SECRET}\n".encode(), "differ in blanks, a newline or quotes"),
        (f'"{SECRET}"'.encode(), "differ in blanks, a newline or quotes"),
        (b"other", "signed with client.subscription_token.hmac_secret_key"),
        (b"api", "signed with http_api.key"),
        (b"admin", "signed with admin.secret"),
        (b"your-256-bit-secret", "the example secret 'your-256-bit-secret'"),
        (b"", "an empty secret"),
        (b"nobody's", "compare their lengths first"),
    ],
)
@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_what_it_is_signed_with_by_mistake_is_found(key: bytes, advice: str, algorithm: str) -> None:
    config = config_of(
        {
            "client.token.hmac_secret_key": SECRET,
            "client.subscription_token.hmac_secret_key": "other",
            "http_api.key": "api",
            "admin.secret": "admin",
        }
    )
    token = parse(mac(key, algorithm))
    finding = asyncio.run(static_findings(token, "client.token", config.client.token, config, NOW))
    assert finding.level is Level.FAIL
    assert finding.seen == f"{algorithm}, but client.token.hmac_secret_key does not fit"
    assert advice in finding.mend[0]
    assert SECRET not in "".join(finding.mend)


def test_a_hex_secret_is_decoded_by_mistake() -> None:
    secret = "00112233445566778899aabbccddeeff" * 2
    finding = look(mac(bytes.fromhex(secret)), {"hmac_secret_key": secret})
    assert "decodes the secret" in finding.mend[0]


def test_a_public_key_is_no_secret() -> None:
    pem = public_pem_of(RSA)
    for options in ({"rsa_public_key": pem}, {"hmac_secret_key": SECRET, "rsa_public_key": pem}):
        finding = look(mac(pem.strip().encode()), options)
        assert "public key of client.token.rsa_public_key as if that were a secret" in finding.mend[0]


def test_another_private_key_is_told() -> None:
    finding = look(sign({}, RSA_OTHER, "RS256"), {"rsa_public_key": public_pem_of(RSA)})
    assert finding.seen == "RS256, but client.token.rsa_public_key does not fit"
    assert "private key of the backend" in finding.mend[0]


def test_a_signature_in_der_form_is_told() -> None:
    signed, _, _ = sign({}, P256, "ES256").rpartition(".")
    der = P256.sign(signed.encode(), ec.ECDSA(SHA256()))
    token = f"{signed}.{base64.urlsafe_b64encode(der).rstrip(b'=').decode()}"
    finding = look(token, {"ecdsa_public_key": public_pem_of(P256)})
    assert "DER form" in finding.mend[0]


@pytest.mark.parametrize(
    ("token", "options", "seen", "advice"),
    [
        (sign({}, RSA, "RS256"), {}, "client.token has no key at all", "set client.token.rsa_public_key"),
        (
            sign({}, RSA, "RS256"),
            {"hmac_secret_key": SECRET},
            "keys of client.token are for HS256, HS384, HS512",
            "sign with HS256, or set client.token.rsa_public_key",
        ),
        (
            mac(b"x"),
            {"rsa_public_key": public_pem_of(RSA)},
            "RS256",
            "sign with RS256, or set client.token.hmac_secret_key",
        ),
        (sign({}, ED25519, "EdDSA"), {"hmac_secret_key": SECRET}, "EdDSA", ""),
        ("eyJhbGciOiJub25lIn0.e30.", {"hmac_secret_key": SECRET}, "not signed", ""),
        (sign({}, RSA, "PS256"), {"rsa_public_key": public_pem_of(RSA)}, "`alg` is 'PS256'", ""),
    ],
)
def test_an_algorithm_without_key_is_told(
    token: str, options: Mapping[str, object], seen: str, advice: str
) -> None:
    finding = look(token, options)
    assert finding.level is Level.FAIL
    assert seen in finding.seen
    assert finding.needed
    assert "".join(finding.mend) == advice


# ------------------------------------------------------------------ key sets


def ask(token: SignedToken, url: str | None = None, **variables: str) -> Finding:
    async def asked() -> Finding:
        async with key_server() as provider:
            provider.publish([jwk_of(RSA, "a"), jwk_of(ED25519, "b")])
            endpoint = provider.url + "/keys" if url is None else url
            config = config_of({"client.token.jwks_public_endpoint": endpoint})
            fetcher = HttpFetcher()
            try:
                return await key_set_finding(token, "client.token", config.client.token, variables, fetcher)
            finally:
                await fetcher.close()

    return asyncio.run(asked())


def test_the_key_of_a_key_set_is_named() -> None:
    finding = ask(parse(sign({}, RSA, "RS256", "a")))
    assert finding.level is Level.OK
    assert "RS256, fits the key 'a' of http://127.0.0.1:" in finding.seen


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        (mac(b"x"), "only keys of the key set count"),
        (sign({}, RSA, "RS256"), "no `kid`"),
        (sign({}, RSA, "RS256", "c"), "which has: a, b"),
        (sign({}, RSA, "RS256", "b"), "the key 'b' is not for RS256"),
        (sign({}, RSA_OTHER, "RS256", "a"), "the key 'a' does not fit"),
    ],
)
def test_a_key_that_does_not_serve_is_told(token: str, seen: str) -> None:
    finding = ask(parse(token))
    assert finding.level is Level.FAIL
    assert seen in finding.seen
    assert finding.needed


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://127.0.0.1:1/keys", "can not be fetched"),
        ("http://127.0.0.1:1/{{realm}}/keys", "no claim gives {{realm}}"),
    ],
)
def test_a_key_set_out_of_reach_is_told(url: str, seen: str) -> None:
    assert seen in ask(parse(sign({}, RSA, "RS256", "a")), url).seen


def test_an_answer_that_is_no_key_set_is_told() -> None:
    class Nonsense:
        async def get(self, url: str) -> bytes:
            return b"<html>"

        async def close(self) -> None:
            """Nothing is open."""

    config = config_of({"client.token.jwks_public_endpoint": "http://provider/keys"})
    token = parse(sign({}, RSA, "RS256", "a"))
    finding = asyncio.run(key_set_finding(token, "client.token", config.client.token, {}, Nonsense()))
    assert finding.seen == "there is no key set: the answer is no key set"
