"""One node of several workers: that nobody can tell, whichever worker they are at."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from centrifast.workers.count import worker_count
from tests.integration.daemon import WAIT, eventually
from tests.integration.test_systemd import Manager
from tests.integration.workers import WorkersDaemon, gone
from tests.raw_websocket import RawWebSocket
from tests.server_process import free_port

ROOM = {
    "name": "room",
    "presence": True,
    "join_leave": True,
    "force_push_join_leave": True,
    "history_size": 100,
    "history_ttl": "300s",
    "force_recovery": True,
    "allow_subscribe_for_client": True,
    "allow_subscribe_for_anonymous": True,
    "allow_presence_for_subscriber": True,
    "allow_presence_for_anonymous": True,
}
ROOMS = {"channel": {"namespaces": [ROOM]}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WorkersDaemon]:
    with WorkersDaemon(tmp_path, ROOMS) as running:
        yield running


# ------------------------------------------------------------------ one node


def test_clients_are_spread_and_everybody_gets_what_is_published_anywhere(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack)
        apis = server.apis(stack)
        assert len(clients) == len(apis) == 3
        for client in clients.values():
            client.subscribe("news")
        for number, api in enumerate(apis.values()):
            api.call("publish", channel="news", data=number)
        for client in clients.values():
            assert [client.push()["pub"]["data"] for _ in apis] == [0, 1, 2]


def test_history_and_presence_are_the_same_from_every_worker(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack)
        apis = server.apis(stack)
        for number, client in enumerate(clients.values()):
            client.subscribe("room:1")
            for earlier in list(clients.values())[: number + 1]:
                assert "join" in earlier.push()
        positions = [
            api.call("publish", channel="room:1", data=number) for number, api in enumerate(apis.values())
        ]
        assert [position["offset"] for position in positions] == [1, 2, 3]
        assert len({position["epoch"] for position in positions}) == 1
        histories = [api.call("history", channel="room:1", limit=-1) for api in apis.values()]
        assert [pub["data"] for pub in histories[0]["publications"]] == [0, 1, 2]
        assert histories == [histories[0]] * 3
        presences = [api.call("presence", channel="room:1")["presence"] for api in apis.values()]
        assert len(presences[0]) == 3
        assert presences == [presences[0]] * 3
        assert clients.popitem()[1].command(presence={"channel": "room:1"})["presence"]["presence"]


def test_what_was_missed_is_recovered_at_any_worker(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack).values()
        epoch = server.publish("room:1", 0)["epoch"]
        for number in range(1, 5):
            server.publish("room:1", number)
        for client in clients:
            result = client.subscribe("room:1", recover=True, epoch=epoch, offset=2)
            assert result["recovered"]
            assert [pub["data"] for pub in result["publications"]] == [2, 3, 4]


def test_workers_have_names_of_their_own(server: WorkersDaemon) -> None:
    nodes = server.api("info")["result"]["nodes"]
    assert len({node["uid"] for node in nodes}) == len(nodes)
    assert all(node["name"][-2:] in ("_1", "_2", "_3") for node in nodes)


def test_auto_is_what_this_machine_allows(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, workers="auto") as server:
        expected = worker_count("auto")
        assert len(server.pids()) == (expected if expected > 1 else 0)


def test_one_worker_is_one_process(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, workers=1) as server:
        assert server.pids() == []
        assert server.events("starting workers") == []


# ------------------------------------------------------------------ start


def run(folder: Path, config: dict[str, object], *arguments: str) -> tuple[int, list[dict[str, str]]]:
    """Exit code and events of a daemon that ends by itself."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    ended = subprocess.run(
        [sys.executable, "-m", "centrifast", "-c", str(path), *arguments],
        capture_output=True,
        cwd=folder,
        timeout=2 * WAIT,
        check=False,
    )
    return ended.returncode, [json.loads(line) for line in ended.stderr.splitlines() if line[:1] == b"{"]


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_in_use_ends_with_1(tmp_path: Path, shared: bool) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        http_server = {"address": "127.0.0.1", "port": taken.getsockname()[1]}
        code, events = run(tmp_path, {"http_server": http_server, "pid_file": "pid"}, "--workers", "2")
    assert code == 1
    assert events[-1]["level"] == "fatal"
    assert "already in use" in events[-1]["error"]
    assert not (tmp_path / "pid").exists()


def test_a_certificate_that_can_not_be_used_ends_with_1_and_says_so(tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
    http_server = {"port": free_port(), "tls": {"enabled": True, "cert_pem": pem, "key_pem": pem}}
    code, events = run(tmp_path, {"http_server": http_server}, "--workers", "2")
    assert code == 1
    fatal = [event for event in events if event["level"] == "fatal"]
    assert len(fatal) == 1
    assert "no worker can be started" in fatal[0]["error"]
    assert "http_server.tls can not be used" in fatal[0]["error"]


def test_keys_that_can_not_be_used_end_it_before_any_worker_starts(tmp_path: Path) -> None:
    token = {"rsa_public_key": "-----BEGIN PUBLIC KEY-----\nnone\n-----END PUBLIC KEY-----\n"}
    code, events = run(tmp_path, {"client": {"token": token}, "workers": 2})
    assert code == 1
    assert "rsa_public_key" in events[-1]["error"]
    assert all(event["message"] != "starting workers" for event in events)


def test_the_start_is_told_once(server: WorkersDaemon) -> None:
    events = server.events()
    for message in ("starting centrifast", "engine", "enabled token algorithms", "descriptor limit"):
        assert [event.get("worker") for event in events if event["message"] == message] == [None]
    assert sum(event["message"].startswith("serving ") for event in events) == 1
    assert sorted(event["worker"] for event in server.events("worker serves")) == [1, 2, 3]


# ------------------------------------------------------------------ stop


def test_a_stop_tells_everybody_and_ends_with_0(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with WorkersDaemon(tmp_path, {**ROOMS, "pid_file": str(pid_file)}) as server, ExitStack() as stack:
        assert int(pid_file.read_text()) == server.pid
        clients, pids = server.clients(stack), server.pids()
        for client in clients.values():
            client.subscribe("news")
        for number in range(20):
            server.publish("news", number)
        server.signal(signal.SIGTERM)
        for client in clients.values():
            assert [client.push()["pub"]["data"] for _ in range(20)] == list(range(20))
            received = client.receive_close()
            assert (received.close_code, received.payload[2:]) == (3001, b"shutdown")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port), timeout=WAIT)
        for client in clients.values():
            client.send_frame(8, received.payload[:2])
        assert server.wait() == 0
        assert gone(pids)
        assert not pid_file.exists()


def test_the_stop_is_over_when_its_time_is(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, {"shutdown": {"timeout": "500ms"}}) as server, ExitStack() as stack:
        clients, pids = server.clients(stack), server.pids()
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
        assert gone(pids)
        assert server.event("shutdown timeout reached")["level"] == "fatal"
        assert all(client.receive_close().close_code == 3001 for client in clients.values())


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with WorkersDaemon(tmp_path, {"pid_file": str(pid_file)}) as server, ExitStack() as stack:
        clients, pids = server.clients(stack), server.pids()
        server.signal(signal.SIGTERM)
        for client in clients.values():
            client.receive_close()
        server.signal(signal.SIGTERM)
        assert server.wait() == 1
        assert gone(pids)
        assert not pid_file.exists()


def test_a_signal_to_the_whole_group_is_a_stop_like_any_other(server: WorkersDaemon) -> None:
    """As a terminal does with Ctrl-C, and systemd with KillMode=control-group."""
    with ExitStack() as stack:
        clients, pids = server.clients(stack), server.pids()
        for number in (signal.SIGINT, signal.SIGTERM):
            for pid in pids:
                os.kill(pid, number)
        server.signal(signal.SIGINT)
        for client in clients.values():
            received = client.receive_close()
            assert received.close_code == 3001
            client.send_frame(8, received.payload[:2])
        assert server.wait() == 0


def test_a_stop_while_workers_start_is_a_clean_one(tmp_path: Path) -> None:
    server = WorkersDaemon(tmp_path, answers=False)
    server.start()
    server.event("starting workers")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_ready_is_no_longer_said_once_a_worker_stops(server: WorkersDaemon) -> None:
    assert server.get("/health/ready") == (200, b"{}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as peer:
        peer.sendall(
            b"POST /health/ready HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        )
        assert peer.recv(1000).startswith(b"HTTP/1.1 100")
        server.signal(signal.SIGTERM)
        server.event("shutting down ...")
        eventually(lambda: is_refused(server.port), "the port to close")
        peer.sendall(b"x")
        assert peer.recv(1000).startswith(b"HTTP/1.1 503")


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WAIT).close()
    except ConnectionError:
        return True
    return False


# ------------------------------------------------------------------ reload


def test_all_workers_reload_or_none(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack)
        for client in clients.values():
            assert client.command(subscribe={"channel": "extra:1"})["error"]["code"] == 102
        extra = {"name": "extra", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
        good = json.dumps(server.config)
        server.config_file.write_text('{"client": {"ping_interval": "1s"}}')
        event = server.reload("configuration was not reloaded, the old one stays")
        assert (event["level"], event.get("worker")) == ("error", None)
        for client in clients.values():
            client.subscribe("room:1")
        server.config_file.write_text(good)
        server.write_config({"channel": {"namespaces": [ROOM, extra]}, "log": {"level": "info"}})
        event = server.reload()
        assert (event["changed"], event.get("worker")) == ("channel.namespaces", None)
        assert server.event("changed options need a restart")["options"] == "log.level"
        for client in clients.values():
            client.subscribe("extra:1")
        assert len(server.events("configuration reloaded")) == 1


def test_a_worker_that_follows_has_what_was_reloaded(server: WorkersDaemon) -> None:
    extra = {"name": "extra", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
    server.write_config({"channel": {"namespaces": [ROOM, extra]}})
    server.reload()
    for pid in server.pids():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(server.events("worker serves")) == 6, "new workers")
    with ExitStack() as stack:
        for client in server.clients(stack).values():
            client.subscribe("extra:1")


def test_all_write_to_one_log_file_also_after_it_was_moved(tmp_path: Path) -> None:
    path, moved = tmp_path / "server.log", tmp_path / "server.log.1"
    server = WorkersDaemon(tmp_path, {"log": {"file": str(path), "level": "debug"}}, answers=False)
    server.start()
    eventually(lambda: path.exists() and "serving websocket" in path.read_text(), "the start")
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.clients(stack)
        path.rename(moved)
        server.signal(signal.SIGHUP)
        eventually(lambda: path.exists() and "configuration reloaded" in path.read_text(), "the new file")
        server.clients(stack)

        def seen() -> bool:
            return {1, 2, 3} <= {event.get("worker", 0) for event in events_of(path)}

        eventually(seen, "lines of all workers")
        assert {1, 2, 3} <= {event.get("worker", 0) for event in events_of(moved)}
        assert server.log() == ""


def events_of(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()]


# ------------------------------------------------------------------ systemd


def test_systemd_hears_the_supervisor_alone(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}
    with manager.socket, WorkersDaemon(tmp_path, environ=environ) as server, ExitStack() as stack:
        ready = manager.told()
        assert ready == {"READY": "1", "STATUS": f"serving on :{server.port}"}
        for _ in range(3):
            assert manager.told() == {"WATCHDOG": "1"}
        for pid in server.pids():
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & psutil.Process(pid).environ().keys()
        clients = server.clients(stack)
        forget(manager)
        server.signal(signal.SIGHUP)
        assert "RELOADING" in manager.told_something_besides("WATCHDOG")
        assert manager.told_something_besides("WATCHDOG")["STATUS"] == "configuration reloaded"
        server.signal(signal.SIGTERM)
        assert "STOPPING" in manager.told_something_besides("WATCHDOG")
        for client in clients.values():
            client.receive_close()
        for _ in range(3):
            assert manager.told() == {"WATCHDOG": "1"}
        for client in clients.values():
            client.send_frame(8, b"\x0b\xb9")
        assert server.wait() == 0


def forget(manager: Manager) -> None:
    """Make room for what will be told: what finds none is lost."""
    manager.socket.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            manager.socket.recv(4096)
    manager.socket.settimeout(WAIT)


def test_sockets_that_were_passed_are_shared(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        early.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        server = WorkersDaemon(
            tmp_path, {"http_server": {"port": port}}, sockets=[listening.fileno()], answers=False
        )
        server.port = port
        with server, early:
            assert early.recv(4096).startswith(b"HTTP/1.1 200")
            eventually(server.is_serving, "all workers")
            assert len(server.pids()) == 3
            for _ in range(20):
                with RawWebSocket(port) as client:
                    client.connect()
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        with server:  # and again: systemd has kept it open
            assert server.get("/health")[0] == 200
