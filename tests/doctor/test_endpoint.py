"""What the answers of an endpoint mean."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from centrifast.doctor.endpoint import check_endpoint, nginx_lines
from centrifast.doctor.endpoint_probe import EndpointFacts, Handshake, Stay, Stream
from centrifast.doctor.finding import Finding, Level
from centrifast.doctor.wire import Answer, Target
from tests.auth.signing import RSA
from tests.doctor.certificates import DAY, make_certificate

NOW = 1_700_000_000.0
TARGET = Target(True, "a.example", 443, "/connection/websocket")
OPEN = Handshake(answer=Answer(101, {}), accepted=True)
GOOD = EndpointFacts(TARGET, "https://a.example", OPEN, OPEN, Stay(pong=True, period=25, pinged_after=24.9))


def check(facts: EndpointFacts) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_endpoint(facts, 8000, NOW)}


def answered(status: int, body: bytes = b"", **headers: str) -> EndpointFacts:
    return replace(GOOD, plain=Handshake(answer=Answer(status, headers, body)), stay=None)


def test_a_good_endpoint_is_fine() -> None:
    found = check(GOOD)
    assert {name: finding.level for name, finding in found.items()} == dict.fromkeys(
        ["url handshake", "url origin", "url frames", "url pings"], Level.OK
    )
    assert found["url pings"].seen == "one after 24.9 s of silence, every 25 s"


@pytest.mark.parametrize(
    ("status", "needed", "mend"),
    [
        (400, "a proxy drops them", "proxy_set_header Upgrade $http_upgrade;"),
        (426, "a proxy drops them", "proxy_set_header Connection $connection_upgrade;"),
        (401, "no login at the proxy", "exempt the path"),
        (403, "the server allows those", "log of the proxy"),
        (404, "an endpoint at /connection/websocket", "websocket.handler_prefix"),
        (405, "an endpoint at /connection/websocket", "websocket.handler_prefix"),
        (502, "a server that the proxy can reach", "curl -i http://127.0.0.1:8000/connection/websocket"),
        (504, "a server that the proxy can reach", "http_server.port = 8000"),
        (503, "room for another connection", "client.connection_limit"),
        (200, "a page or another application answers", "proxy_pass http://127.0.0.1:8000;"),
        (500, "status 101", "without the proxy"),
    ],
)
def test_every_status_is_explained(status: int, needed: str, mend: str) -> None:
    finding = check(answered(status, b"<p>sorry", server="nginx/1.22"))["url handshake"]
    assert finding.level is Level.FAIL
    assert finding.seen == f"HTTP {status}, by nginx/1.22: <p>sorry"
    assert needed in finding.needed
    assert any(mend in command for command in finding.mend)


def test_a_redirect_is_told_with_its_target() -> None:
    finding = check(answered(301, location="https://b.example/"))["url handshake"]
    assert finding.mend == ("use the URL it leads to: https://b.example/",)


def test_a_wrong_101_is_told() -> None:
    assert "wrong Sec-WebSocket-Accept" in check(answered(101))["url handshake"].seen


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("the name a.example can not be resolved: x", "getent hosts a.example"),
        ("a.example (port 443) can not be reached: connection refused", "ss -ltnp 'sport = :443'"),
        ("TLS failed: wrong version number", "ws:// if that port speaks no TLS"),
        ("the connection was closed without an answer", "proxy_pass"),
    ],
)
def test_no_answer_is_told(error: str, mend: str) -> None:
    finding = check(replace(GOOD, plain=Handshake(error=error), stay=None))["url handshake"]
    assert (finding.level, finding.seen) == (Level.FAIL, error)
    assert mend in finding.mend[0]


def test_a_refused_origin_is_told_with_the_option() -> None:
    finding = check(replace(GOOD, browser=Handshake(answer=Answer(403, {}))))["url origin"]
    assert finding.level is Level.WARN
    assert finding.mend == ('"client": {"allowed_origins": ["https://a.example"]}',)
    finding = check(replace(GOOD, browser=Handshake(answer=Answer(500, {}))))["url origin"]
    assert finding.level is Level.FAIL
    finding = check(replace(GOOD, browser=Handshake(error="gone")))["url origin"]
    assert (finding.level, finding.seen) == (Level.FAIL, "gone")


@pytest.mark.parametrize(
    ("stay", "level", "seen"),
    [
        (Stay(pong=True, refusal="disconnect 3501, bad request"), Level.UNKNOWN, "3501"),
        (Stay(pong=True), Level.WARN, "sends no pings"),
        (Stay(pong=True, period=25, closed_after=10.04), Level.FAIL, "cut after 10.0 s of silence"),
        (Stay(pong=True, period=25), Level.FAIL, "none came, although the server sends one every 25 s"),
    ],
)
def test_pings_are_judged(stay: Stay, level: Level, seen: str) -> None:
    finding = check(replace(GOOD, stay=stay))["url pings"]
    assert finding.level is level
    assert seen in finding.seen
    assert finding.needed


def test_an_idle_timeout_comes_with_the_lines_of_the_proxy() -> None:
    finding = check(replace(GOOD, stay=Stay(pong=True, period=25, closed_after=10)))["url pings"]
    assert finding.mend[0].startswith("proxy_read_timeout 60s;")
    assert finding.mend[1].startswith("timeout tunnel 1h")


def test_frames_that_do_not_pass_are_told() -> None:
    assert check(replace(GOOD, stay=Stay()))["url frames"].level is Level.FAIL


@pytest.mark.parametrize(
    ("stream", "level", "seen"),
    [
        (Stream("sse", status=200, first_byte_after=0.012), Level.OK, "after 12 ms: nothing is buffered"),
        (Stream("sse", status=200), Level.FAIL, "its body did not: a proxy buffers the stream"),
        (Stream("sse"), Level.FAIL, "no answer came: a proxy buffers the stream"),
        (Stream("sse", status=404), Level.FAIL, "HTTP 404"),
        (Stream("sse", error="gone"), Level.FAIL, "gone"),
    ],
)
def test_buffering_is_noticed(stream: Stream, level: Level, seen: str) -> None:
    finding = check(replace(GOOD, streams=(stream,)))["url sse"]
    assert finding.level is level
    assert seen in finding.seen
    assert ("proxy_buffering off" in "".join(finding.mend)) == ("buffers" in seen)


def test_certificates_are_judged() -> None:
    pem = make_certificate(RSA, NOW - 9 * DAY, NOW - DAY)
    der = load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    found = check_endpoint(replace(GOOD, certificate=der, tls_error="TLS failed: the certificate"), 8000, NOW)
    told = [finding.seen for finding in found if finding.check == "url certificate"]
    assert told[0] == "TLS failed: the certificate"
    assert told[1].startswith("expired")
    assert check(replace(GOOD, certificate=b"x"))["url certificate"].level is Level.FAIL


def test_the_lines_for_nginx_name_the_port() -> None:
    assert "proxy_pass http://127.0.0.1:9000;" in nginx_lines(9000)
    assert "{ default upgrade; '' close; }" in nginx_lines(9000)
