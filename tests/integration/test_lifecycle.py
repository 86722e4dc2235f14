"""Start, stop, signals, descriptors and TLS of the real daemon."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.integration.daemon import eventually
from tests.raw_websocket import RawWebSocket
from tests.server_process import BASE_CONFIG, ServerProcess, free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_disconnects_clients_with_3001_and_ends_with_0(
    server: ServerProcess, number: signal.Signals
) -> None:
    with RawWebSocket(server.port) as connected, RawWebSocket(server.port) as silent:
        connected.connect()
        server.publish("nobody", {})
        server.signal(number)
        for client in (connected, silent):
            received = client.receive_close()
            assert (received.close_code, received.payload[2:]) == (3001, b"shutdown")
            client.send_frame(8, received.payload[:2])
        assert server.wait() == 0


def test_what_was_published_before_the_signal_is_flushed(server: ServerProcess) -> None:
    with RawWebSocket(server.port) as client:
        client.connect()
        client.subscribe("news")
        for number in range(20):
            server.publish("news", number)
        server.signal(signal.SIGTERM)
        assert [client.push()["pub"]["data"] for _ in range(20)] == list(range(20))
        assert client.receive_close().close_code == 3001


def test_nobody_is_told_who_leaves_when_all_must(tmp_path: Path) -> None:
    room = {"join_leave": True, "force_push_join_leave": True}
    with (
        ServerProcess(tmp_path, {"channel": {"without_namespace": room}}) as server,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(RawWebSocket(server.port)) for _ in range(3)]
        for number, client in enumerate(clients):
            client.connect()
            client.subscribe("room")
            for earlier in clients[: number + 1]:
                assert "join" in earlier.push()
        server.signal(signal.SIGTERM)
        for client in clients:
            received = client.receive()
            assert received is not None
            assert received.close_code == 3001


def test_a_client_that_never_answers_the_close_frame_does_not_hold_the_stop(server: ServerProcess) -> None:
    with RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_the_stop_is_over_when_its_time_is(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"shutdown": {"timeout": "1s"}}) as server:
        with RawWebSocket(server.port) as client:
            client.connect()
            server.signal(signal.SIGTERM)
            assert server.wait() == 1
        assert "shutdown timeout reached" in server.log()


def test_a_second_signal_exits_at_once(server: ServerProcess) -> None:
    with RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        client.receive_close()  # the stop has begun and waits for our close frame
        server.signal(signal.SIGTERM)
        assert server.wait() == 1


def test_new_connections_are_refused_while_stopping(server: ServerProcess) -> None:
    with RawWebSocket(server.port) as client:
        client.connect()
        server.signal(signal.SIGTERM)
        client.receive_close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=20)


def test_the_pid_file_is_there_while_it_runs(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with ServerProcess(tmp_path, {"pid_file": str(pid_file)}) as server:
        assert int(pid_file.read_text()) == server.pid
        assert pid_file.stat().st_mode & 0o777 == 0o600
    assert not pid_file.exists()


def test_a_port_in_use_is_a_clear_error(server: ServerProcess, tmp_path: Path) -> None:
    config = tmp_path / "second.json"
    config.write_text(json.dumps({"http_server": {"port": server.port, "address": "127.0.0.1"}}))
    ended = subprocess.run(
        [sys.executable, "-m", "centrifast", "-c", str(config)], capture_output=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert b"already in use" in ended.stderr


def test_two_processes_may_share_a_port_if_told_so(tmp_path: Path) -> None:
    shared = {"http_server": {"reuse_port": True}}
    with ServerProcess(tmp_path, shared) as first:
        second = ServerProcess(tmp_path, shared)
        second.port = second.config["http_server"]["port"] = first.port
        with second:
            uids = set()
            for _ in range(20_000):  # the second one may still be starting
                uids.add(first.api("info")["result"]["nodes"][0]["uid"])
                if len(uids) == 2:
                    break
            assert len(uids) == 2


def test_the_soft_descriptor_limit_is_raised_and_named(server: ServerProcess) -> None:
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    match = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
    assert match is not None
    assert match[1] == match[2]
    eventually(lambda: "descriptor limit" in server.log(), "a line about it")


def test_out_of_descriptors_existing_connections_are_served_and_new_ones_get_503(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, descriptors=200) as server, ExitStack() as stack:
        client = stack.enter_context(RawWebSocket(server.port))
        client.connect()
        client.subscribe("news")
        others: list[socket.socket] = []
        refused = 0
        for _ in range(300):
            other = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            other.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = other.recv(4096)
            if answer.startswith(b"HTTP/1.1 503"):
                refused += 1
                assert b"connection: close" in answer.lower()
                other.close()
            else:
                assert answer.startswith(b"HTTP/1.1 200")
                others.append(other)
        assert refused > 100
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        assert client.command(rpc={"method": "x"})["error"]["code"] == 108
        for other in others:
            other.close()
        for _ in range(1000):  # until the server has noticed
            if server.get("/health")[0] == 200:
                break
        server.publish("news", "still here")
        assert client.push()["pub"]["data"] == "still here"
        assert sum(process.cpu_times()[:2]) - before < 5, "it spins"
        refusals = "connections refused: out of descriptors"
        assert eventually(lambda: server.log().count(refusals), "a line about it") == 1


def test_ipv6_is_served_on_the_same_port(server: ServerProcess) -> None:
    with RawWebSocket(server.port, host="::1") as client:
        assert client.connect()["pong"] is True


def test_tls_serves_the_same_protocol(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    internal_port = free_port()
    changes = {
        "http_server": {
            "tls": {"enabled": True, "cert_pem": str(certificate), "key_pem": str(key)},
            "tls_external": True,
            "internal_port": internal_port,
        }
    }
    server = ServerProcess(tmp_path, changes)
    external_port, server.port = (
        server.port,
        internal_port,
    )  # the API and health are plain on the internal one
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        server,
        RawWebSocket(external_port, tls=context) as client,
        RawWebSocket(external_port, tls=context) as other,
    ):
        assert client.connect()["ping"] == 25
        client.subscribe("news")
        other.connect()
        other.subscribe("news")
        payload = {"text": "x" * 100_000}
        for _ in range(30):
            server.publish("news", payload)
        for receiver in (client, other):
            assert [receiver.push()["pub"]["data"] for _ in range(30)] == [payload] * 30
        client.send_frame(9, b"hello")
        received = client.receive()
        assert received is not None
        assert (received.opcode, received.payload) == (10, b"hello")
        with socket.create_connection(("127.0.0.1", external_port), timeout=20) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1" not in plain.recv(4096)


def test_internal_endpoints_move_with_the_internal_port(tmp_path: Path) -> None:
    internal_port = free_port()
    server = ServerProcess(tmp_path, {"http_server": {"internal_port": internal_port}})
    external_port, server.port = server.port, internal_port
    with server:
        assert server.get("/health") == (200, b"{}")
        assert server.api("info")["result"]["nodes"][0]["num_clients"] == 0
        assert server.get("/connection/websocket")[0] == 404
        server.port = external_port
        assert server.get("/health")[0] == 404
        with RawWebSocket(external_port) as client:
            client.connect()
        server.port = internal_port


def test_each_unknown_key_is_a_warning_and_an_error_with_strict(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"clinet": {}, "channel": {"name_spaces": []}}) as server:
        lines = [line for line in server.log().splitlines() if "unknown key" in line]
    assert len(lines) == 2
    assert all("did you mean" in line for line in lines)
    assert "channel.name_spaces" in lines[0]
    assert "clinet" in lines[1]
    config = tmp_path / "strict.json"
    config.write_text(json.dumps({**BASE_CONFIG, "clinet": {}}))
    ended = subprocess.run(
        [sys.executable, "-m", "centrifast", "-c", str(config), "--strict"],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ},
    )
    assert ended.returncode == 1
    assert b"clinet" in ended.stderr
