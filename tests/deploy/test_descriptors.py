"""No descriptors left, in the real daemon: who is connected goes on, who comes is told, and it passes."""

import http.client
import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from centrifast.transports.front_door import REFUSAL_LOG_PERIOD
from tests.deploy.conftest import Launch
from tests.raw_websocket import RawWebSocket
from tests.server_process import ServerProcess

HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
SHORTAGE = "connections can not be accepted"


def exchange(port: int, stack: ExitStack) -> bytes:
    """Connect, ask, and stay; the answer."""
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
    client.sendall(HEALTH)
    return client.recv(4096)


def fill(port: int, stack: ExitStack) -> None:
    """Take every descriptor that the server gives away."""
    for _ in range(1000):
        if exchange(port, stack).startswith(b"HTTP/1.1 503"):
            return
    raise AssertionError("it never has enough")


def test_who_comes_too_late_is_told_and_comes_in_when_others_leave(
    tmp_path: Path, launch: Launch, channel: str
) -> None:
    with ServerProcess(tmp_path, descriptors=100) as server, ExitStack() as stack:
        began = time.monotonic()
        inside = launch(server.url)
        inside.connect()
        inside.subscribe(channel)
        api = stack.enter_context(KeptApi(server.port))
        crowd = stack.enter_context(ExitStack())
        fill(server.port, crowd)
        with ExitStack() as late:
            answer = exchange(server.port, late)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 503 Service Unavailable", b"Service Unavailable")
        assert b"Retry-After: " in head
        with RawWebSocket(server.port) as refused:
            assert refused.status == 503
        outside = launch(server.url)
        outside.command("connect")
        outside.wait("error")
        api.publish(channel, "in the crowd")
        inside.wait("publication", data="in the crowd")
        crowd.close()
        outside.wait("connected")
        outside.subscribe(channel)
        api.publish(channel, "after it")
        for client in (inside, outside):
            client.wait("publication", data="after it")
        inside.refuse("connected", "error")
        lines = [line for line in server.log().splitlines() if "connections refused" in line]
        assert 1 <= len(lines) <= 1 + (time.monotonic() - began) / REFUSAL_LOG_PERIOD
        assert json.loads(lines[0])["level"] == "warn"
        assert "LimitNOFILE" in json.loads(lines[0])["hint"]


class KeptApi:
    """The API on a connection that is open already. Use as a context manager."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __enter__(self) -> "KeptApi":
        self.publish("nobody", None)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def publish(self, channel: str, data: object) -> None:
        """Publish and demand success."""
        body = json.dumps({"channel": channel, "data": data})
        self._connection.request("POST", "/api/publish", body, {"X-API-Key": "key"})
        response = self._connection.getresponse()
        assert (response.status, response.read()) == (200, b'{"result":{}}')


@contextmanager
def no_descriptor_for(pid: int) -> Iterator[None]:
    """Inside, the process gets no further descriptor: its limit is below the first that it does not use."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    first_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_an_accept_that_fails_does_no_harm(tmp_path: Path, launch: Launch, channel: str) -> None:
    with ServerProcess(tmp_path) as server, ExitStack() as stack:
        client = launch(server.url)
        client.connect()
        client.subscribe(channel)
        api = stack.enter_context(KeptApi(server.port))
        began = time.monotonic()
        with no_descriptor_for(server.pid):
            for number in range(20):  # each waits for a pause of the server to pass
                with ExitStack() as late:
                    answer = exchange(server.port, late)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"Retry-After: " in answer
                api.publish(channel, number)
                client.wait("publication", data=number)
            waiting = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            lines = [json.loads(line) for line in server.log().splitlines() if SHORTAGE in line]
            assert 1 <= len(lines) <= time.monotonic() - began + 1
            assert {line["level"] for line in lines} == {"warn"}
        waiting.sendall(HEALTH)
        assert waiting.recv(4096).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 "))
        with RawWebSocket(server.port) as another:
            another.connect()
        client.refuse("connected", "error")
        assert server.stop() == 0


@pytest.mark.parametrize("limit", [48, 64])
def test_a_very_low_limit_leaves_room_for_some(tmp_path: Path, limit: int) -> None:
    with ServerProcess(tmp_path, descriptors=limit) as server, ExitStack() as stack:
        first = stack.enter_context(RawWebSocket(server.port))
        first.connect()
        fill(server.port, stack)
        assert first.command(rpc={"method": "x"})["error"]["code"] == 108
        assert server.stop() == 0
