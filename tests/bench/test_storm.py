"""The C client behind the benchmarks of recovery and presence: it must notice whatever a server does wrong."""

import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from bench import _harness as harness
from tests.raw_websocket import CLOSE, PING, PONG, TEXT, frame

EPOCH = "abcdefgh"
CONNECTED = '{"id":1,"connect":{"client":"%s","version":"0"}}'
SUBSCRIBED = '{"id":2,"subscribe":{}}'
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Peer:
    """The server's side of one connection, after the upgrade; *commands* is what the client sent first."""

    def __init__(self, listener: socket.socket) -> None:
        self._socket, _ = listener.accept()
        self._socket.settimeout(20)
        self._received = b""
        self.request = self._read_until(b"\r\n\r\n")
        self._socket.sendall(UPGRADED)
        opcode, self.commands = self.receive()
        assert opcode == TEXT

    @property
    def remote_port(self) -> int:
        """The client's."""
        return int(self._socket.getpeername()[1])

    def send(self, *messages: str) -> None:
        """One text frame."""
        self.send_bytes(frame(TEXT, "\n".join(messages).encode(), masked=False))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of a small frame."""
        head = self._read(2)
        size = head[1] & 0x7F
        if size == 126:
            size = int.from_bytes(self._read(2), "big")
        mask = self._read(4)
        payload = self._read(size)
        return head[0] & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def is_closed(self) -> bool:
        """Whether the client has gone; waits for something to happen."""
        return not self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            data = self._socket.recv(65536)
            assert data, "the client has gone"
            self._received += data
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._received += self._socket.recv(65536)
        return self._read(self._received.index(end) + len(end))


class Storm:
    """The program at work against peers that the test plays."""

    def __init__(self, process: subprocess.Popen[bytes], peers: Sequence[Peer]) -> None:
        self._process = process
        self.peers = peers

    def result(self) -> dict[str, Any]:
        """The line it prints."""
        assert self._process.stdout is not None
        figures: dict[str, Any] = json.loads(self._process.stdout.readline())
        return figures

    def end(self) -> int:
        """Close its input; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(20)


@contextmanager
def storm(mode: str, connections: int, *options: str) -> Iterator[Storm]:
    """Run it until all its connections have sent their commands."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = str(listener.getsockname()[1])
        command = [str(harness.build_c("storm")), "-n", str(connections), "-t", "30", *options, mode, port]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
            peers = [Peer(listener) for _ in range(connections)]
            try:
                yield Storm(process, peers)
            finally:
                for peer in peers:
                    peer.close()


def recovery(offsets: Sequence[int], *, recovered: bool = True, epoch: str = EPOCH) -> str:
    """A subscribe reply to a client at offset 3."""
    publications = [{"data": {"p": "x"}, "offset": offset} for offset in offsets]
    result: dict[str, object] = {"recoverable": True, "epoch": epoch, "publications": publications}
    result |= {"recovered": True, "offset": 3} if recovered else {"offset": 6}
    return json.dumps({"id": 2, "subscribe": {**result, "was_recovering": True}}, separators=(",", ":"))


def recovering(*, live: int = 0) -> AbstractContextManager[Storm]:
    """One client, which missed 4, 5 and 6; after that *live* more are made."""
    return storm("recover", 1, "-c", "news", "-o", "3", "-e", EPOCH, "-m", "3", "-l", str(live))


def publication(offset: int) -> str:
    push = {"channel": "news", "pub": {"data": {"p": "x"}, "offset": offset}}
    return json.dumps({"push": push}, separators=(",", ":"))


def join(client: str) -> str:
    info = {"user": "", "client": client}
    return json.dumps({"push": {"channel": "bench", "join": {"info": info}}}, separators=(",", ":"))


def enter(run: Storm) -> None:
    """Answer everybody, who are called a, b, c."""
    for name, peer in zip("abc", run.peers, strict=False):
        peer.send(CONNECTED % name, SUBSCRIBED)


# ------------------------------------------------------------------ recovery


def test_it_asks_for_what_it_missed() -> None:
    with recovering() as run:
        connect, subscribe = (json.loads(line) for line in run.peers[0].commands.split(b"\n"))
    assert connect == {"id": 1, "connect": {}}
    asked = {"channel": "news", "recover": True, "offset": 3, "epoch": EPOCH, "flag": 1}
    assert subscribe == {"id": 2, "subscribe": asked}


def test_every_publication_once_and_in_order_is_complete() -> None:
    with recovering() as run:
        run.peers[0].send(CONNECTED % "a", recovery([4, 5, 6]))
        figures = run.result()
        assert run.end() == 0
    assert (figures["complete"], figures["entered"], figures["publications"]) == (True, 1, 3)


@pytest.mark.parametrize(
    "reply",
    [
        recovery([4, 5]),
        recovery([5, 6]),
        recovery([4, 6]),
        recovery([4, 5, 5, 6]),
        recovery([4, 6, 5]),
        recovery([4, 5, 6, 7]),
        recovery([]),
        recovery([4, 5, 6], recovered=False),
        recovery([4, 5, 6], epoch="other"),
        '{"id":2,"error":{"code":112,"message":"unrecoverable position"}}',
        "nonsense",
    ],
)
def test_a_wrong_recovery_is_a_failure(reply: str) -> None:
    with recovering() as run:
        run.peers[0].send(CONNECTED % "a", reply)
        figures = run.result()
        assert run.end() == 1
    assert (figures["complete"], figures["failures"]) == (False, 1)


@pytest.mark.parametrize("recovered", [3, 4, 5])
def test_what_is_published_meanwhile_comes_in_the_reply_or_after_it(recovered: int) -> None:
    offsets = range(4, 9)
    with recovering(live=2) as run:
        run.peers[0].send(CONNECTED % "a", recovery(offsets[:recovered]))
        run.peers[0].send(*map(publication, offsets[recovered:]), "{}")
        figures = run.result()
        assert run.end() == 0
    assert (figures["complete"], figures["publications"]) == (True, 5)


@pytest.mark.parametrize("offset", [6, 8])
def test_a_publication_twice_or_one_lost_is_a_failure(offset: int) -> None:
    with recovering(live=2) as run:
        run.peers[0].send(CONNECTED % "a", recovery([4, 5, 6]), publication(offset))
        assert run.result()["failures"] == 1


def test_a_publication_before_the_subscribe_reply_is_a_failure() -> None:
    with recovering(live=1) as run:
        run.peers[0].send(CONNECTED % "a", publication(7), recovery([4, 5, 6]))
        assert run.result()["failures"] == 1


def test_replies_may_arrive_in_pieces() -> None:
    text = f"{CONNECTED % 'a'}\n{recovery([4, 5, 6])}".encode()
    with recovering() as run:
        for byte in frame(TEXT, text, masked=False):
            run.peers[0].send_bytes(bytes([byte]))
        assert run.result()["complete"]


@pytest.mark.parametrize(
    "data",
    [
        frame(CLOSE, b"\x0d\xad", masked=False),
        frame(TEXT, b"{}", masked=True),
        frame(TEXT, b"{}", fin=False, masked=False),
        frame(TEXT, b"{}", rsv=4, masked=False),
    ],
)
def test_a_close_frame_or_a_wrong_one_is_a_failure(data: bytes) -> None:
    with recovering() as run:
        run.peers[0].send_bytes(data)
        assert run.result()["failures"] == 1


def test_a_lost_connection_is_a_failure() -> None:
    with recovering() as run:
        run.peers[0].close()
        assert run.result()["failures"] == 1


# ------------------------------------------------------------------ joins


def test_everybody_sees_those_who_enter_later_and_itself() -> None:
    with storm("joins", 3) as run:
        enter(run)
        first, second, third = run.peers
        first.send(join("a"), join("b"))
        first.send(join("c"))
        second.send(join("b"), join("c"))
        third.send(join("c"))
        figures = run.result()
        assert run.end() == 0
    assert (figures["complete"], figures["joins"]) == (True, 6)


def test_as_many_joins_as_expected_but_not_the_right_ones() -> None:
    with storm("joins", 3) as run:
        enter(run)
        for peer, seen in zip(run.peers, ("ab", "bc", "cb"), strict=True):
            peer.send(*map(join, seen))
        figures = run.result()
        assert run.end() == 1
    assert (figures["complete"], figures["joins"], figures["failures"]) == (False, 6, 0)


def test_who_does_not_see_its_own_join() -> None:
    with storm("joins", 2) as run:
        enter(run)
        for peer, seen in zip(run.peers, ("ab", "a"), strict=True):
            peer.send(*map(join, seen))
        assert not run.result()["complete"]


@pytest.mark.parametrize("seen", ["aa", "x"])
def test_a_join_twice_or_of_a_stranger_is_a_failure(seen: str) -> None:
    with storm("joins", 1) as run:
        enter(run)
        run.peers[0].send(*map(join, seen))
        assert run.result()["failures"] == 1


def test_a_join_before_the_subscribe_reply_is_a_failure() -> None:
    with storm("joins", 1) as run:
        run.peers[0].send(CONNECTED % "a", join("a"), SUBSCRIBED)
        assert run.result()["failures"] == 1


# ------------------------------------------------------------------ afterwards


def test_connections_stay_and_answer_pings_until_its_input_ends() -> None:
    with storm("subscribe", 1) as run:
        enter(run)
        assert run.result()["complete"]
        run.peers[0].send("{}")
        assert run.peers[0].receive() == (TEXT, b"{}")
        run.peers[0].send_bytes(frame(PING, b"hello", masked=False))
        assert run.peers[0].receive() == (PONG, b"hello")
        assert run.end() == 0
        assert run.peers[0].is_closed()
