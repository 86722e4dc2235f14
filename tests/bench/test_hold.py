"""The C client behind the benchmark of two workers: it reads when it is told to, and counts what is there."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import _harness as harness
from tests.bench.test_storm import CONNECTED, SUBSCRIBED, Peer

PUBLICATION = '{"push":{"channel":"bench","pub":{"data":{"p":"@xx"}}}}'


class Hold:
    """The program at work with two connections, against a server that the test plays."""

    def __init__(self, process: subprocess.Popen[bytes], listener: socket.socket) -> None:
        self._process = process
        self.peers = [self._enter(listener) for _ in range(2)]
        self._api, _ = listener.accept()
        self._api.settimeout(20)

    def _enter(self, listener: socket.socket) -> Peer:
        peer = Peer(listener)
        peer.send(CONNECTED % "x", SUBSCRIBED)
        return peer

    def hear(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self._process.stdout is not None
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def take_publication(self) -> bytes:
        """Let one in; what was posted."""
        request = b""
        while not request.endswith(b"BODY"):
            request += self._api.recv(4096)
        self._api.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        return request

    def close(self) -> None:
        self._api.close()
        for peer in self.peers:
            peer.close()


@contextmanager
def holding(*options: str) -> Iterator[Hold]:
    """Run it until it has told its ports; it watches its second connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = str(listener.getsockname()[1])
        command = [
            str(harness.build_c("hold")),
            "-n",
            "2",
            "-t",
            "30",
            "-k",
            "secret",
            *options,
            "BODY",
            port,
        ]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
            run = Hold(process, listener)
            try:
                ports = run.hear()["local_ports"]
                assert ports == [peer.remote_port for peer in run.peers]
                run.say(str(ports[1]))
                assert b"X-API-Key: secret" in run.take_publication()
                for peer in run.peers:
                    peer.send(PUBLICATION)
                assert run.hear() == {"watched": 1}
                yield run
            finally:
                run.close()


def test_it_publishes_when_the_watched_have_the_message_before_and_counts_all() -> None:
    with holding("-m", "2") as run:
        first, watched = run.peers
        run.say("go")
        for _ in range(2):
            run.take_publication()
            watched.send(PUBLICATION)
        times = run.hear()
        assert 0 < times["message_seconds"] <= times["seconds"]
        first.send(PUBLICATION, PUBLICATION)
        run.say("read")
        assert run.hear() == {"delivered": 4}


def test_back_to_back_it_waits_for_answers_only() -> None:
    with holding("-m", "3", "-b") as run:
        first, watched = run.peers
        run.say("go")
        for _ in range(3):
            run.take_publication()
        for peer in (first, watched):
            peer.send(PUBLICATION, PUBLICATION, PUBLICATION)
        assert run.hear()["message_seconds"] == 0
        run.say("read")
        assert run.hear() == {"delivered": 6}


def test_what_is_lost_or_doubled_shows() -> None:
    for copies in (0, 2):
        with holding("-m", "1") as run:
            first, watched = run.peers
            run.say("go")
            run.take_publication()
            watched.send(PUBLICATION)
            run.hear()
            if copies:
                first.send(*[PUBLICATION] * copies)
            run.say("read")
            assert run.hear() == {"delivered": 1 + copies}
