"""Explanations as a whole: the verdict is the server's, and the findings agree with it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centrifast.auth.claims import InvalidTokenError, TokenExpiredError
from centrifast.auth.issue import issue_token
from centrifast.auth.tokens import verifiers
from centrifast.config.schema import Config
from centrifast.doctor.finding import Level
from centrifast.doctor.token import Explanation, Question, explain
from centrifast.doctor.token_claims import Kind
from centrifast.doctor.token_rules import Expected
from centrifast.eager import start
from centrifast.errors import ClientError
from tests.auth.key_server import key_server
from tests.auth.signing import RSA, jwk_of, sign
from tests.config.building import config_of
from tests.fakes import FakeClock

SECRET = "a secret of more than thirty-two bytes"
NOW = 1_700_000_000.0
PLAIN = config_of({"client.token.hmac_secret_key": SECRET})


def explained(
    token: str, config: Config = PLAIN, kind: Kind = Kind.CONNECTION, **expected: str
) -> Explanation:
    question = Question(token, kind, config, Expected(**expected))
    return asyncio.run(explain(question, FakeClock(NOW)))


def failures(explanation: Explanation) -> list[str]:
    return [finding.check for finding in explanation.findings if finding.level is Level.FAIL]


def test_a_good_token_is_accepted() -> None:
    explanation = explained(issue_token({"sub": "42", "exp": NOW + 60}, SECRET))
    assert explanation.accepted
    assert explanation.verdict == 'accepted, for user "42"'
    assert failures(explanation) == []
    assert [line.name for line in explanation.header] == ["alg", "typ"]
    assert [line.name for line in explanation.claims] == ["sub", "exp"]
    assert explained(issue_token({}, SECRET)).verdict == "accepted, for the anonymous user"


@pytest.mark.parametrize(
    ("token", "kind", "failed", "verdict"),
    [
        ("abc", Kind.CONNECTION, "form", "(disconnect 3500, invalid token)"),
        ("abc", Kind.SUBSCRIPTION, "form", "(error 103, permission denied)"),
        (issue_token({"exp": NOW - 1}, SECRET), Kind.CONNECTION, "exp", "(error 109, token expired)"),
        (issue_token({}, "x"), Kind.CONNECTION, "signature", "wrong signature"),
        (issue_token({"channel": "a"}, SECRET), Kind.CONNECTION, "kind", "is no connection token"),
        (issue_token({}, SECRET), Kind.SUBSCRIPTION, "kind", "no channel"),
        (issue_token({"sub": 1}, SECRET), Kind.CONNECTION, "claims", "malformed claims"),
        (issue_token({"b64info": "?"}, SECRET), Kind.CONNECTION, "payloads", "(error 100"),
        (f"Bearer {issue_token({}, SECRET)}", Kind.CONNECTION, "form", "malformed token"),
        (issue_token({"expire_at": 1}, SECRET), Kind.CONNECTION, "expire_at", "(error 110)"),
    ],
)
def test_a_bad_token_is_refused_with_the_code_a_client_gets(
    token: str, kind: Kind, failed: str, verdict: str
) -> None:
    explanation = explained(token, kind=kind)
    assert not explanation.accepted
    assert failures(explanation) == [failed]
    assert explanation.verdict.startswith("refused: ")
    assert verdict in explanation.verdict


def test_a_subscription_token_must_fit_its_use() -> None:
    token = issue_token({"sub": "42", "channel": "news"}, SECRET)
    assert explained(token, kind=Kind.SUBSCRIPTION, channel="news", user="42").accepted
    explanation = explained(token, kind=Kind.SUBSCRIPTION, channel="other")
    assert not explanation.accepted
    assert explanation.verdict == "refused: the token is for 'news' (disconnect 3500)"


def test_subscription_tokens_may_have_keys_of_their_own() -> None:
    config = config_of(
        {
            "client.token.hmac_secret_key": SECRET,
            "client.subscription_token": {"enabled": True, "hmac_secret_key": "other"},
        }
    )
    explanation = explained(issue_token({"channel": "a"}, SECRET), config, Kind.SUBSCRIPTION)
    (signature,) = [finding for finding in explanation.findings if finding.check == "signature"]
    assert "client.subscription_token.hmac_secret_key does not fit" in signature.seen
    assert "signed with client.token.hmac_secret_key" in signature.mend[0]
    assert explained(issue_token({"channel": "a"}, "other"), config, Kind.SUBSCRIPTION).accepted


def test_without_signature_checks_there_is_a_warning() -> None:
    config = config_of({"client.insecure_skip_token_signature_verify": True})
    explanation = explained(issue_token({}, "anything"), config)
    assert explanation.accepted
    assert any("anybody can be anyone" in finding.seen for finding in explanation.findings)


def test_keys_that_can_not_be_used_are_told() -> None:
    explanation = explained(issue_token({}, SECRET), config_of({"client.token.rsa_public_key": "x"}))
    assert not explanation.accepted
    assert failures(explanation) == ["configuration"]
    assert "client.token.rsa_public_key: neither a public key" in explanation.findings[0].seen


def test_a_key_set_is_fetched() -> None:
    async def both() -> tuple[Explanation, Explanation]:
        async with key_server() as provider:
            provider.publish([jwk_of(RSA, "a")])
            config = config_of({"client.token.jwks_public_endpoint": provider.url + "/keys"})
            good = await explain(Question(sign({"sub": "42"}, RSA, "RS256", "a"), Kind.CONNECTION, config))
            provider.status = 500
            late = await explain(Question(sign({"sub": "42"}, RSA, "RS256", "a"), Kind.CONNECTION, config))
            return good, late

    good, late = asyncio.run(both())
    assert good.accepted
    assert not late.accepted
    assert failures(late) == ["signature"]
    assert "(error 100, temporary: clients try again)" in late.verdict


# ------------------------------------------------------------------- property

JUNK: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 1, -1.5, "", "x", "1700000500", [], ["a"], {}, {"a": {}}]
)
TIMES = st.one_of(
    JUNK, st.sampled_from([NOW - 1, NOW, NOW + 1, str(int(NOW + 5)), str(int(NOW - 5)), "1e999"])
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.one_of(st.just("42"), JUNK),
        "uid": JUNK,
        "exp": TIMES,
        "nbf": TIMES,
        "iat": TIMES,
        "expire_at": TIMES,
        "aud": st.one_of(JUNK, st.sampled_from(["us", ["us", "x"]])),
        "iss": st.one_of(JUNK, st.sampled_from(["them", "realm-a"])),
        "channel": JUNK,
        "client": JUNK,
        "info": JUNK,
        "b64info": st.one_of(JUNK, st.sampled_from(["YQ==", "YQ"])),
        "b64data": st.one_of(JUNK, st.sampled_from(["YQ==", "YQ"])),
        "channels": JUNK,
        "subs": st.one_of(
            JUNK, st.just({"a": {"b64info": "?"}}), st.just({"a": {"override": {"presence": {}}}})
        ),
        "override": JUNK,
    },
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "hmac_secret_key": st.sampled_from(["one", "two"]),
        "hmac_previous_secret_key": st.sampled_from(["one", "two"]),
        "hmac_previous_secret_key_valid_until": st.sampled_from([0, int(NOW) - 1, int(NOW) + 1]),
        "audience": st.sampled_from(["us", ""]),
        "issuer_regex": st.sampled_from(["realm-(a|b)", ""]),
        "user_id_claim": st.sampled_from(["uid", ""]),
    },
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda claims, secret, algorithm, around: around.format(issue_token(claims, secret, algorithm)),
        CLAIMS,
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["HS256", "HS512"]),
        st.sampled_from(["{}"] * 8 + ['"{}"', "Bearer {}", "{}=", "{}."]),
    ),
)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, options=OPTIONS, kind=st.sampled_from(Kind), skip=st.booleans())
def test_the_verdict_is_that_of_the_server(
    text: str, options: dict[str, object], kind: Kind, skip: bool
) -> None:
    config = config_of(
        {"client": {"token": options, "insecure_skip_token_signature_verify": skip, "insecure": True}}
    )

    async def is_accepted() -> bool:
        connection, subscription = verifiers(config.client, FakeClock(NOW))
        try:
            if kind is Kind.CONNECTION:
                await connection.verify_connection(text)
            else:
                await subscription.verify_subscription(text)
        except (InvalidTokenError, TokenExpiredError, ClientError):
            return False
        return True

    accepted = start(is_accepted())  # with keys of the configuration nothing ever waits
    explanation = start(explain(Question(text, kind, config), FakeClock(NOW)))
    assert isinstance(explanation, Explanation)
    use = {"expire_at", "namespace"} & set(failures(explanation))
    assert explanation.accepted == (accepted and not use)
    assert explanation.accepted == (failures(explanation) == []), explanation
