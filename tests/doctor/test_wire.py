"""HTTP and WebSocket over a blocking socket."""

import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

from centrifast.doctor.wire import (
    TEXT,
    ProbeError,
    Target,
    accept_of,
    connect,
    get,
    head_of,
    new_key,
    parse_url,
    reason_of,
)
from tests.auth.signing import RSA, private_pem_of
from tests.doctor.certificates import DAY, make_certificate
from tests.doctor.scripted_server import answering, http, read_head, scripted_server


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("ws://a", Target(False, "a", 80, "/"), "a"),
        ("http://a:8000/x?y=1#z", Target(False, "a", 8000, "/x?y=1"), "a:8000"),
        ("wss://a/x", Target(True, "a", 443, "/x"), "a"),
        ("https://[::1]:9/x", Target(True, "::1", 9, "/x"), "[::1]:9"),
    ],
)
def test_urls_lead_somewhere(url: str, target: Target, authority: str) -> None:
    assert parse_url(url) == target
    assert target.authority == authority
    assert target.origin == f"{'https' if target.tls else 'http'}://{authority}"


@pytest.mark.parametrize(
    "url", ["", "a", "ftp://a/", "ws://", "ws://a:b/", "ws://[/", "ws://a/ b", "ws://a/\r\nX: y"]
)
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ProbeError):
        parse_url(url)


def test_an_answer_is_read() -> None:
    with scripted_server([answering(http(404, b"nope", "Server: Nginx"))]) as port:
        answer = get(Target(False, "127.0.0.1", port, "/"), 10)
    assert (answer.status, answer.header("server"), answer.body) == (404, "Nginx", b"nope")
    assert answer.header("absent") == ""


def test_a_body_without_length_ends_with_the_connection() -> None:
    with scripted_server([answering(b"HTTP/1.1 200 OK\r\n\r\nabc")]) as port:
        assert get(Target(False, "127.0.0.1", port, "/"), 10).body == b"abc"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 " + b"9" * 5000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "too long"),
    ],
)
def test_what_is_no_answer_is_told(data: bytes, told: str) -> None:
    with scripted_server([answering(data)]) as port, pytest.raises(ProbeError, match=told):
        get(Target(False, "127.0.0.1", port, "/"), 10)


def test_a_body_comes_in_pieces() -> None:
    with scripted_server([answering(http(200, b"x" * 300_000))]) as port:
        assert len(get(Target(False, "127.0.0.1", port, "/"), 10).body) == 300_000


def test_a_length_that_is_none_does_not_matter() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc"
    with scripted_server([answering(data)]) as port:
        assert get(Target(False, "127.0.0.1", port, "/"), 10).body == b"abc"


def test_a_body_that_does_not_end_is_cut() -> None:
    def half(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        while connection.recv(4096):
            pass

    with scripted_server([half]) as port:
        assert get(Target(False, "127.0.0.1", port, "/"), 2.0).body == b"abc"


def test_a_connection_that_breaks_is_told() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with scripted_server([reset]) as port:
        wire = connect(Target(False, "127.0.0.1", port, "/"), 10)
        wire.send(b"x", 10)
        with pytest.raises(ProbeError, match="the connection broke: connection reset by peer"):
            wire.fill(time.monotonic() + 10)
        with pytest.raises(ProbeError, match="sending failed: broken pipe"):
            wire.send(b"x", 10)
        wire.close()


def test_a_deadline_that_has_passed_is_not_waited_for() -> None:
    with scripted_server([]) as port:
        wire = connect(Target(False, "127.0.0.1", port, "/"), 10)
        with pytest.raises(TimeoutError):
            wire.fill(time.monotonic())
        wire.close()


def test_nobody_waits_for_ever() -> None:
    def say_nothing(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with scripted_server([say_nothing]) as port, pytest.raises(ProbeError, match=r"no answer within 0\.1 s"):
        get(Target(False, "127.0.0.1", port, "/"), 0.1)


def test_who_does_not_listen_is_told() -> None:
    with pytest.raises(ProbeError, match=r"127\.0\.0\.1:1 \(port 1\) can not be reached: connection refused"):
        connect(Target(False, "127.0.0.1", 1, "/"), 10)
    for name in ("name.invalid", "a..b"):
        with pytest.raises(ProbeError, match="can not be resolved"):
            connect(Target(False, name, 80, "/"), 10)


def test_certificates_are_verified_unless_told_otherwise(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    now = time.time()
    chain.write_text(private_pem_of(RSA) + make_certificate(RSA, now - DAY, now + DAY))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    script = answering(http(200, b"ok"))
    with scripted_server([script, script], context) as port:
        target = Target(True, "127.0.0.1", port, "/")
        with pytest.raises(ProbeError, match="TLS failed: the certificate is not trusted"):
            connect(target, 10)
        wire = connect(target, 10, verify=False)
        assert wire.certificate
        wire.close()


def test_tls_with_who_speaks_none_is_told() -> None:
    def say_http(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(http(400))

    with scripted_server([say_http]) as port, pytest.raises(ProbeError, match="TLS failed: "):
        connect(Target(True, "127.0.0.1", port, "/"), 10)


def test_frames_of_every_size_go_both_ways() -> None:
    def echo(connection: socket.socket) -> None:
        """Answer with frames of three sizes, then with an end."""
        read_head(connection)
        connection.sendall(b"HTTP/1.1 101 X\r\n\r\n\x81\x02ab")
        connection.sendall(b"\x81\x7e\x01\x00" + b"c" * 256)
        connection.sendall(b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"d" * 70_000)

    with scripted_server([echo]) as port:
        target = Target(False, "127.0.0.1", port, "/")
        wire = connect(target, 10)
        deadline = time.monotonic() + 10
        wire.send(head_of(target, {"X": "y"}), 10)
        assert wire.read_answer(deadline).status == 101
        sizes = []
        while (frame := wire.read_frame(deadline)) is not None:
            sizes.append((frame.opcode, len(frame.payload)))
        wire.close()
    assert sizes == [(1, 2), (1, 256), (2, 70_000)]


def test_sent_frames_are_masked() -> None:
    received = bytearray()

    def keep(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            received.extend(data)

    with scripted_server([keep]) as port:
        wire = connect(Target(False, "127.0.0.1", port, "/"), 10)
        wire.send_frame(TEXT, b"x" * 5, 10)
        wire.send_frame(TEXT, b"x" * 300, 10)
        wire.socket.shutdown(socket.SHUT_WR)
        assert not wire.fill(time.monotonic() + 10)  # it has read everything
        wire.close()
    assert received[:2] == b"\x81\x85"
    assert bytes(byte ^ received[2 + index % 4] for index, byte in enumerate(received[6:11])) == b"xxxxx"
    assert received[11:15] == b"\x81\xfe\x01\x2c"
    assert len(received) == 11 + 8 + 300


def test_a_giant_frame_is_refused() -> None:
    def giant(connection: socket.socket) -> None:
        connection.sendall(b"\x81\x7f" + b"\xff" * 8)
        while connection.recv(4096):
            pass

    with scripted_server([giant]) as port:
        wire = connect(Target(False, "127.0.0.1", port, "/"), 10)
        with pytest.raises(ProbeError, match="giant"):
            wire.read_frame(time.monotonic() + 10)
        wire.close()


def test_reasons_are_short() -> None:
    assert reason_of(TimeoutError()) == "no answer in time"
    assert reason_of(ConnectionRefusedError(111, "Connection refused")) == "connection refused"
    assert reason_of(ValueError("x")) == "x"


def test_keys_are_accepted_as_the_rfc_says() -> None:
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert len(new_key()) == 24
