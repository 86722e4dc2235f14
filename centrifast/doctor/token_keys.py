"""Whose signature is it? The keys that are tried, and keys that people sign with by mistake.

No secret is ever told: findings name the option that holds it.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.jws import SignedToken
from centrifast.auth.key_set import parse_key_set
from centrifast.auth.keys import HMAC_ALGORITHMS, PUBLIC_KEY_ALGORITHMS, Candidate, StaticKeys
from centrifast.auth.remote_keys import Fetcher, FetchError
from centrifast.config.key_set_url import resolve
from centrifast.config.schema import Config, TokenConfig
from centrifast.doctor.finding import Finding, fail, ok
from centrifast.doctor.wording import foreign, moment

CHECK = "signature"
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
RAW_ECDSA_SIZES = {"ES256": 64, "ES384": 96, "ES512": 132}
"""Bytes of a signature, RFC 7518 section 3.4."""

EXAMPLE_SECRETS = ("secret", "your-256-bit-secret", "a-string-secret-at-least-256-bits-long", "changeme", "")
KIDS_SHOWN = 10

STATIC_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "hmac_secret_key": tuple(HMAC_ALGORITHMS),
    "hmac_previous_secret_key": tuple(HMAC_ALGORITHMS),
    "rsa_public_key": ("RS256", "RS384", "RS512"),
    "ecdsa_public_key": ("ES256", "ES384", "ES512"),
}
OPTION_OF = {"H": "hmac_secret_key", "R": "rsa_public_key", "E": "ecdsa_public_key"}


async def static_findings(
    token: SignedToken, section: str, settings: TokenConfig, config: Config, now: float
) -> Finding:
    """Try the keys of the configuration, in the server's order, with the server's code."""
    tried: list[str] = []
    algorithm = token.header.alg
    for option, algorithms in STATIC_OPTIONS.items():
        if algorithm not in algorithms or not getattr(settings, option):
            continue
        until = settings.hmac_previous_secret_key_valid_until if "previous" in option else 0
        if await _fits(token, option, settings, now):
            end = f", which {_until(until, now)}" if until else ""
            return ok(CHECK, f"{algorithm}, fits {section}.{option}{end}")
        over = 0 < until <= now and await _fits(token, option, settings, until - 1)
        tried.append(f"{section}.{option} {'fits but ' + _until(until, now) if over else 'does not fit'}")
    if not tried:
        return _no_key(token, section, settings, config)
    seen = f"{algorithm}, but {'; '.join(tried)}"
    mistakes = [*_mistakes(token, section, settings, config)]
    return fail(CHECK, seen, f"a signature by the key of {section}", *mistakes or [_general(algorithm)])


async def _fits(token: SignedToken, option: str, settings: TokenConfig, now: float) -> bool:
    changes = {option: getattr(settings, option)}
    only: TokenConfig = replace(TokenConfig(), **changes)
    if "previous" in option:
        until = settings.hmac_previous_secret_key_valid_until
        only = replace(only, hmac_previous_secret_key_valid_until=until)
    try:
        await StaticKeys(only).verify(token, now, {})
    except (InvalidTokenError, ValueError):
        return False
    return True


def _until(until: int, now: float) -> str:
    return f"{'counts until' if until > now else 'counted until'} {moment(until, now)}"


def _no_key(token: SignedToken, section: str, settings: TokenConfig, config: Config) -> Finding:
    algorithm = token.header.alg
    enabled = StaticKeys(settings).algorithms
    have = f"keys of {section} are for {', '.join(enabled)}" if enabled else f"{section} has no key at all"
    if algorithm.lower() == "none":
        return fail(CHECK, "`alg` is none: the token is not signed", "a signed token")
    if algorithm == "EdDSA":
        return fail(CHECK, f"EdDSA; {have}", f"{section}.jwks_public_endpoint: EdDSA keys come from key sets")
    option = (
        OPTION_OF.get(algorithm[:1]) if algorithm in HASHES or algorithm in PUBLIC_KEY_ALGORITHMS else None
    )
    if option is None:
        return fail(CHECK, f"`alg` is {foreign(algorithm, 40)!r}; {have}", "an algorithm the server knows")
    return fail(
        CHECK,
        f"{algorithm}; {have}",
        f"a key for {algorithm}, or a token signed with another algorithm",
        *_mistakes(token, section, settings, config),
        f"set {section}.{option}" if not enabled else f"sign with {enabled[0]}, or set {section}.{option}",
    )


def _general(algorithm: str) -> str:
    if algorithm in HASHES:
        return "give the backend and the server the same secret; compare their lengths first"
    return "give the server the public key that belongs to the private key of the backend"


# ------------------------------------------------------------ common mistakes


def _mistakes(token: SignedToken, section: str, settings: TokenConfig, config: Config) -> Iterator[str]:
    """Say what the signature was made with, if it is one of the usual mistakes."""
    algorithm = token.header.alg
    size = RAW_ECDSA_SIZES.get(algorithm)
    if size is not None and len(token.signature) != size and token.signature[:1] == b"\x30":
        yield f"the signature is in DER form; JWT wants r and s as {size} bytes: let a JWT library sign"
    if algorithm not in HASHES:
        return
    for advice, key in _wrong_secrets(section, settings, config):
        if _made_with(token, key):
            yield advice
            return


def _made_with(token: SignedToken, key: bytes) -> bool:
    made = hmac.digest(key, token.signing_input, HASHES[token.header.alg])
    return hmac.compare_digest(made, token.signature)


def _wrong_secrets(section: str, settings: TokenConfig, config: Config) -> Iterator[tuple[str, bytes]]:
    for option in ("hmac_secret_key", "hmac_previous_secret_key"):
        secret = getattr(settings, option)
        if secret:
            yield from _variants(f"{section}.{option}", secret)
    for name, secret in _other_secrets(section, config):
        if secret:
            yield f"it is signed with {name}: use the secret of {section}", secret.encode()
    for option in ("rsa_public_key", "ecdsa_public_key"):
        for pem in _newlines(getattr(settings, option)):
            yield (
                f"it is signed with the public key of {section}.{option} as if that were a secret; "
                "everybody has it: sign with the private key (RS256, ES256)",
                pem,
            )
    for secret in EXAMPLE_SECRETS:
        shown = f"the example secret {secret!r}" if secret else "an empty secret"
        yield f"it is signed with {shown}: give the backend the secret of {section}", secret.encode()


def _variants(option: str, secret: str) -> Iterator[tuple[str, bytes]]:
    """Give what libraries and people make of a secret before they sign."""
    for key in dict.fromkeys(
        (secret.strip(), f"{secret}\n", f"{secret}\r\n", f'"{secret}"', secret.strip("\"'"))
    ):
        if key != secret:
            yield (
                f"the secrets differ in blanks, a newline or quotes at an end: compare {option}",
                key.encode(),
            )
    padded = secret + "=" * (-len(secret) % 4)
    for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
        try:
            key_bytes = decode(secret if decode is bytes.fromhex else padded)
        except (binascii.Error, ValueError):
            continue
        yield (
            f"the backend decodes the secret (base64 or hex) before it signs; {option} is taken as text: "
            "sign with the text itself",
            key_bytes,
        )
    for encoded in (base64.b64encode(secret.encode()), base64.urlsafe_b64encode(secret.encode())):
        for key_bytes in (encoded, encoded.rstrip(b"=")):
            yield (
                f"the backend signs with the base64 of the secret: sign with the text of {option}",
                key_bytes,
            )


def _other_secrets(section: str, config: Config) -> Iterator[tuple[str, str]]:
    client = config.client
    for name, other in (
        ("client.token", client.token),
        ("client.subscription_token", client.subscription_token),
    ):
        if name != section:
            yield f"{name}.hmac_secret_key", other.hmac_secret_key
            yield f"{name}.hmac_previous_secret_key", other.hmac_previous_secret_key
    yield "http_api.key", config.http_api.key
    yield "admin.secret", config.admin.secret
    yield "admin.password", config.admin.password


def _newlines(pem: str) -> tuple[bytes, ...]:
    return (pem.encode(), pem.strip().encode(), f"{pem.strip()}\n".encode()) if pem else ()


# ------------------------------------------------------------------ key sets


async def key_set_finding(
    token: SignedToken, section: str, settings: TokenConfig, variables: Mapping[str, str], fetcher: Fetcher
) -> Finding:
    """Look the key up where the server would."""
    algorithm, kid = token.header.alg, token.header.kid
    option = f"{section}.jwks_public_endpoint"
    if algorithm not in PUBLIC_KEY_ALGORITHMS:
        return fail(
            CHECK,
            f"{foreign(algorithm, 40)}; with {option} only keys of the key set count, and those are public keys",
            f"a token signed with one of {', '.join(sorted(PUBLIC_KEY_ALGORITHMS))}",
            f"for secrets of the configuration remove {option}",
        )
    if not kid:
        return fail(CHECK, "the header has no `kid`", "the id of the key, so that it is found in the key set")
    try:
        url = resolve(settings.jwks_public_endpoint, variables)
        keys = parse_key_set(await fetcher.get(url))
    except FetchError as error:
        return fail(
            CHECK,
            f"the key set can not be fetched: {error}",
            "an answer with status 200; clients get the temporary error 100 meanwhile and try again",
            f"curl -v {settings.jwks_public_endpoint}",
        )
    except ValueError as error:
        return fail(CHECK, f"there is no key set: {error}", f"a key set at {option}")
    return _in_key_set(token, kid, url, keys)


def _in_key_set(
    token: SignedToken, kid: str, url: str, keys: Mapping[str, Mapping[str, Candidate]]
) -> Finding:
    shown, where = foreign(kid, 60), foreign(url)
    if kid not in keys:
        listed = ", ".join(foreign(name, 40) for name in list(keys)[:KIDS_SHOWN]) or "none that can be used"
        return fail(
            CHECK,
            f"kid {shown!r} is not in the key set of {where}, which has: {listed}",
            'the key in the key set, with the same "kid" and "use": "sig"',
        )
    candidate = keys[kid].get(token.header.alg)
    if candidate is None:
        return fail(
            CHECK,
            f"the key {shown!r} is not for {token.header.alg}",
            f"one of {', '.join(sorted(keys[kid]))}",
        )
    if not candidate.fits(token, 0):
        return fail(CHECK, f"{token.header.alg}, but the key {shown!r} does not fit", "that key's signature")
    return ok(CHECK, f"{token.header.alg}, fits the key {shown!r} of {where}")
