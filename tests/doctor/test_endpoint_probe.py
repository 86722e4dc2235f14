"""Looking at a WebSocket endpoint, played by scripts."""

import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from centrifast.doctor import endpoint_probe
from centrifast.doctor.endpoint_probe import EndpointFacts, Wanted, probe
from centrifast.doctor.wire import Target, accept_of
from tests.auth.signing import RSA, private_pem_of
from tests.doctor.certificates import DAY, make_certificate
from tests.doctor.scripted_server import Script, answering, http, read_head, scripted_server

CONNECTED = b'{"id":1,"connect":{"client":"a","ping":1,"pong":true}}'
steps: list[str] = []


def look(
    scripts: list[Script], wanted: Wanted | None = None, tls: ssl.SSLContext | None = None
) -> EndpointFacts:
    steps.clear()
    with scripted_server(scripts, tls) as port:
        target = Target(tls is not None, "127.0.0.1", port, "/connection/websocket")
        return probe(target, wanted or Wanted(), steps.append)


def text(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([0x81, len(payload)]) + payload


def accept(connection: socket.socket, *headers: str) -> str:
    """Open the WebSocket; the head of the request."""
    head = read_head(connection)
    key = re.search(r"Sec-WebSocket-Key: (\S+)", head)
    assert key is not None
    lines = ["HTTP/1.1 101 X", f"Sec-WebSocket-Accept: {accept_of(key[1])}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return head


def leave(connection: socket.socket) -> None:
    """Wait until the client has gone."""
    while connection.recv(4096):
        pass


def opening(*frames: bytes, stay: bool = True) -> Script:
    """Accept, take the ping frame and the connect command, send frames."""

    def script(connection: socket.socket) -> None:
        accept(connection, "Date: Tue, 14 Nov 2023 22:13:20 GMT")
        received = b""
        while b"}}" not in unmasked(received):
            received += connection.recv(4096)
        for frame in frames:
            connection.sendall(frame)
        if stay:
            leave(connection)

    return script


def unmasked(data: bytes) -> bytes:
    """Payloads of the short frames in *data*, one after the other."""
    found = b""
    while len(data) >= 6:
        size = data[1] & 0x7F
        mask, payload, data = data[2:6], data[6 : 6 + size], data[6 + size :]
        found += bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return found


def browser(status: int = 101, then: Callable[[], None] = lambda: None) -> Script:
    """Answer the second look; *then* runs before, when all deadlines of that look have been set."""

    def script(connection: socket.socket) -> None:
        then()
        if status == 101:
            assert "Origin: https://pages.example" in accept(connection)
        else:
            answering(http(status))(connection)
        leave(connection)

    return script


PAGES = Wanted(origin="https://pages.example")
PONG = b"\x8a\x06doctor"


def test_a_good_endpoint() -> None:
    facts = look([opening(PONG, text(CONNECTED), text(b"{}")), browser()], PAGES)
    assert facts.plain.accepted
    assert facts.browser.accepted
    assert facts.stay is not None
    assert facts.stay.pong
    assert facts.stay.refusal == ""
    assert facts.stay.period == 1
    assert facts.stay.pinged_after is not None
    assert facts.stay.closed_after is None
    assert facts.skew is not None
    assert facts.skew.seconds > DAY
    assert steps[0].startswith("opening a WebSocket to 127.0.0.1:")
    assert steps[1] == "staying connected: the server pings every 1 s"


def test_the_origin_is_that_of_the_url_unless_told() -> None:
    facts = look([answering(http(404)), answering(http(404))])
    assert facts.origin == f"http://127.0.0.1:{facts.target.port}"
    assert facts.plain.answer is not None
    assert facts.plain.answer.status == 404
    assert facts.stay is None


def test_the_time_is_asked_for_where_an_upgrade_does_not_tell_it() -> None:
    dated = answering(http(400, b"", "Date: Tue, 14 Nov 2023 22:13:20 GMT"))
    facts = look([answering(http(404)), dated])
    assert facts.skew is not None
    assert look([answering(http(404)), answering(http(400))]).skew is None
    assert look([answering(http(404)), answering(b"nonsense")]).skew is None


def test_a_refused_origin() -> None:
    facts = look([opening(text(CONNECTED), text(b"{}")), browser(403)], PAGES)
    assert not facts.browser.accepted
    assert facts.browser.answer is not None
    assert facts.browser.answer.status == 403


def test_a_wrong_accept_is_not_accepted() -> None:
    facts = look([answering(b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: x\r\n\r\n"), answering(http(400))])
    assert not facts.plain.accepted
    assert facts.plain.answer is not None


@pytest.mark.parametrize(
    ("frames", "refusal"),
    [
        ([b"\x88\x0d\x0d\xadbad request"], "disconnect 3501, bad request"),
        ([b"\x88\x00"], "disconnect 1005, "),
        ([text(b'{"id":1,"error":{"code":109,"message":"token expired"}}')], "error 109, token expired"),
        ([text(b"junk"), text(b"[]"), text(b'{"id":2}')], "the connection was closed"),
        ([b"\x81\x7f" + b"\xff" * 8], "what comes is no WebSocket frame, or a giant one"),
    ],
)
def test_a_refused_connect_is_told(frames: list[bytes], refusal: str) -> None:
    facts = look([opening(*frames, stay=False), browser()], PAGES)
    assert facts.stay is not None
    assert facts.stay.refusal == refusal
    assert facts.stay.period == 0


def test_a_server_may_not_ping() -> None:
    for reply in (
        b'{"id":1,"connect":{"client":"a"}}',
        b'{"id":1,"connect":{"ping":NaN}}',
        b'{"id":1,"connect":{}}',
    ):
        facts = look([opening(text(reply)), browser()], PAGES)
        assert facts.stay is not None
        assert (facts.stay.refusal, facts.stay.period, facts.stay.pinged_after) == ("", 0, None)


def test_a_cut_while_it_is_quiet_is_seen() -> None:
    giant = b"\x81\x7f" + b"\xff" * 8
    for frames in ([], [b"\x88\x02\x0f\xa0"], [text(b"[]"), giant]):
        facts = look([opening(text(CONNECTED), *frames, stay=False), browser()], PAGES)
        assert facts.stay is not None
        assert facts.stay.pinged_after is None
        assert facts.stay.closed_after is not None


def test_pings_that_do_not_come_are_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_probe, "LONGEST_WAIT", 0.05)
    facts = look([opening(text(CONNECTED)), browser()], PAGES)
    assert facts.stay is not None
    assert (facts.stay.pinged_after, facts.stay.closed_after) == (None, None)


def test_no_reply_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry = browser(then=lambda: monkeypatch.setattr(endpoint_probe, "TIMEOUT", 0.05))
    facts = look([opening(), hurry], PAGES)
    assert facts.stay is not None
    assert facts.stay.refusal == "no reply within 0.05 s"


def test_an_end_without_an_answer_is_told() -> None:
    assert look([answering(b"")]).plain.error == "the connection was closed without an answer"


def test_no_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_probe, "TIMEOUT", 0.1)
    assert look([leave]).plain.error == "no answer within 0.1 s"


def test_a_certificate_that_is_not_trusted_is_told_and_looked_past(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_text(private_pem_of(RSA) + make_certificate(RSA, time.time() - DAY, time.time() + DAY))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    facts = look([leave, answering(http(404)), answering(http(404))], tls=context)
    assert "the certificate is not trusted" in facts.tls_error
    assert facts.certificate
    assert facts.plain.answer is not None
    assert facts.plain.answer.status == 404


def test_the_token_is_sent() -> None:
    received = bytearray()

    def keep(connection: socket.socket) -> None:
        accept(connection)
        data = b""
        while b"}}" not in unmasked(data):
            data += connection.recv(4096)
        received.extend(unmasked(data))

    look([keep, answering(http(400)), browser()], Wanted("https://pages.example", "T"))
    assert bytes(received) == b'doctor{"id": 1, "connect": {"token": "T"}}'


# ------------------------------------------------------------------ streaming


def look_at_stream(script: Script, transport: str = "sse") -> endpoint_probe.Stream:
    with scripted_server([script]) as port:
        return endpoint_probe.stream(
            transport, Target(False, "127.0.0.1", port, "/connection/x"), "T", verify=True
        )


def test_streams_are_looked_at_after_the_websocket() -> None:
    with scripted_server([answering(http(404)), answering(http(404)), answering(http(403))]) as port:
        target = Target(False, "127.0.0.1", port, "/connection/x")
        facts = probe(target, Wanted(token="T", streams={"sse": target}), steps.append)
    (stream,) = facts.streams
    assert (stream.transport, stream.status) == ("sse", 403)


@pytest.mark.parametrize("transport", ["sse", "http_stream"])
def test_a_stream_that_begins_at_once(transport: str) -> None:
    heads = []

    def script(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n\r\n")
        leave(connection)

    stream = look_at_stream(script, transport)
    assert (stream.transport, stream.status, stream.error) == (transport, 200, "")
    assert stream.first_byte_after is not None
    assert heads[0].startswith(
        "GET /connection/x?cf_connect=%7B%22id" if transport == "sse" else "POST /connection/x"
    )


@pytest.mark.parametrize(
    ("head", "status", "timeout"), [(b"HTTP/1.1 200 OK\r\n\r\n", 200, 2.0), (b"", 0, 0.1)]
)
def test_a_stream_that_is_kept_back(
    head: bytes, status: int, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_probe, "TIMEOUT", timeout)

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(head)
        leave(connection)

    stream = look_at_stream(script)
    assert (stream.status, stream.first_byte_after, stream.error) == (status, None, "")


def test_a_stream_that_breaks() -> None:
    assert look_at_stream(answering(b"nonsense\r\n\r\n")).error.startswith("the answer is not HTTP")
    gone = Target(False, "127.0.0.1", 1, "/")
    assert "can not be reached" in endpoint_probe.stream("sse", gone, "", verify=True).error
