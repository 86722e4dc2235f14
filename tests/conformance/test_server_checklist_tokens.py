"""Lines 13 and 14 of the server's checklist: the token matrix and key sets, as clients meet them."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from centrifast import errors
from centrifast.auth.issue import issue_token
from centrifast.config.error import ConfigError
from centrifast.config.schema import TokenConfig
from centrifast.config.validate import validate, validate_start
from centrifast.errors import DisconnectCode, ErrorCode
from centrifast.limits import KEY_LIFETIME, KEY_SET_INTERVAL
from centrifast.protocol.wire import Command, ConnectRequest, Encoding
from tests.auth.key_server import KeyServer, key_server
from tests.auth.signing import (
    ED25519,
    P256,
    P384,
    P521,
    RSA,
    RSA_OTHER,
    PrivateKey,
    jwk_of,
    public_pem_of,
    sign,
)
from tests.client.conftest import Serve
from tests.client.fakes import NOW, ClientOptions, Far, Server, config, error, subscribe
from tests.config.building import config_of
from tests.server.http_peer import until

BOTH = pytest.mark.parametrize("encoding", Encoding)
SECRET = "a secret of more than sixty-four bytes, as the longest hash of this family wants"
Outcome = ErrorCode | DisconnectCode | None
"""How a connect ends: an error, a disconnect, or well."""


def options(**token: Any) -> ClientOptions:
    return {"token": TokenConfig(**token)}


def outcome_of(client: Far, text: str) -> Outcome:
    """Connect with a token."""
    replies = client.ask(Command(id=1, connect=ConnectRequest(token=text)))
    return judge(client, replies)


def judge(client: Far, replies: list[Any]) -> Outcome:
    if client.closed_with is not None:
        return client.closed_with
    (reply,) = replies
    if reply.error is None:
        assert client.session.user == "42"
        return None
    return ErrorCode(reply.error.code, reply.error.message, reply.error.temporary)


# ------------------------------------------------------------------ 13: algorithm x key

CONFIGURED: dict[str, dict[str, str]] = {
    "none": {},
    "hmac": {"hmac_secret_key": SECRET},
    "rsa": {"rsa_public_key": public_pem_of(RSA)},
    "p256": {"ecdsa_public_key": public_pem_of(P256)},
    "p384": {"ecdsa_public_key": public_pem_of(P384)},
    "p521": {"ecdsa_public_key": public_pem_of(P521)},
    "all": {
        "hmac_secret_key": SECRET,
        "rsa_public_key": public_pem_of(RSA),
        "ecdsa_public_key": public_pem_of(P256),
    },
}
SIGNED: dict[str, tuple[PrivateKey | str, str]] = {
    "HS256": (SECRET, "hmac"),
    "HS384": (SECRET, "hmac"),
    "HS512": (SECRET, "hmac"),
    "RS256": (RSA, "rsa"),
    "RS384": (RSA, "rsa"),
    "RS512": (RSA, "rsa"),
    "PS256": (RSA, "never"),
    "PS384": (RSA, "never"),
    "PS512": (RSA, "never"),
    "ES256": (P256, "p256"),
    "ES384": (P384, "p384"),
    "ES512": (P521, "p521"),
    "EdDSA": (ED25519, "never"),
}
"""Algorithm to the key of the token and the configuration that believes it."""


@pytest.mark.parametrize("algorithm", SIGNED)
@pytest.mark.parametrize("configured", CONFIGURED)
@BOTH
def test_13_algorithm_by_key(serve: Serve, configured: str, algorithm: str, encoding: Encoding) -> None:
    key, family = SIGNED[algorithm]
    believed = family == configured or (configured == "all" and family in ("hmac", "rsa", "p256"))
    server = serve(config(options(**CONFIGURED[configured])))
    expected = None if believed else errors.INVALID_TOKEN
    assert outcome_of(server.open(encoding), sign({"sub": "42"}, key, algorithm)) == expected
    if not believed:
        client = server.connect(encoding)
        text = sign({"channel": "news"}, key, algorithm)
        assert client.ask(subscribe(2, "news", token=text)) == [error(2, errors.PERMISSION_DENIED)]


def test_13_another_key_of_the_family(serve: Serve) -> None:
    server = serve(config(options(rsa_public_key=public_pem_of(RSA_OTHER), hmac_secret_key=SECRET + "!")))
    for algorithm in ("RS256", "HS256"):
        key, _ = SIGNED[algorithm]
        assert outcome_of(server.open(), sign({"sub": "42"}, key, algorithm)) == errors.INVALID_TOKEN


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@BOTH
def test_13_none_algorithm(serve: Serve, name: str, encoding: Encoding) -> None:
    server = serve(config(options(**CONFIGURED["all"])))
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
                  for part in ({"alg": name, "typ": "JWT"}, {"sub": "42"}))  # fmt: skip
    for text in (f"{head}.{body}.", f"{head}.{body}"):
        assert outcome_of(server.open(encoding), text) == errors.INVALID_TOKEN


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_13_rsa_public_key_used_as_hmac_secret(serve: Serve, algorithm: str) -> None:
    pem = public_pem_of(RSA)
    for keys in ({"rsa_public_key": pem}, {"rsa_public_key": pem, "hmac_secret_key": SECRET}):
        server = serve(config(options(**keys)))
        for secret in (pem, pem.strip(), ""):
            text = issue_token({"sub": "42"}, secret, algorithm)
            assert outcome_of(server.open(), text) == errors.INVALID_TOKEN


# ------------------------------------------------------------------ 13: claims and rotation

CLAIMS: dict[str, tuple[dict[str, object], Outcome]] = {
    "exp in the future": ({"exp": NOW + 1}, None),
    "exp with a fraction": ({"exp": NOW + 1.5}, None),
    "exp as a text": ({"exp": str(NOW + 9)}, None),
    "exp now": ({"exp": NOW}, errors.TOKEN_EXPIRED),
    "exp in the past": ({"exp": NOW - 1}, errors.TOKEN_EXPIRED),
    "exp is nonsense": ({"exp": "soon"}, errors.INVALID_TOKEN),
    "nbf now": ({"nbf": NOW}, None),
    "nbf in the future": ({"nbf": NOW + 1}, errors.TOKEN_EXPIRED),
    "iat and jti": ({"iat": NOW + 99, "jti": "x"}, None),
    "numeric sub": ({"sub": 42}, errors.INVALID_TOKEN),
    "channel claim": ({"channel": "news"}, errors.INVALID_TOKEN),
    "channel claim and expired": ({"channel": "news", "exp": NOW - 1}, errors.INVALID_TOKEN),
    "unknown claims": ({"role": {"admin": True}}, None),
}


@pytest.mark.parametrize("case", CLAIMS)
@BOTH
def test_13_claims(serve: Serve, case: str, encoding: Encoding) -> None:
    claims, expected = CLAIMS[case]
    server = serve(config(options(hmac_secret_key=SECRET)))
    text = issue_token({"sub": "42"} | claims, SECRET)
    assert outcome_of(server.open(encoding), text) == expected


@pytest.mark.parametrize(
    ("demand", "claims", "expected"),
    [
        ({"audience": "app"}, {"aud": "app"}, None),
        ({"audience": "app"}, {"aud": ["web", "app"]}, None),
        ({"audience": "app"}, {"aud": ["web"]}, errors.INVALID_TOKEN),
        ({"audience": "app"}, {"aud": "application"}, errors.INVALID_TOKEN),
        ({"audience": "app"}, {}, errors.INVALID_TOKEN),
        ({"audience_regex": "^app"}, {"aud": "application"}, None),
        ({"audience_regex": "^app"}, {"aud": ["web", "apples"]}, None),
        ({"audience_regex": "^app$"}, {"aud": "web"}, errors.INVALID_TOKEN),
        ({"issuer": "me"}, {"iss": "me"}, None),
        ({"issuer": "me"}, {"iss": "you"}, errors.INVALID_TOKEN),
        ({"issuer": "me"}, {}, errors.INVALID_TOKEN),
        ({"issuer_regex": "e$"}, {"iss": "me"}, None),
        ({"issuer_regex": "e$"}, {"iss": "you"}, errors.INVALID_TOKEN),
        ({"audience": "app"}, {"aud": "web", "exp": NOW - 1}, errors.INVALID_TOKEN),
        ({"user_id_claim": "user"}, {"sub": "7", "user": "42"}, None),
        ({"user_id_claim": "user"}, {"sub": 7, "user": 42}, errors.INVALID_TOKEN),
        ({"user_id_claim": "user"}, {"user": 42}, None),
    ],
)
@BOTH
def test_13_audience_issuer_and_user_claim(
    serve: Serve, demand: dict[str, str], claims: dict[str, object], expected: Outcome, encoding: Encoding
) -> None:
    server = serve(config(options(hmac_secret_key=SECRET, **demand)))
    base: dict[str, object] = {} if "user_id_claim" in demand else {"sub": "42"}
    assert outcome_of(server.open(encoding), issue_token(base | claims, SECRET)) == expected


@pytest.mark.parametrize(
    ("until_", "expected"),
    [(0, None), (NOW + 1, None), (NOW, errors.INVALID_TOKEN), (NOW - 1, errors.INVALID_TOKEN)],
)
def test_13_previous_key(serve: Serve, until_: int, expected: Outcome) -> None:
    keys = {"hmac_secret_key": SECRET, "hmac_previous_secret_key": "older"}
    server = serve(config(options(**keys, hmac_previous_secret_key_valid_until=until_)))
    assert outcome_of(server.open(), issue_token({"sub": "42"}, "older")) == expected
    assert outcome_of(server.open(), issue_token({"sub": "42"}, SECRET)) is None
    assert outcome_of(server.open(), issue_token({"sub": "42"}, "oldest")) == errors.INVALID_TOKEN


# ------------------------------------------------------------------ 14: key sets


class Provided:
    """A server whose keys come from a provider."""

    def __init__(self, provider: KeyServer, encoding: Encoding, path: str, **token: Any) -> None:
        self.provider = provider
        self._encoding = encoding
        self.server = Server(config(options(jwks_public_endpoint=provider.url + path, **token)))

    def send(self, key: PrivateKey, kid: str | None, algorithm: str = "RS256", **claims: object) -> Far:
        """A client that has sent its token."""
        client = self.server.open(self._encoding)
        text = sign({"sub": "42"} | claims, key, algorithm, kid)
        client.send(Command(id=1, connect=ConnectRequest(token=text)))
        return client

    async def connect(
        self, key: PrivateKey = RSA, kid: str | None = "1", algorithm: str = "RS256", **claims: object
    ) -> Outcome:
        """Connect with a token when the provider may be asked again; how that ends."""
        self.server.clock.advance(KEY_SET_INTERVAL)
        client = self.send(key, kid, algorithm, **claims)
        await until(lambda: client.session.queue is None)
        return judge(client, client.received())

    async def subscribe(self, key: PrivateKey, kid: str) -> list[Any]:
        """Subscribe with a token when the provider may be asked again; what comes back."""
        self.server.clock.advance(KEY_SET_INTERVAL)
        client = self.server.connect(self._encoding)
        client.send(subscribe(2, "news", token=sign({"channel": "news"}, key, "RS256", kid)))
        await until(lambda: client.session.queue is None)
        return client.received()


def providing(
    story: Callable[[Provided], Awaitable[None]], encoding: Encoding, path: str = "/keys", **token: Any
) -> None:
    """Tell a story in which keys are fetched."""

    async def main() -> None:
        async with key_server() as provider:
            provided = Provided(provider, encoding, path, **token)
            try:
                await story(provided)
            finally:
                provided.server.lose_everybody()
                await provided.server.node.tokens.close()
                await provided.server.node.close()

    asyncio.run(main())


@BOTH
def test_14_rotation(encoding: Encoding) -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([jwk_of(RSA, "1")])
        assert await at.connect(RSA, "1") is None
        at.provider.publish([jwk_of(RSA_OTHER, "2")])
        assert await at.connect(RSA_OTHER, "2") is None
        assert await at.connect(RSA, "1") is None  # kept for its hour
        assert len(at.provider.paths) == 2
        at.server.clock.advance(KEY_LIFETIME + 1)
        assert await at.connect(RSA, "1") == errors.INVALID_TOKEN
        assert len(at.provider.paths) == 3

    providing(story, encoding)


@BOTH
def test_14_unknown_kid(encoding: Encoding) -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([jwk_of(RSA, "1")])
        assert await at.connect(RSA, "other") == errors.INVALID_TOKEN
        assert await at.connect(RSA, None) == errors.INVALID_TOKEN
        assert len(at.provider.paths) == 1
        clients = [at.send(RSA, f"random {number}") for number in range(20)]
        at.server.clock.advance(KEY_SET_INTERVAL)
        await until(lambda: all(client.closed_with for client in clients))
        assert {client.closed_with for client in clients} == {errors.INVALID_TOKEN}
        assert len(at.provider.paths) == 2  # they were made up, and cost one look together
        assert await at.connect(RSA, "1") is None
        assert await at.subscribe(RSA, "other") == [error(2, errors.PERMISSION_DENIED)]

    providing(story, encoding)


@BOTH
def test_14_outage(encoding: Encoding) -> None:
    async def story(at: Provided) -> None:
        at.provider.status = 503
        assert await at.connect() == errors.INTERNAL
        assert await at.subscribe(RSA, "1") == [error(2, errors.INTERNAL)]
        at.provider.publish([jwk_of(RSA, "1")])
        assert await at.connect() is None
        at.provider.status = 503
        assert await at.connect() is None  # what is known counts

    providing(story, encoding)


@BOTH
def test_14_one_bad_key_does_not_spoil_the_set(encoding: Encoding) -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([{"kty": "RSA", "kid": "0", "use": "sig", "n": "?", "e": "?"}, jwk_of(RSA, "1")])
        assert await at.connect() is None

    providing(story, encoding)


@pytest.mark.parametrize(
    ("key", "algorithm", "members", "expected"),
    [
        (RSA, "RS512", {}, None),
        (P256, "ES256", {}, None),
        (P384, "ES384", {}, None),
        (ED25519, "EdDSA", {}, None),
        (RSA, "PS256", {}, errors.INVALID_TOKEN),
        (RSA, "RS256", {"use": "enc"}, errors.INVALID_TOKEN),
        (RSA, "RS256", {"alg": "RS256"}, None),
    ],
)
def test_14_which_keys_fit(
    key: PrivateKey, algorithm: str, members: dict[str, object], expected: Outcome
) -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([jwk_of(key, "1", **members)])
        assert await at.connect(key, "1", algorithm) == expected

    providing(story, Encoding.JSON)


def test_14_static_keys_are_not_used_beside_a_key_set() -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([jwk_of(RSA, "1")])
        client = at.server.open()
        text = issue_token({"sub": "42"}, SECRET)
        client.send(Command(id=1, connect=ConnectRequest(token=text)))
        await until(lambda: client.session.queue is None)
        assert client.closed_with == errors.INVALID_TOKEN

    providing(story, Encoding.JSON, hmac_secret_key=SECRET)


@BOTH
def test_14_templated_url(encoding: Encoding) -> None:
    async def story(at: Provided) -> None:
        at.provider.publish([jwk_of(RSA, "1")])
        assert await at.connect(iss="https://id.example/red") is None
        assert await at.connect(iss="https://id.example/blue") is None
        assert await at.connect(iss="https://id.example/green") == errors.INVALID_TOKEN
        assert at.provider.paths == ["/red/keys", "/blue/keys"]

    providing(story, encoding, "/{{realm}}/keys", issuer_regex="/(?P<realm>red|blue)$")


@pytest.mark.parametrize(
    ("token", "safe"),
    [
        ({"issuer_regex": "(?P<realm>red|blue)"}, True),
        ({"issuer_regex": "(?P<realm>.+)"}, False),
        ({"issuer_regex": "(?P<realm>[a-z]+)"}, False),
        ({"issuer_regex": r"(?P<realm>\w+)"}, False),
        ({"issuer_regex": r"(?P<realm>red|blue)/\d"}, False),
        ({"audience_regex": "(?P<realm>red*)"}, False),
        ({"issuer_regex": "(?P<realm>.+)", "insecure_skip_jwks_endpoint_safety_check": True}, True),
    ],
)
def test_14_unsafe_regex_refused(token: dict[str, object], safe: bool) -> None:
    tree = {"client": {"token": {"jwks_public_endpoint": "https://id.example/{{realm}}/keys", **token}}}
    config = config_of(tree)
    validate(config)
    if safe:
        validate_start(config)
    else:
        with pytest.raises(ConfigError, match=r"realm|class"):
            validate_start(config)
