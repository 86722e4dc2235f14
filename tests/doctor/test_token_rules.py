"""What else the server demands of a token."""

import json
from collections.abc import Mapping

import pytest

from centrifast.auth.payload import Claims
from centrifast.config.schema import TokenConfig
from centrifast.doctor import token_rules
from centrifast.doctor.finding import Finding, Level
from centrifast.doctor.token_claims import Kind
from centrifast.doctor.token_rules import Expected
from tests.config.building import config_of

NOW = 1_700_000_000.0


def claims_of(claims: object, kind: Kind = Kind.CONNECTION) -> Claims:
    found, finding = token_rules.read_claims(json.dumps(claims).encode(), kind)
    assert found is not None, finding
    return found


def levels(findings: list[Finding]) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


def test_a_numeric_user_id_is_told_with_its_cure() -> None:
    claims, finding = token_rules.read_claims(b'{"sub": 42}', Kind.CONNECTION)
    assert claims is None
    assert "$.sub" in finding.seen
    assert finding.mend == ('ids are text: write "sub": "42", not "sub": 42',)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"exp": []}', b"\xff", b"[" * 100_000, b'{"sub":"\xff"}'])
def test_claims_that_can_not_be_read_are_told(text: bytes) -> None:
    for kind in Kind:
        claims, finding = token_rules.read_claims(text, kind)
        assert claims is None
        assert finding.level is Level.FAIL
        assert finding.mend == ()


def test_patterns_give_variables_or_a_reason() -> None:
    settings = TokenConfig(issuer_regex="realm-(?P<realm>a|b)$", audience_regex="x")
    variables, findings = token_rules.look_at_patterns(
        claims_of({"iss": "realm-a", "aud": ["y", "x"]}), "s", settings
    )
    assert variables == {"realm": "a"}
    assert findings[0].seen == "issuer_regex and audience_regex match"
    variables, findings = token_rules.look_at_patterns(claims_of({"iss": "other"}), "s", settings)
    assert variables == {}
    assert findings[0].level is Level.FAIL
    assert "iss is 'other', aud is absent" in findings[0].seen
    assert token_rules.look_at_patterns(claims_of({}), "s", TokenConfig()) == ({}, [])


def test_audience_and_issuer_are_compared() -> None:
    settings = TokenConfig(audience="us", issuer="them")
    good = token_rules.look_at_audience(claims_of({"aud": ["x", "us"], "iss": "them"}), "s", settings)
    assert levels(list(good)) == {"audience": Level.OK, "issuer": Level.OK}
    bad = list(token_rules.look_at_audience(claims_of({"aud": "you"}), "s", settings))
    assert levels(bad) == {"audience": Level.FAIL, "issuer": Level.FAIL}
    assert bad[0].seen == "the token says 'you'"
    assert bad[1].seen == "the token says absent"
    assert list(token_rules.look_at_audience(claims_of({}), "s", TokenConfig())) == []


def test_the_wrong_kind_is_told() -> None:
    wrong = token_rules.look_at_kind(claims_of({"channel": "a"}), Kind.CONNECTION)
    assert "it is a subscription token" in wrong.seen
    assert "--subscription" in wrong.mend[0]
    wrong = token_rules.look_at_kind(claims_of({}, Kind.SUBSCRIPTION), Kind.SUBSCRIPTION)
    assert "it is a connection token" in wrong.seen
    assert token_rules.look_at_kind(claims_of({}), Kind.CONNECTION).level is Level.OK


@pytest.mark.parametrize(
    ("claims", "level", "seen"),
    [
        ({}, Level.OK, "it never expires"),
        ({"exp": NOW + 60}, Level.OK, "in 1 minute"),
        ({"exp": NOW}, Level.FAIL, "over: "),
        ({"exp": NOW - 7200}, Level.FAIL, "2 hours ago"),
        ({"exp": "x"}, Level.FAIL, "not a number"),
    ],
)
def test_the_end_is_told(claims: object, level: Level, seen: str) -> None:
    (finding,) = token_rules.look_at_times(claims_of(claims), NOW)
    assert finding.level is level
    assert seen in finding.seen
    assert bool(finding.mend) == (claims == {"exp": NOW})  # so close, that clocks may be to blame


def test_a_begin_that_has_not_come_is_told() -> None:
    _, finding = token_rules.look_at_times(claims_of({"nbf": NOW + 5}), NOW)
    assert (finding.check, finding.level) == ("nbf", Level.FAIL)
    assert "timedatectl" in finding.mend[0]


@pytest.mark.parametrize(
    ("claims", "kind", "bad"),
    [
        ({"b64info": "YQ=="}, Kind.CONNECTION, False),
        ({"b64info": "YQ"}, Kind.CONNECTION, True),
        ({"subs": {"a": {"b64data": "?"}}}, Kind.CONNECTION, True),
        ({"b64data": "?"}, Kind.SUBSCRIPTION, True),
        ({"b64data": "YQ=="}, Kind.SUBSCRIPTION, False),
    ],
)
def test_bad_base64_is_told(claims: object, kind: Kind, bad: bool) -> None:
    assert bool(list(token_rules.look_at_payloads(claims_of(claims, kind)))) is bad


@pytest.mark.parametrize(
    ("raw", "level"),
    [(b'"a"', None), (b"1.5", None), (b"null", Level.WARN), (b"true", Level.FAIL), (b"[]", Level.FAIL)],
)
def test_the_claim_of_the_user_id_is_text_or_number(raw: bytes, level: Level | None) -> None:
    found = list(token_rules.look_at_user_claim({"uid": raw}, "s", TokenConfig(user_id_claim="uid")))
    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert list(token_rules.look_at_user_claim({"uid": raw}, "s", TokenConfig())) == []


def use(
    tree: Mapping[str, object],
    *,
    user: str = "42",
    expire_at: int | None = None,
    channels: tuple[str, ...] = (),
    kind: Kind = Kind.CONNECTION,
) -> list[str]:
    names = dict.fromkeys(channels)
    return [
        f"{finding.level.value} {finding.seen}"
        for finding in token_rules.look_at_use(user, expire_at, names, kind, config_of(tree), NOW)
    ]


def test_a_genuine_token_may_still_be_of_no_use() -> None:
    assert use({}, user="") == []
    strict = {"client.disallow_anonymous_connection_tokens": True}
    assert use(strict, user="") == ["FAIL the user is anonymous (disconnect 3507)"]
    assert use(strict, user="", kind=Kind.SUBSCRIPTION) == []
    assert use({}, expire_at=int(NOW) - 60)[0].endswith("1 minute ago (error 110)")
    assert use({"client.insecure": True}, expire_at=int(NOW) - 60) == []
    assert use({}, expire_at=int(NOW) + 60) == []
    assert use({"client.channel_limit": 1}, channels=("a", "b")) == [
        "FAIL 2 server-side subscriptions (disconnect 3505)"
    ]
    (unknown,) = use({"channel.namespaces": [{"name": "chat"}]}, channels=("chat:a", "chap:b"))
    assert "namespace 'chap', which does not exist (error 102)" in unknown


def test_a_subscription_token_is_compared_with_its_use() -> None:
    assert list(token_rules.look_at_fit("42", "a", "", Expected())) == []
    good = list(token_rules.look_at_fit("42", "a", "", Expected("a", "c1", "42")))
    assert levels(good) == {"channel": Level.OK, "user": Level.OK}
    bad = list(token_rules.look_at_fit("42", "a", "c2", Expected("b", "c1", "7")))
    assert levels(bad) == {"channel": Level.FAIL, "user": Level.FAIL, "client": Level.FAIL}
