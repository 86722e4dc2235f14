"""Rules that join options of tokens."""

import pytest

from centrifast.config.rules_token import check_claim, check_token
from centrifast.config.schema import TokenConfig

TEMPLATE = "https://id.example.com/{{realm}}/keys"


@pytest.mark.parametrize(
    "config",
    [
        TokenConfig(),
        TokenConfig(audience="a", issuer_regex="^b$", user_id_claim="user_id"),
        TokenConfig(jwks_public_endpoint="http://id.example.com/keys", issuer_regex=r"[a-z]\w+"),
        TokenConfig(jwks_public_endpoint=TEMPLATE, issuer_regex="^(?P<realm>a|b)$"),
        TokenConfig(jwks_public_endpoint=TEMPLATE),
        TokenConfig(
            jwks_public_endpoint=TEMPLATE,
            issuer_regex="(?P<realm>[a-z]+)",
            insecure_skip_jwks_endpoint_safety_check=True,
        ),
        TokenConfig(issuer_regex="(?P<realm>.*)"),
    ],
)
def test_what_fits_together_passes(config: TokenConfig) -> None:
    assert list(check_token("client.token", config)) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            TokenConfig(audience="a", audience_regex="b"),
            "client.token.audience and client.token.audience_regex",
        ),
        (
            TokenConfig(issuer="a", issuer_regex="b"),
            "client.token.issuer and client.token.issuer_regex exclude",
        ),
        (TokenConfig(audience_regex="["), "client.token.audience_regex: '['"),
        (TokenConfig(issuer_regex="(?!a)("), "client.token.issuer_regex: "),
        (TokenConfig(jwks_public_endpoint="id.example.com"), "client.token.jwks_public_endpoint must begin"),
        (
            TokenConfig(jwks_public_endpoint=TEMPLATE, issuer_regex="(?P<realm>.*)"),
            "client.token.issuer_regex: group realm fills",
        ),
        (
            TokenConfig(jwks_public_endpoint=TEMPLATE, audience_regex="[a]"),
            "client.token.audience_regex: classes of characters",
        ),
        (TokenConfig(jwks_public_endpoint=TEMPLATE, issuer_regex="("), "client.token.issuer_regex: '('"),
    ],
)
def test_what_does_not_fit_is_told(config: TokenConfig, message: str) -> None:
    (problem,) = check_token("client.token", config)
    assert problem.startswith(message)


def test_the_claim_of_the_user_has_a_plain_name() -> None:
    assert list(check_claim("client.token", TokenConfig(user_id_claim="user_ID"))) == []
    (problem,) = check_claim("client.token", TokenConfig(user_id_claim="user-id"))
    assert problem == "client.token.user_id_claim: use letters and underscores only"
