"""Workers and supervisors that die, hang or are replaced, and clients that lose nothing by it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from centrifast.protocol.wire import Encoding
from tests.integration.daemon import WAIT, eventually
from tests.integration.test_recovery_burst import (
    CHANNELS,
    CONFIG,
    PUBLICATIONS,
    Listener,
    Publisher,
    Streams,
)
from tests.integration.test_workers import ROOMS
from tests.integration.workers import WorkersDaemon, gone, is_free

CLIENTS, ROUNDS = 300, 60
DEATHS = (15, 35)
"""Rounds in which a worker is killed."""

TIME_LIMIT = 50.0
"""Seconds after which something is wrong; it takes a few."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WorkersDaemon]:
    with WorkersDaemon(tmp_path, ROOMS) as running:
        yield running


# ------------------------------------------------------------------ a worker dies


class Survivor(Listener):
    """Comes back whenever its connection is lost."""

    returns = 0
    """Times anybody came back."""

    _task: asyncio.Task[None] | None = None
    _is_done = False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_done:
            self._task = asyncio.get_running_loop().create_task(self._return())

    async def connect(self) -> None:
        while True:
            try:
                await super().connect()
            except ConnectionError:  # its share of the port was that of the dead
                await asyncio.sleep(0)
            else:
                return

    async def _return(self) -> None:
        Survivor.returns += 1
        self.drop()
        await self.connect()

    def end(self) -> None:
        """Leave for good."""
        self._is_done = True
        self.drop()
        if self._task is not None:
            self._task.cancel()


async def survive(server: WorkersDaemon) -> None:
    """Workers are killed while it is published; in the end everybody is at the end."""
    Survivor.returns = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    publisher = Publisher(reader, writer)
    its_worker = await asyncio.to_thread(owner_of, server, writer.get_extra_info("socket"))
    streams = Streams()
    listeners = [
        Survivor(
            streams,
            server.port,
            CHANNELS[number % 4],
            Encoding.JSON if number % 8 < 4 else Encoding.PROTOBUF,
            from_beginning=number % 16 < 8,
        )
        for number in range(CLIENTS)
    ]
    try:
        for number in range(ROUNDS):
            share = listeners[number * CLIENTS // ROUNDS : (number + 1) * CLIENTS // ROUNDS]
            await asyncio.gather(
                publisher.publish(PUBLICATIONS // ROUNDS), *(listener.connect() for listener in share)
            )
            if number in DEATHS:
                victim = next(pid for pid in server.pids() if pid != its_worker)
                os.kill(victim, signal.SIGKILL)
        await asyncio.gather(*(listener.is_at_end for listener in listeners))
        assert Survivor.returns > 0
    finally:
        for listener in listeners:
            listener.end()
        publisher.close()


def owner_of(server: WorkersDaemon, connected: socket.socket) -> int:
    class Known:
        socket = connected

    return server.pid_of(Known())


def test_when_workers_are_killed_nobody_misses_any_or_gets_one_twice(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, CONFIG) as server:
        asyncio.run(asyncio.wait_for(survive(server), TIME_LIMIT))
        deaths = eventually(
            lambda: len(found := server.events("worker ended, another one is started")) == 2 and found,
            "both deaths",
        )
        assert [event["reason"] for event in deaths] == ["SIGKILL", "SIGKILL"]
        eventually(lambda: len(server.events("worker serves")) == 5, "new workers")
        assert "Traceback" not in server.log()


def test_clients_of_a_dead_worker_leave_at_once(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack)
        (victim, lost), (_, watching), _ = clients.items()
        for client in (watching, lost):
            client.subscribe("room:1")
        assert ["join" in watching.push() for _ in range(2)] == [True, True]
        os.kill(victim, signal.SIGKILL)
        assert "leave" in watching.push()
        eventually(lambda: len(server.events("worker serves")) == 4, "a new worker")
        for api in server.apis(stack).values():
            assert len(api.call("presence", channel="room:1")["presence"]) == 1


def test_a_worker_that_is_told_to_stop_is_followed_by_another(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        pid, client = next(iter(server.clients(stack).items()))
        os.kill(pid, signal.SIGTERM)
        received = client.receive_close()
        assert received.close_code == 3001
        client.send_frame(8, received.payload[:2])
        event = server.event("worker ended, another one is started")
        assert event["reason"] == "exit code 0"
        eventually(lambda: len(server.events("worker serves")) == 4, "a new worker")


def test_a_worker_that_hangs_is_replaced(server: WorkersDaemon) -> None:
    (pid, *_) = server.pids()
    os.kill(pid, signal.SIGSTOP)
    server.event("worker does not answer, it is killed")
    event = server.event("worker ended, another one is started")
    assert event["reason"] in ("SIGKILL", "SIGABRT")  # a stopped process heeds only the first
    eventually(lambda: len(server.events("worker serves")) == 4, "a new worker")
    assert gone([pid])
    server.publish("room:1", {})


# ------------------------------------------------------------------ the supervisor dies


def test_without_a_supervisor_workers_tell_their_clients_and_end(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients, pids = server.clients(stack), server.pids()
        os.kill(server.pid, signal.SIGKILL)
        for client in clients.values():
            received = client.receive_close()
            assert (received.close_code, received.payload[2:]) == (3001, b"shutdown")
        # No client answers its close frame: they end all the same.
        eventually(lambda: gone(pids), "the end of the workers")
        eventually(lambda: is_free(server.port), "the port")
        assert server.wait() == -signal.SIGKILL


# ------------------------------------------------------------------ replacing


class Connector(threading.Thread):
    """Comes and asks without a pause, and notes whom the port did not take."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._is_enough = threading.Event()
        self.answered = 0
        self.refused: list[OSError] = []

    def run(self) -> None:
        while not self._is_enough.is_set():
            try:
                peer = socket.create_connection(("127.0.0.1", self._port), timeout=WAIT)
            except OSError as error:
                self.refused.append(error)
                continue
            with peer:
                try:
                    peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    self.answered += peer.recv(100).startswith(b"HTTP/1.1 200")
                except ConnectionError:  # accepted by one that was just about to leave
                    continue

    def stop(self) -> None:
        self._is_enough.set()
        self.join(WAIT)


def test_workers_are_replaced_one_by_one_and_the_port_never_closes(server: WorkersDaemon) -> None:
    old = server.pids()
    connector = Connector(server.port)
    connector.start()
    try:
        with ExitStack() as stack:
            clients = server.clients(stack, timeout=2 * WAIT)
            epoch = server.publish("room:1", 0)["epoch"]
            server.signal(signal.SIGUSR2)
            for _, client in sorted(clients.items()):  # in the order in which they are replaced
                received = client.receive_close()
                assert received.close_code == 3001
                client.send_frame(8, received.payload[:2])
            server.event("workers replaced")
            for client in server.clients(stack).values():
                assert client.subscribe("room:1", recover=True, epoch=epoch, offset=0)["recovered"]
    finally:
        connector.stop()
    assert connector.refused == []
    assert connector.answered > 0
    assert gone(old)
    assert len(server.pids()) == 3
    assert server.events("worker ended, another one is started") == []


def test_a_replacement_has_what_needs_a_restart(server: WorkersDaemon) -> None:
    server.write_config({"http_api": {"key": "another"}, "http_server": {"port": 1}, "workers": 1})
    server.signal(signal.SIGUSR2)
    assert server.event("workers replaced")["changed"] == "http_api.key"
    with pytest.raises(AssertionError, match="401"):
        server.api("info")
    assert len(server.pids()) == 3


def test_the_command_replaces_them(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with WorkersDaemon(tmp_path, {"pid_file": str(pid_file)}, workers=2) as server:
        old = server.pids()
        command = [sys.executable, "-m", "centrifast", "restart", "-c", str(server.config_file)]
        subprocess.run(command, check=True, timeout=WAIT, stdout=subprocess.DEVNULL)
        server.event("workers replaced")
        assert not set(old) & set(server.pids())
        assert int(pid_file.read_text()) == server.pid


def test_a_bad_file_replaces_nobody(server: WorkersDaemon) -> None:
    old = server.pids()
    server.config_file.write_text("{")
    server.signal(signal.SIGUSR2)
    assert "cannot be read" in server.event("workers are not replaced")["error"]
    server.write_config({"http_server": {"tls": {"enabled": True, "cert_pem": "x", "key_pem": "x"}}})
    server.signal(signal.SIGUSR2)
    eventually(lambda: len(server.events("workers are not replaced")) == 2, "a second refusal")
    assert server.pids() == old


def test_a_worker_that_can_not_start_leaves_the_old_ones(server: WorkersDaemon) -> None:
    old = server.pids()
    pem = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
    server.write_config({"http_server": {"tls": {"enabled": True, "cert_pem": pem, "key_pem": pem}}})
    server.signal(signal.SIGUSR2)
    event = server.event("workers could not be replaced, the rest stays as it is")
    assert "worker 1 could not be replaced: http_server.tls can not be used" in event["error"]
    assert server.pids() == old
    os.kill(old[0], signal.SIGKILL)
    eventually(lambda: len(server.events("worker serves")) == 4, "a new worker as the old ones are")
    server.publish("room:1", {})


def test_a_stop_while_workers_are_replaced_ends_all(server: WorkersDaemon) -> None:
    with ExitStack() as stack:
        clients = server.clients(stack)
        server.signal(signal.SIGUSR2)
        server.event("replacing workers")
        server.signal(signal.SIGTERM)
        for client in clients.values():
            received = client.receive_close()
            client.send_frame(8, received.payload[:2])
        assert server.wait() == 0
