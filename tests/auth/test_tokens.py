"""The token matrix: which tokens are believed, and what they say."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.auth.claims import (
    ConnectionClaims,
    InvalidTokenError,
    KeysUnavailableError,
    SubscriptionClaims,
    SubscriptionOptions,
    SubscriptionOverride,
    TokenExpiredError,
)
from centrifast.auth.issue import issue_token
from centrifast.auth.tokens import TokenVerifier, verifiers
from centrifast.config.schema import ClientConfig, TokenConfig
from centrifast.eager import start
from centrifast.errors import INTERNAL, ClientError
from tests.auth.key_server import key_server
from tests.auth.signing import P256, jwk_of
from tests.auth.signing import sign as sign_with
from tests.auth.verifying import Verifier
from tests.config.building import config_of
from tests.fakes import FakeClock

SECRET = "secret"
NOW = 1_700_000_000
CONFIG = TokenConfig(hmac_secret_key=SECRET)


def verifier(config: TokenConfig = CONFIG, *, skip_signature: bool = False, now: float = NOW) -> Verifier:
    return Verifier(config, skip_signature=skip_signature, now=now)


def connection(claims: dict[str, Any], config: TokenConfig = CONFIG, *, now: float = NOW) -> ConnectionClaims:
    """Return what a well signed connection token with these claims says."""
    return verifier(config, now=now).verify_connection(issue_token(claims, SECRET))


def subscription(
    claims: dict[str, Any], config: TokenConfig = CONFIG, *, now: float = NOW
) -> SubscriptionClaims:
    """Return what a well signed subscription token with these claims says."""
    return verifier(config, now=now).verify_subscription(issue_token({"channel": "news", **claims}, SECRET))


BOTH = pytest.mark.parametrize("verify", [connection, subscription])


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(header: bytes, payload: bytes, secret: bytes = SECRET.encode()) -> str:
    """Return a token of any bytes with a right HS256 signature."""
    signing_input = f"{encode(header)}.{encode(payload)}"
    return f"{signing_input}.{encode(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


HS256 = b'{"alg":"HS256"}'


# ------------------------------------------------------------------ form and signature


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_every_hmac_algorithm_is_believed(algorithm: str) -> None:
    token = issue_token({"sub": "42"}, SECRET, algorithm)
    assert verifier().verify_connection(token).user == "42"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_tokens_of_other_makers_are_believed(algorithm: str) -> None:
    token = jwt.encode({"sub": "42", "exp": NOW + 1}, SECRET, algorithm=algorithm, headers={"kid": "1"})
    assert verifier().verify_connection(token) == ConnectionClaims("42", NOW + 1)


def test_short_key_causes_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = TokenConfig(hmac_secret_key="x")
        assert verifier(config).verify_connection(issue_token({"sub": "42"}, "x")).user == "42"


def test_wrong_key_is_refused() -> None:
    with pytest.raises(InvalidTokenError, match="wrong signature"):
        verifier().verify_connection(issue_token({"sub": "42"}, "other"))


def test_changed_payload_is_refused() -> None:
    header, _, signature = issue_token({"sub": "42"}, SECRET).split(".")
    with pytest.raises(InvalidTokenError, match="wrong signature"):
        verifier().verify_connection(f"{header}.{encode(b'{}')}.{signature}")


@pytest.mark.parametrize("part", ["", "AAAA"])
def test_short_or_missing_signature_is_refused(part: str) -> None:
    token = issue_token({"sub": "42"}, SECRET).rpartition(".")[0]
    with pytest.raises(InvalidTokenError):
        verifier().verify_connection(f"{token}.{part}")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "hs256", "HS1", "PS256", "RS256", "ES256", "EdDSA"]
)
def test_algorithm_without_a_key_of_its_family_is_refused(algorithm: str) -> None:
    header = json.dumps({"alg": algorithm}).encode()
    for token in (sign(header, b"{}"), f"{encode(header)}.{encode(b'{}')}."):
        with pytest.raises(InvalidTokenError):
            verifier().verify_connection(token)


def test_without_any_key_every_token_is_refused() -> None:
    for secret in ("", SECRET):
        with pytest.raises(InvalidTokenError):
            verifier(TokenConfig()).verify_connection(issue_token({"sub": "42"}, secret))


@pytest.mark.parametrize(
    ("option", "value"),
    [("rsa_public_key", "x"), ("ecdsa_public_key", "x"), ("audience_regex", "["), ("issuer_regex", "[")],
)
def test_setting_that_can_not_be_used_is_told_by_its_name(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: "):
        verifier(replace(CONFIG, **{option: value}))  # type: ignore[arg-type]


def malformed() -> Iterator[str]:
    good = issue_token({"sub": "42"}, SECRET)
    header, payload, signature = good.split(".")
    yield from ("", ".", "..", "...", "x", "a.b.c", "ü.ü.ü")
    yield f"{header}.{payload}"
    yield f"{good}.{signature}"
    yield f"{header}={'.'}{payload}.{signature}"
    yield f"{good}="
    yield f" {good}"
    yield f"{good}\n"
    yield f"{header}.{payload}+.{signature}"
    yield sign(b"", b"{}")
    yield sign(b"[]", b"{}")
    yield sign(b"null", b"{}")
    yield sign(b"{", b"{}")
    yield sign(b'{"alg":256}', b"{}")
    yield sign(b'{"typ":"JWT"}', b"{}")
    yield sign(b'{"alg":"HS256","crit":["exp"],"exp":1}', b"{}")
    yield sign(HS256, b"")
    yield sign(HS256, b"{")
    yield sign(HS256, b"[]")
    yield sign(HS256, b"null")
    yield sign(HS256, b'"42"')
    yield sign(HS256, b'{"sub":"\xff"}')
    yield sign(HS256, b'{"info":"\xff"}')
    yield sign(HS256, b'{"info":' + b"[" * 100_000)
    yield sign(b"[" * 100_000, b"{}")


MALFORMED = list(malformed())


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_token_is_refused_and_the_reason_does_not_show_it(token: str) -> None:
    for verify in (verifier().verify_connection, verifier().verify_subscription):
        with pytest.raises(InvalidTokenError) as caught:
            verify(token)
        assert not any(len(part) > 2 and part in str(caught.value) for part in token.split("."))


def test_skipping_signatures_skips_nothing_else() -> None:
    skipping = verifier(TokenConfig(audience="a"), skip_signature=True)
    assert skipping.verify_connection(issue_token({"sub": "42", "aud": "a"}, "whatever")).user == "42"
    with pytest.raises(TokenExpiredError):
        skipping.verify_connection(issue_token({"aud": "a", "exp": NOW}, "whatever"))
    with pytest.raises(InvalidTokenError, match="audience"):
        skipping.verify_connection(issue_token({"sub": "42"}, "whatever"))
    with pytest.raises(InvalidTokenError, match="connection token"):
        skipping.verify_connection(issue_token({"aud": "a", "channel": "x"}, "whatever"))
    with pytest.raises(InvalidTokenError, match="malformed"):
        skipping.verify_connection("x.y.z")


# ------------------------------------------------------------------ claims of both kinds


@BOTH
@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": None}])
def test_missing_user_is_anonymous(verify: Any, claims: dict[str, Any]) -> None:
    assert verify(claims).user == ""


@BOTH
@pytest.mark.parametrize("sub", [42, 4.2, True, ["42"], {}])
def test_user_must_be_a_string(verify: Any, sub: Any) -> None:
    with pytest.raises(InvalidTokenError):
        verify({"sub": sub})


@BOTH
@pytest.mark.parametrize("exp", [NOW, NOW - 1, NOW - 0.5, 0, -1, str(NOW), "0", f"{NOW}.0", "1e3"])
def test_token_is_expired_from_its_second_on(verify: Any, exp: Any) -> None:
    with pytest.raises(TokenExpiredError):
        verify({"exp": exp})


@BOTH
@pytest.mark.parametrize(
    ("exp", "expire_at"),
    [
        (NOW + 1, NOW + 1),
        (NOW + 0.5, NOW),
        (NOW + 1.9, NOW + 1),
        (str(NOW + 10), NOW + 10),
        (f"{NOW + 10}.5", NOW + 10),
        ("1.8e9", 1_800_000_000),
        (None, None),
    ],
)
def test_without_expire_at_the_expiry_is_that_of_the_token(
    verify: Any, exp: Any, expire_at: int | None
) -> None:
    assert verify({"exp": exp}).expire_at == expire_at


@BOTH
@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "0x10", "1_000", True, [], {}, 10**400])
def test_time_must_be_a_number(verify: Any, claim: str, value: Any) -> None:
    payload = json.dumps({"channel": "news", claim: value} if verify is subscription else {claim: value})
    token = sign(HS256, payload.encode())
    check = verifier().verify_subscription if verify is subscription else verifier().verify_connection
    with pytest.raises(InvalidTokenError):
        check(token)


@BOTH
def test_token_does_not_count_before_its_time(verify: Any) -> None:
    assert verify({"sub": "42", "nbf": NOW}).user == "42"
    for nbf in (NOW + 1, NOW + 0.5, str(NOW + 1)):
        with pytest.raises(TokenExpiredError):
            verify({"nbf": nbf})


@BOTH
@pytest.mark.parametrize("expire_at", [0, -1])
def test_expire_at_of_zero_means_never_but_exp_is_still_checked(verify: Any, expire_at: int) -> None:
    assert verify({"exp": NOW + 1, "expire_at": expire_at}).expire_at is None
    with pytest.raises(TokenExpiredError):
        verify({"exp": NOW, "expire_at": expire_at})


@BOTH
def test_expire_at_wins_over_exp(verify: Any) -> None:
    assert verify({"exp": NOW + 1, "expire_at": NOW + 100}).expire_at == NOW + 100
    assert verify({"expire_at": NOW - 100}).expire_at == NOW - 100  # the caller answers 110, not 109
    assert verify({"exp": NOW + 1, "expire_at": None}).expire_at == NOW + 1


@BOTH
def test_informational_claims_are_accepted_in_any_shape(verify: Any) -> None:
    assert verify({"sub": "42", "iat": "?", "jti": 1, "scope": []}).user == "42"


@BOTH
@pytest.mark.parametrize(
    ("audience", "right"),
    [
        ("a", True),
        (["b", "a"], True),
        ("b", False),
        (["b"], False),
        ([], False),
        ("ab", False),
        (None, False),
    ],
)
def test_audience_must_be_contained(verify: Any, audience: Any, right: bool) -> None:
    config = TokenConfig(hmac_secret_key=SECRET, audience="a")
    if right:
        assert verify({"sub": "42", "aud": audience}, config).user == "42"
    else:
        with pytest.raises(InvalidTokenError, match="audience"):
            verify({"sub": "42", "aud": audience}, config)


@BOTH
def test_issuer_must_be_equal(verify: Any) -> None:
    config = TokenConfig(hmac_secret_key=SECRET, issuer="a")
    assert verify({"sub": "42", "iss": "a"}, config).user == "42"
    for issuer in ("b", "ab", "", None):
        with pytest.raises(InvalidTokenError, match="issuer"):
            verify({"iss": issuer}, config)
    with pytest.raises(InvalidTokenError):
        verify({}, config)


@BOTH
def test_audience_and_issuer_are_not_looked_at_unless_configured(verify: Any) -> None:
    assert verify({"sub": "42", "aud": ["x"], "iss": "y"}).user == "42"


@BOTH
def test_wrong_audience_is_invalid_even_when_expired(verify: Any) -> None:
    with pytest.raises(InvalidTokenError):
        verify({"aud": "b", "exp": NOW - 1}, TokenConfig(hmac_secret_key=SECRET, audience="a"))


@BOTH
@pytest.mark.parametrize(
    ("value", "user"),
    [("42", "42"), (42, "42"), (2**60 + 1, str(2**60 + 1)), (1.5, "1.5"), ("", ""), (None, "")],
)
def test_user_can_come_from_another_claim(verify: Any, value: Any, user: str) -> None:
    config = TokenConfig(hmac_secret_key=SECRET, user_id_claim="user_id")
    assert verify({"sub": "7", "user_id": value}, config).user == user


@BOTH
def test_missing_user_id_claim_is_anonymous_whatever_sub_says(verify: Any) -> None:
    assert verify({"sub": "7"}, TokenConfig(hmac_secret_key=SECRET, user_id_claim="user_id")).user == ""


@BOTH
@pytest.mark.parametrize("value", [True, [], {}])
def test_user_id_claim_must_be_text_or_number(verify: Any, value: Any) -> None:
    with pytest.raises(InvalidTokenError, match="user id"):
        verify({"user_id": value}, TokenConfig(hmac_secret_key=SECRET, user_id_claim="user_id"))


@BOTH
def test_info_passes_byte_for_byte_but_for_newlines(verify: Any) -> None:
    body = b'{"channel":"news","info": {"b" :1.0,\r\n "a":12345678901234567890}}'
    if verify is connection:
        body = body.replace(b'"channel":"news",', b"")
        claims: Any = verifier().verify_connection(sign(HS256, body))
    else:
        claims = verifier().verify_subscription(sign(HS256, body))
    assert claims.info == b'{"b" :1.0, "a":12345678901234567890}'


@BOTH
def test_binary_info_wins(verify: Any) -> None:
    assert verify({"info": {"a": 1}, "b64info": base64.b64encode(b"\x00\xff").decode()}).info == b"\x00\xff"
    assert verify({"info": {"a": 1}, "b64info": ""}).info == b'{"a":1}'


@BOTH
@pytest.mark.parametrize("claims", [{}, {"info": None}, {"info": None, "b64info": None}])
def test_no_info_is_empty(verify: Any, claims: dict[str, Any]) -> None:
    assert verify(claims).info == b""


BAD_BASE64 = pytest.mark.parametrize("text", ["x", "AA", "AA=", "A*A=", "_-8=", "AA==AA=="])


# ------------------------------------------------------------------ connection tokens


def test_empty_claims_make_an_anonymous_connection_that_never_expires() -> None:
    assert connection({}) == ConnectionClaims("", None, b"", {}, b"")


def test_subscription_token_is_no_connection_token_even_when_expired() -> None:
    with pytest.raises(InvalidTokenError, match="connection token"):
        connection({"sub": "42", "channel": "news", "exp": NOW - 1})
    with pytest.raises(InvalidTokenError):
        connection({"channel": 1})
    assert connection({"sub": "42", "channel": ""}).user == "42"


@BAD_BASE64
def test_bad_base64_in_connection_info_is_an_internal_error(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        connection({"b64info": text})
    assert caught.value.error is INTERNAL


def test_channels_become_subscriptions_with_the_options_of_their_namespace() -> None:
    assert connection({"channels": ["news", "chat:1", ""]}).subs == {
        "news": SubscriptionOptions(),
        "chat:1": SubscriptionOptions(),
    }


def test_subs_win_over_channels_unless_they_are_empty() -> None:
    assert set(connection({"channels": ["a"], "subs": {"b": {}}}).subs) == {"b"}
    assert set(connection({"channels": ["a"], "subs": {}}).subs) == {"a"}
    assert set(connection({"channels": ["a"], "subs": None}).subs) == {"a"}
    assert connection({"channels": None}).subs == {}


def test_subs_carry_options_of_their_own() -> None:
    subs = connection(
        {
            "subs": {
                "a": {"info": {"i": 1}, "data": [2], "override": {"presence": {"value": True}}},
                "b": {"info": 1, "b64info": "AA==", "data": 2, "b64data": "/w=="},
                "c": None,
                "": {},
            }
        }
    ).subs
    assert subs == {
        "a": SubscriptionOptions(b'{"i":1}', b"[2]", SubscriptionOverride(presence=True)),
        "b": SubscriptionOptions(b"\x00", b"\xff"),
        "c": SubscriptionOptions(),
    }


@BAD_BASE64
@pytest.mark.parametrize("field", ["b64info", "b64data"])
def test_bad_base64_in_subs_makes_the_token_invalid(field: str, text: str) -> None:
    with pytest.raises(InvalidTokenError, match="base64"):
        connection({"subs": {"a": {field: text}}})


@pytest.mark.parametrize(
    "claims", [{"channels": "news"}, {"channels": [1]}, {"subs": ["a"]}, {"subs": {"a": 1}}]
)
def test_subscriptions_must_have_their_shape(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        connection(claims)


@pytest.mark.parametrize(
    "name", ["presence", "join_leave", "force_push_join_leave", "force_recovery", "force_positioning"]
)
@pytest.mark.parametrize(
    ("written", "value"), [({"value": True}, True), ({"value": False}, False), ({}, False), (None, None)]
)
def test_override_has_three_states(name: str, written: Any, value: bool | None) -> None:
    overridden = connection({"subs": {"a": {"override": {name: written}}}}).subs["a"].override
    assert overridden == SubscriptionOverride(**{name: value})


def test_meta_is_kept_as_written() -> None:
    assert connection({"meta": {"a": [1]}}).meta == b'{"a":[1]}'
    assert connection({"meta": None}).meta == b""


# ------------------------------------------------------------------ subscription tokens


def test_subscription_claims() -> None:
    claims = {
        "sub": "42",
        "channel": "$news",
        "client": "c0",
        "exp": NOW + 5,
        "info": 1,
        "data": {"a": 1},
        "override": {"force_recovery": {"value": True}},
    }
    override = SubscriptionOverride(force_recovery=True)
    assert subscription(claims) == SubscriptionClaims(
        "42", "$news", "c0", NOW + 5, b"1", b'{"a":1}', override
    )


def test_smallest_subscription_token() -> None:
    assert subscription({}) == SubscriptionClaims("", "news")


@pytest.mark.parametrize("channel", ["", None])
def test_subscription_token_needs_a_channel(channel: Any) -> None:
    with pytest.raises(InvalidTokenError, match="channel"):
        subscription({"channel": channel})


def test_expired_token_without_channel_is_expired() -> None:
    with pytest.raises(TokenExpiredError):
        subscription({"channel": "", "exp": NOW})


@BAD_BASE64
@pytest.mark.parametrize("field", ["b64info", "b64data"])
def test_bad_base64_makes_a_subscription_token_invalid(field: str, text: str) -> None:
    with pytest.raises(InvalidTokenError, match="base64"):
        subscription({field: text})


# ------------------------------------------------------------------ anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "sub",
        "exp",
        "nbf",
        "iat",
        "aud",
        "iss",
        "info",
        "b64info",
        "channels",
        "subs",
        "meta",
        "expire_at",
        "channel",
        "client",
        "data",
        "b64data",
        "override",
        "user",
    ]
)


@given(st.dictionaries(NAMES, JSON))
def test_any_claims_are_accepted_or_refused(claims: dict[str, Any]) -> None:
    token = sign(HS256, json.dumps(claims).encode())
    either = verifier(replace(CONFIG, user_id_claim="user"))
    for verify in (either.verify_connection, either.verify_subscription):
        with contextlib.suppress(InvalidTokenError, TokenExpiredError, ClientError):
            verify(token)


# ------------------------------------------------------------------ patterns and key sets


def test_pattern_is_looked_at_before_the_signature_and_even_without_one() -> None:
    for skip in (False, True):
        checking = verifier(replace(CONFIG, issuer_regex="^a$"), skip_signature=skip)
        with pytest.raises(InvalidTokenError, match="issuer_regex"):
            checking.verify_connection(issue_token({"iss": "b"}, "other"))
        assert checking.verify_connection(issue_token({"iss": "a"}, SECRET)).user == ""


@BOTH
def test_patterns_must_match(verify: Any) -> None:
    config = replace(CONFIG, issuer_regex="^https://(a|b)$", audience_regex="^app")
    assert verify({"sub": "42", "iss": "https://a", "aud": ["x", "app1"]}, config).user == "42"
    for claims in ({"iss": "https://c", "aud": "app"}, {"iss": "https://a", "aud": "x"}, {"aud": "app"}):
        with pytest.raises(InvalidTokenError, match="match"):
            verify(claims, config)


def test_key_set_takes_the_place_of_static_keys() -> None:
    async def main() -> None:
        async with key_server() as provider:
            provider.publish([jwk_of(P256, "a")])
            config = TokenConfig(
                hmac_secret_key=SECRET,
                rsa_public_key="not even a key",
                jwks_public_endpoint=f"{provider.url}/{{{{realm}}}}/{{{{app}}}}/keys",
                issuer_regex="^https://id/(?P<realm>one|two)$",
                audience_regex="^(?P<app>chat)$",
            )
            keys = TokenVerifier(config, skip_signature=False, clock=FakeClock(NOW))
            claims = {"sub": "42", "iss": "https://id/one", "aud": ["x", "chat"], "exp": NOW + 1}
            try:
                assert (await keys.verify_connection(sign_with(claims, P256, "ES256", "a"))).user == "42"
                subscription_token = sign_with({**claims, "channel": "news"}, P256, "ES256", "a")
                assert (await keys.verify_subscription(subscription_token)).channel == "news"
                assert provider.paths == ["/one/chat/keys"]
                with pytest.raises(InvalidTokenError, match="no key for the token's algorithm"):
                    await keys.verify_connection(issue_token(claims, SECRET))
                expired = sign_with({**claims, "exp": NOW}, P256, "ES256", "a")
                with pytest.raises(TokenExpiredError, match="exp"):
                    await keys.verify_connection(expired)
                provider.status = 500
                elsewhere = sign_with({**claims, "iss": "https://id/two"}, P256, "ES256", "a")
                with pytest.raises(KeysUnavailableError):
                    await keys.verify_connection(elsewhere)
            finally:
                await keys.close()

    asyncio.run(main())


def test_skipping_signatures_asks_no_provider() -> None:
    config = TokenConfig(jwks_public_endpoint="http://127.0.0.1:1/keys")
    assert (
        verifier(config, skip_signature=True).verify_connection(issue_token({"sub": "42"}, "x")).user == "42"
    )


def test_library_for_fetching_is_loaded_only_where_a_key_set_is_configured() -> None:
    program = "import sys, centrifast.auth.tokens; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ------------------------------------------------------------------ whose settings


def client_of(tree: dict[str, object]) -> ClientConfig:
    return config_of({f"client.{path}": value for path, value in tree.items()}).client


def test_subscription_tokens_are_verified_like_connection_tokens_unless_enabled() -> None:
    tree: dict[str, object] = {"token.hmac_secret_key": "a", "subscription_token.hmac_secret_key": "b"}
    connection, subscription = verifiers(client_of(tree), FakeClock(NOW))
    assert connection is subscription
    token = issue_token({"channel": "news"}, "a")
    assert start(subscription.verify_subscription(token)) == SubscriptionClaims("", "news")


def test_subscription_tokens_have_settings_of_their_own_when_enabled() -> None:
    tree: dict[str, object] = {
        "token": {"hmac_secret_key": "a", "audience": "x"},
        "subscription_token": {"enabled": True, "hmac_secret_key": "b"},
    }
    connection, subscription = verifiers(client_of(tree), FakeClock(NOW))
    start(connection.verify_connection(issue_token({"aud": "x"}, "a")))
    start(subscription.verify_subscription(issue_token({"channel": "news"}, "b")))
    with pytest.raises(InvalidTokenError, match="wrong signature"):
        start(subscription.verify_subscription(issue_token({"channel": "news", "aud": "x"}, "a")))
    with pytest.raises(InvalidTokenError, match="wrong signature"):
        start(connection.verify_connection(issue_token({"aud": "x"}, "b")))


def test_enabled_but_empty_settings_believe_no_subscription_token() -> None:
    tree: dict[str, object] = {"token.hmac_secret_key": "a", "subscription_token.enabled": True}
    _, subscription = verifiers(client_of(tree), FakeClock(NOW))
    with pytest.raises(InvalidTokenError, match="no key"):
        start(subscription.verify_subscription(issue_token({"channel": "news"}, "a")))


def test_skipping_signatures_holds_for_both() -> None:
    tree: dict[str, object] = {
        "insecure_skip_token_signature_verify": True,
        "subscription_token.enabled": True,
    }
    connection, subscription = verifiers(client_of(tree), FakeClock(NOW))
    start(connection.verify_connection(issue_token({}, "a")))
    start(subscription.verify_subscription(issue_token({"channel": "news"}, "a")))


@pytest.mark.parametrize("section", ["token", "subscription_token"])
@pytest.mark.parametrize("option", ["rsa_public_key", "ecdsa_public_key"])
def test_key_that_can_not_be_used_is_told_by_its_whole_path(section: str, option: str) -> None:
    tree: dict[str, object] = {"subscription_token.enabled": True, f"{section}.{option}": "x"}
    with pytest.raises(ValueError, match=f"^client.{section}.{option}: "):
        verifiers(client_of(tree), FakeClock(NOW))


def test_settings_that_are_off_are_not_looked_at() -> None:
    verifiers(client_of({"subscription_token.rsa_public_key": "x"}), FakeClock(NOW))


def test_verifiers_close_twice_without_harm() -> None:
    for _ in range(2):
        for each in verifiers(client_of({"insecure_skip_token_signature_verify": True}), FakeClock(NOW)):
            start(each.close())
        for each in verifiers(client_of({}), FakeClock(NOW)):
            start(each.close())


# ------------------------------------------------------------------ reasons


def test_expired_token_says_which_time_it_is() -> None:
    with pytest.raises(TokenExpiredError, match=r"^exp is over$"):
        connection({"exp": NOW})
    with pytest.raises(TokenExpiredError, match=r"^nbf has not come$"):
        connection({"exp": NOW + 2, "nbf": NOW + 1})
