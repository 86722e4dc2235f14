"""Key sets of the configuration."""

import json

import pytest

from centrifast.doctor import key_sets
from centrifast.doctor.clock import Skew
from centrifast.doctor.finding import Level
from centrifast.doctor.key_sets import KeySetFacts, check_key_set, endpoints_of, read_key_set
from tests.auth.signing import ED25519, RSA, jwk_of
from tests.config.building import config_of
from tests.doctor.scripted_server import answering, http, scripted_server

OPTION = "client.token.jwks_public_endpoint"
BODY = json.dumps({"keys": [jwk_of(RSA, "a"), jwk_of(ED25519, "b"), {"kid": "c"}]}).encode()


def fetch(answer: bytes) -> KeySetFacts:
    with scripted_server([answering(answer)]) as port:
        return read_key_set(OPTION, f"http://127.0.0.1:{port}/keys")


def test_a_key_set_is_fetched() -> None:
    facts = fetch(http(200, BODY, "Date: Tue, 14 Nov 2023 22:13:20 GMT"))
    assert facts.error == ""
    assert facts.kids == ("a", "b")
    assert facts.skew is not None
    assert facts.skew.source.startswith("127.0.0.1:")
    assert fetch(http(200, BODY)).skew is None


def test_chunks_are_put_together() -> None:
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert fetch(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks).kids == ("a", "b")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (http(404), "status 404"),
        (http(200, b"<html>"), "the answer is no key set"),
        (b"nonsense\r\n", "nonsense"),
        (b"", "Remote end closed connection without response"),
    ],
)
def test_another_answer_is_told(answer: bytes, told: str) -> None:
    assert told in fetch(answer).error


def test_an_answer_is_bounded_in_size_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch(http(200, b" " * 600_000)).error == "more than 524288 bytes"
    monkeypatch.setattr(key_sets, "DEADLINE", -1.0)
    assert fetch(http(200, BODY)).error == "no answer in time"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/keys", "http://name.invalid/keys", "nonsense://x", "http://["]
)
def test_what_can_not_be_reached_is_told(url: str) -> None:
    assert read_key_set(OPTION, url).error


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(http(200, BODY)).error == ""


def test_the_options_in_use_are_looked_at() -> None:
    assert list(endpoints_of(config_of({}))) == []
    tree = {
        OPTION: "http://a",
        "client.subscription_token": {"enabled": True, "jwks_public_endpoint": "http://b"},
    }
    assert [url for _, url in endpoints_of(config_of(tree))] == ["http://a", "http://b"]


@pytest.mark.parametrize(
    ("facts", "level", "seen"),
    [
        (
            KeySetFacts(OPTION, "http://a", "", 0.01, ("k",), Skew("a", 0)),
            Level.OK,
            "has 1 usable, among them k",
        ),
        (KeySetFacts(OPTION, "http://a", "", 1.5, ("k",)), Level.WARN, "fetched in 1500 ms"),
        (KeySetFacts(OPTION, "http://a"), Level.FAIL, "no key that can be used"),
        (KeySetFacts(OPTION, "http://a", "status 500"), Level.FAIL, "http://a: status 500"),
        (KeySetFacts(OPTION, "http://a/{{realm}}"), Level.UNKNOWN, "depends on claims"),
    ],
)
def test_key_sets_are_judged(facts: KeySetFacts, level: Level, seen: str) -> None:
    finding = check_key_set(facts)
    assert (finding.check, finding.level) == (OPTION, level)
    assert seen in finding.seen


def test_a_url_with_placeholders_is_not_fetched() -> None:
    assert read_key_set(OPTION, "http://a/{{realm}}") == KeySetFacts(OPTION, "http://a/{{realm}}")
