"""Claims in words."""

import json

import pytest

from centrifast.doctor.finding import Level
from centrifast.doctor.token_claims import (
    Kind,
    claim_lines,
    header_lines,
    members,
    remarks,
    time_of,
)

NOW = 1_700_000_000.0


def meanings(
    claims: dict[str, object], kind: Kind = Kind.CONNECTION, user_id_claim: str = ""
) -> dict[str, str]:
    text = json.dumps(claims).encode()
    return {line.name: line.meaning for line in claim_lines(members(text), kind, user_id_claim, NOW)}


def test_members_stay_as_written() -> None:
    assert members(b'{"a": [1,  2], "b": null}') == {"a": b"[1,  2]", "b": b"null"}
    for text in (b"", b"[]", b"{", b"\xff", b'{"a":"\xff"}', b"[" * 100_000):
        assert members(text) == {}


def test_the_header_is_explained() -> None:
    lines = header_lines(members(b'{"alg":"RS256","kid":"k1","typ":"JWT","x":1}'))
    assert [(line.name, line.value, line.meaning) for line in lines] == [
        ("alg", '"RS256"', "algorithm of the signature"),
        ("kid", '"k1"', "names the key of a key set"),
        ("typ", '"JWT"', "not checked"),
        ("x", "1", "not used"),
    ]


def test_claims_are_explained() -> None:
    found = meanings(
        {
            "sub": "42",
            "exp": NOW + 3600,
            "nbf": str(int(NOW) - 60),
            "iat": "x",
            "expire_at": 0,
            "b64info": "YWI=",
            "aud": None,
            "subs": {"news": {}},
            "channels": ["a"],
            "chanels": 1,
            "whatever": 1,
            "data": 1,
        }
    )
    assert found["sub"] == "user id"
    assert found["exp"] == "valid until: 2023-11-14 23:13:20 UTC, in 1 hour"
    assert found["nbf"] == "valid from: 2023-11-14 22:12:20 UTC, 1 minute ago"
    assert found["iat"] == "issued at (not checked)"
    assert found["expire_at"] == "when it expires, instead of `exp`; 0 = never"
    assert found["b64info"].endswith("2 bytes, 'ab'")
    assert found["aud"] == "audience: null is as good as absent"
    assert found["channels"] == "not used: `subs` is there"
    assert found["chanels"] == "not used; did you mean `channels`?"
    assert found["whatever"] == "not used by the server"
    assert found["data"] == "not used: it belongs into subscription tokens"


def test_base64_that_is_none_is_told() -> None:
    assert meanings({"b64info": "?"})["b64info"].endswith("no base64")
    assert meanings({"b64info": 1})["b64info"].endswith("no base64")


def test_claims_of_the_other_kind_are_told() -> None:
    found = meanings({"meta": {}, "channel": "a"}, Kind.SUBSCRIPTION)
    assert found == {
        "meta": "not used: it belongs into connection tokens",
        "channel": "the channel it is for",
    }


def test_another_claim_may_name_the_user() -> None:
    found = meanings({"sub": "a", "uid": 1}, user_id_claim="uid")
    assert found == {"sub": "not used: the user id comes from `uid`", "uid": "user id"}


@pytest.mark.parametrize(
    ("raw", "time"),
    [(b"1", 1), (b"1.5", 1.5), (b'"2"', 2), (b'"x"', 0), (b"[]", 0), (b"null", 0), (b'"1e999"', 0)],
)
def test_times_are_numbers_or_texts_of_numbers(raw: bytes, time: float) -> None:
    assert time_of(raw) == time


def test_milliseconds_are_noticed() -> None:
    (remark,) = remarks({"sub": b'"1"', "exp": b"1700000000000"}, "", NOW)
    assert remark.level is Level.WARN
    assert "looks like milliseconds" in remark.seen
    assert "1700000000 would be 2023-11-14 22:13:20 UTC" in remark.needed


def test_a_token_from_the_future_is_a_matter_of_clocks() -> None:
    (remark,) = remarks({"sub": b'"1"', "iat": b"1700000090"}, "", NOW)
    assert "in 1 minute 30 seconds" in remark.seen
    assert "timedatectl" in remark.mend[0]
    assert list(remarks({"sub": b'"1"', "iat": b"1700000001"}, "", NOW)) == []


def test_a_missing_user_is_told() -> None:
    (remark,) = remarks({"user_id": b"7"}, "", NOW)
    assert remark.seen == "there is no `sub`: the user is anonymous, although the token has `user_id`"
    assert remark.mend == ('set client.token.user_id_claim to "user_id", or issue `sub`',)
    assert list(remarks({}, "uid", NOW)) == []
