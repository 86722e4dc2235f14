"""Connections from their handshake to their end; every kind of frame is in ``tests/conformance``."""

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from centrifast._channel import Channel
from centrifast.errors import FORCE_DISCONNECT
from centrifast.limits import WEBSOCKET_CLOSE_TIMEOUT
from centrifast.transports._connection import Connection
from tests.core_fakes import say
from tests.in_process_server import ECHO_PATH, WAIT, InProcessServer
from tests.raw_websocket import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawWebSocket,
    frame,
)

CROWD = 30
LIMIT = 65536
MIB = 1024 * 1024
LATENESS = 0.1  # seconds by which the timing wheel may be late, doubled
NORMAL = Frame(CLOSE, b"\x03\xe8")


class Pipelining(RawWebSocket):
    """Sends its first frames together with the upgrade request."""

    def __init__(self, port: int, path: str, first: bytes) -> None:
        self._first = first
        super().__init__(port, path, timeout=WAIT)

    def send_bytes(self, data: bytes) -> None:
        super().send_bytes(data + self._first)
        self._first = b""


class Recorder:
    """A handler that keeps what it is told."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.told: list[Any] = []

    def on_message(self, payload: bytes, is_text: bool) -> None:
        self.told.append((payload, is_text))

    def on_sink_failed(self, reason: int) -> None:
        self.told.append(reason)

    def on_wake(self) -> None:
        self.told.append("wake")

    def on_closed(self) -> None:
        self.told.append("closed")


def say_goodbye(client: RawWebSocket) -> None:
    """The closing handshake, begun by the client."""
    client.send_frame(CLOSE, b"\x03\xe8")
    assert client.receive() == NORMAL
    assert client.receive() is None


def check_works(client: RawWebSocket) -> None:
    """An echo connection is in order."""
    client.send_text("still there")
    assert client.receive() == Frame(TEXT, b"still there")


def reset(client: RawWebSocket) -> None:
    """Drop the socket with a reset instead of an orderly end."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def half_close(client: RawWebSocket) -> None:
    client.socket.shutdown(socket.SHUT_WR)
    assert client.receive() is None
    client.socket.close()


def resident() -> int:
    """Memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# ----------------------------------------------------------------- handshake


def test_the_handshake_answers_the_key(server: InProcessServer) -> None:
    with server.client() as client:
        assert client.status == 101
        assert client.header("Sec-WebSocket-Accept") == ACCEPT
        assert client.header("Sec-WebSocket-Protocol") is None
        assert client.header("Sec-WebSocket-Extensions") is None


def test_the_subprotocol_is_echoed_and_decides_the_encoding(server: InProcessServer) -> None:
    with server.client(headers={"Sec-WebSocket-Protocol": "centrifuge-protobuf"}) as client:
        assert client.header("Sec-WebSocket-Protocol") == "centrifuge-protobuf"
        client.send_frame(BINARY, b"\x04\x08\x01\x22\x00")  # id 1, an empty connect
        answer = client.receive()
        assert answer is not None
        assert answer.opcode == BINARY


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Protocol": ""},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE", "Upgrade": "WebSocket"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    ],
    ids=["empty-subprotocol", "firefox", "case", "deflate-offered"],
)
def test_odd_but_right_requests_are_accepted(server: InProcessServer, headers: dict[str, str]) -> None:
    with server.client(headers=headers) as client:
        assert client.status == 101
        assert client.header("Sec-WebSocket-Protocol") is None
        assert client.header("Sec-WebSocket-Extensions") is None
        assert client.connect()["client"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Upgrade": "h2c"}, 400),
        ({"Connection": "close"}, 400),
    ],
    ids=["origin", "version", "no-key", "bad-key", "no-websocket", "no-upgrade"],
)
def test_wrong_requests_are_refused(server: InProcessServer, headers: dict[str, str], status: int) -> None:
    with server.client(headers=headers) as client:
        assert client.status == status
        assert client.header("Sec-WebSocket-Version") == ("13" if status == 426 else None)


MANY = 2000
EARLY: dict[str, tuple[bytes, list[Frame | None]]] = {
    "message": (frame(TEXT, b"a"), [Frame(TEXT, b"a")]),
    "many": (frame(TEXT, b"a" * 20) * MANY, [Frame(TEXT, b"a" * 20)] * MANY),
    "large": (
        frame(BINARY, bytes(LIMIT)) + frame(TEXT, b"a"),
        [Frame(BINARY, bytes(LIMIT)), Frame(TEXT, b"a")],
    ),
    "half": (frame(TEXT, b"abcdef")[:7], []),
    "close": (frame(CLOSE, b"\x03\xe8"), [NORMAL, None]),
    "message-close": (frame(TEXT, b"a") + frame(CLOSE, b"\x03\xe8"), [Frame(TEXT, b"a"), NORMAL, None]),
    "violation": (frame(TEXT, b"a", rsv=1) + frame(TEXT, b"b"), [Frame(CLOSE, b"\x03\xea")]),
    "refused": (
        frame(TEXT, b"a") + frame(3, b"") + frame(TEXT, b"b"),
        [Frame(TEXT, b"a"), Frame(CLOSE, b"\x03\xea"), None],
    ),
    "too-large": (
        frame(TEXT, b"a") + frame(BINARY, bytes(LIMIT + 1)) + frame(TEXT, b"b"),
        [Frame(TEXT, b"a"), Frame(CLOSE, b"\x03\xf1"), None],
    ),
}


@pytest.mark.parametrize("name", EARLY)
def test_frames_may_come_with_the_request(server: InProcessServer, name: str) -> None:
    first, expected = EARLY[name]
    with Pipelining(server.port, ECHO_PATH, first) as client:
        assert client.status == 101
        for received in expected:
            assert client.receive() == received


def test_what_follows_a_large_frame_that_came_with_the_upgrade_is_not_lost(server: InProcessServer) -> None:
    # The read buffer is filled up to 14,336 bytes when the large frame ends: the point where it is made small again.
    large, hello = b"x" * (14_336 - 8), b"hello"
    first = frame(BINARY, large) + frame(TEXT, hello)
    with Pipelining(server.port, ECHO_PATH, first) as client:
        assert client.receive() == Frame(BINARY, large)
        assert client.receive() == Frame(TEXT, hello)


# ----------------------------------------------------------------------- end


@pytest.mark.parametrize(
    "drop", [reset, half_close, lambda client: client.socket.close()], ids=["reset", "eof", "close"]
)
@pytest.mark.parametrize(
    "unfinished",
    [b"", b"\x81", frame(TEXT, b"x" * 200)[:3], frame(TEXT, b"x" * 200)[:100], frame(TEXT, b"a", fin=False)],
    ids=["idle", "in-the-head", "in-the-length", "in-the-payload", "in-a-message"],
)
def test_a_client_that_vanishes_is_forgotten(
    server: InProcessServer, drop: Callable[[RawWebSocket], None], unfinished: bytes
) -> None:
    with server.echo() as other, server.client() as client:
        client.connect()
        client.subscribe("news")
        client.send_bytes(unfinished)
        drop(client)
        server.wait_until(lambda: server.open_connections == 1)
        assert server.call(lambda: (len(server.node.hub.clients), len(server.node.hub.channels))) == (0, 0)
        check_works(other)


@pytest.mark.parametrize("drop", [reset, lambda client: client.socket.close()], ids=["reset", "eof"])
def test_a_crowd_that_hangs_up_in_one_moment_ends_in_slices(drop: Callable[[RawWebSocket], None]) -> None:
    with InProcessServer(slice=0.0) as server:
        crowd = [server.client() for _ in range(CROWD)]
        for client in crowd:
            client.connect()
        assert server.open_connections == CROWD

        async def hang_up() -> list[tuple[int, int]]:
            """Connections and clients as anybody sees them between two turns of the loop."""
            for client in crowd:
                drop(client)
            seen = []
            while server.open_connections:
                seen.append((server.open_connections, len(server.node.hub.clients)))
                await asyncio.sleep(0)
            return seen

        seen = server.run(hang_up())
    counts = [connections for connections, _ in seen]
    assert set(counts) == set(range(1, CROWD + 1))
    assert all(clients == connections for connections, clients in seen)


def test_a_crowd_that_speaks_in_one_moment_is_heard_in_slices() -> None:
    heard: list[bytes] = []

    class Listening(Recorder):
        def on_message(self, payload: bytes, is_text: bool) -> None:
            heard.append(payload)

    with InProcessServer(slice=0.0) as server:
        server.serve_handler("/listening", Listening)
        crowd = [RawWebSocket(server.port, "/listening", timeout=WAIT) for _ in range(CROWD)]

        async def speak() -> set[int]:
            """How many had been heard between two turns of the loop."""
            for client in crowd:
                client.send_text("hello")
            seen = set()
            while len(heard) < CROWD:
                seen.add(len(heard))
                await asyncio.sleep(0)
            return seen

        assert server.run(speak()) == set(range(CROWD))
        for client in crowd:
            client.socket.close()


def disconnect_all(server: InProcessServer) -> None:
    def run() -> None:
        for session in list(server.node.hub.clients.values()):
            session.disconnect(FORCE_DISCONNECT)

    server.call(run)


def test_the_server_waits_for_the_answer_to_its_close_frame(server: InProcessServer) -> None:
    with server.client() as client:
        client.connect()
        disconnect_all(server)
        assert client.receive() == Frame(CLOSE, (3503).to_bytes(2, "big") + b"force disconnect")
        client.send_text('{"id":9,"rpc":{}}')  # on its way when the server closed: of no interest any more
        client.send_frame(PING, b"x")
        server.advance(WEBSOCKET_CLOSE_TIMEOUT - 1)
        assert server.open_connections == 1
        client.send_frame(CLOSE, b"\x03\xe8")
        assert client.receive() is None


def test_a_peer_that_does_not_answer_the_close_frame_is_dropped(server: InProcessServer) -> None:
    with server.client() as client:
        client.connect()
        disconnect_all(server)
        assert client.receive_close().close_code == 3503
        server.advance(WEBSOCKET_CLOSE_TIMEOUT + LATENESS)
        assert client.receive() is None
        server.wait_until(lambda: server.open_connections == 0)


def test_a_peer_that_stays_after_a_violation_is_dropped(server: InProcessServer) -> None:
    for wrong in (frame(3, b""), frame(TEXT, b"", rsv=1)):  # refused by the parser, and by us
        with server.echo() as client:
            client.send_bytes(wrong)
            assert client.receive_close().close_code == 1002
            client.send_bytes(b"nonsense" * 1000)
            server.advance(WEBSOCKET_CLOSE_TIMEOUT + LATENESS)
            server.wait_until(lambda: server.open_connections == 0)


def test_a_half_open_connection_is_found_by_its_silence(server: InProcessServer) -> None:
    with server.client() as client:
        client.connect()
        server.advance(25)
        server.advance(8 + LATENESS)  # no pong
        server.advance(WEBSOCKET_CLOSE_TIMEOUT + LATENESS)  # no close frame
        server.wait_until(lambda: server.open_connections == 0)
        assert client.receive() == Frame(TEXT, b"{}")
        assert client.receive() == Frame(CLOSE, (3012).to_bytes(2, "big") + b"no pong")
        assert client.receive() is None


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_pong_keeps_the_connection(server: InProcessServer, opcode: int) -> None:
    with server.client() as client:
        client.connect()
        for _ in range(3):
            server.advance(25)
            assert client.receive() == Frame(TEXT, b"{}")
            client.send_frame(opcode, b"{}")
            client.command(rpc={})
            server.advance(8 + LATENESS)
        say_goodbye(client)


def test_a_second_pong_is_an_error(server: InProcessServer) -> None:
    with server.client() as client:
        client.connect()
        server.advance(25)
        client.send_text("{}")
        client.send_text("{}")
        assert client.receive_close().close_code == 3501
        client.send_frame(CLOSE)
        assert client.receive() is None


def test_the_handler_hears_of_the_end_once(server: InProcessServer) -> None:
    handlers: list[Recorder] = []

    def factory(connection: Connection) -> Recorder:
        handlers.append(Recorder(connection))
        return handlers[-1]

    server.serve_handler("/recorder", factory)

    def violate(client: RawWebSocket) -> None:
        client.send_frame(3)
        client.receive_close()

    def close_here(client: RawWebSocket) -> None:
        for code, reason in ((4000, b"end"), (4001, b"ignored")):
            server.call(partial(handlers[-1].connection.close, code, reason))
        assert client.receive() == Frame(CLOSE, (4000).to_bytes(2, "big") + b"end")
        client.send_text("ignored")
        client.send_frame(CLOSE)
        assert client.receive() is None

    for end in (say_goodbye, reset, half_close, violate, close_here):
        with RawWebSocket(server.port, "/recorder", timeout=WAIT) as client:
            client.send_text("hello")
            end(client)
        server.wait_until(lambda: server.open_connections == 0)
        assert server.call(lambda: handlers[-1].told) == [(b"hello", True), "closed"]
        connection = handlers[-1].connection
        assert connection.closing
        assert connection.handler is None
        assert connection.remote_address == ""
        connection.close(4000, b"")  # all of these do nothing now
        connection.abort()
        connection.pause_reading()
        connection.resume_reading()


def test_reading_can_be_paused(server: InProcessServer) -> None:
    handlers: list[Recorder] = []

    class Pausing(Recorder):
        def on_message(self, payload: bytes, is_text: bool) -> None:
            super().on_message(payload, is_text)
            if len(self.told) == 1:
                self.connection.pause_reading()

    def factory(connection: Connection) -> Pausing:
        handlers.append(Pausing(connection))
        assert connection.remote_address == "127.0.0.1"
        return handlers[-1]  # type: ignore[return-value]

    server.serve_handler("/pausing", factory)
    with RawWebSocket(server.port, "/pausing", timeout=WAIT) as client:
        client.send_text("1")
        server.wait_until(lambda: len(handlers[0].told) == 1)
        client.send_text("2")
        with server.echo() as other:  # a whole round trip of the loop, in which "2" would have been read
            check_works(other)
        assert len(handlers[0].told) == 1
        server.call(handlers[0].connection.resume_reading)
        server.wait_until(lambda: len(handlers[0].told) == 2)


# ------------------------------------------------------------ bugs elsewhere


def test_a_bug_in_a_handler_costs_its_connection_only(server: InProcessServer) -> None:
    class Broken(Recorder):
        def on_message(self, payload: bytes, is_text: bool) -> None:
            raise LookupError("a bug")

    server.serve_handler("/broken", Broken)
    with server.echo() as other, RawWebSocket(server.port, "/broken", timeout=WAIT) as client:
        client.send_bytes(frame(TEXT, b"1") + frame(TEXT, b"2"))
        assert client.receive() == Frame(CLOSE, b"\x03\xf3")
        assert client.receive() is None
        check_works(other)
    assert "a bug" in server.take_errors()[0]


def test_a_bug_while_a_connection_opens_ends_it(server: InProcessServer) -> None:
    def factory(_: Connection) -> Recorder:
        raise LookupError("a bug")

    server.serve_handler("/broken", factory)
    with server.echo() as other, RawWebSocket(server.port, "/broken", timeout=WAIT) as client:
        assert client.receive() == Frame(CLOSE, b"\x03\xf3")
        assert client.receive() is None
        check_works(other)
    assert "a bug" in server.take_errors()[0]


def test_a_bug_at_the_end_gives_the_next_connection_nothing_of_this_one(server: InProcessServer) -> None:
    """The next one gets the same descriptor: were it left in the channel, it would receive what it must not see."""
    channel = Channel("secret", server.drain)

    class Broken(Recorder):
        def __init__(self, connection: Connection) -> None:
            super().__init__(connection)
            channel.join(connection.sink)

        def on_closed(self) -> None:
            raise LookupError("a bug")

    server.serve_handler("/broken", Broken)
    with RawWebSocket(server.port, "/broken", timeout=WAIT) as client:
        server.wait_until(lambda: len(channel) == 1)
        client.send_frame(CLOSE)
        assert client.receive() == Frame(CLOSE, b"")
        assert client.receive() is None
    server.wait_until(lambda: server.open_connections == 0)
    assert "a bug" in server.take_errors()[0]
    with server.echo() as other:
        check_works(other)
        server.call(lambda: say(channel, server.json, b"secret"))
        check_works(other)
        say_goodbye(other)
    assert len(channel) == 0


# -------------------------------------------------------------------- memory


def read_buffer_sizes() -> list[int]:
    """Room that each open connection offers to the next read."""
    protocols = [found for found in gc.get_objects() if isinstance(found, asyncio.BufferedProtocol)]
    return [len(memoryview(found.get_buffer(-1))) for found in protocols]


def test_a_flood_of_small_frames_does_not_grow_the_read_buffer(server: InProcessServer) -> None:
    with server.echo() as client:
        client.send_bytes(frame(PONG, b"x" * 100) * 100_000)
        check_works(client)
        assert server.call(read_buffer_sizes) == [pytest.approx(64 * 1024, abs=64 * 1024)]


def test_a_large_message_leaves_no_large_read_buffer(server: InProcessServer) -> None:
    with server.echo() as client:
        for size in (60_000, 9_000, 65_536):
            client.send_frame(BINARY, b"x" * size)
            assert client.receive() == Frame(BINARY, b"x" * size)
            check_works(client)
            assert server.call(read_buffer_sizes) == [pytest.approx(2048, abs=1024)]


def test_empty_fragments_take_no_memory(server: InProcessServer) -> None:
    with server.echo() as client:
        client.send_frame(TEXT, b"a", fin=False)
        before = resident()
        empty = b"\x00\x80mask" * 50_000
        for _ in range(40):
            client.send_bytes(empty)
        client.send_frame(CONTINUATION, b"b")
        assert client.receive() == Frame(TEXT, b"ab")
        assert resident() - before < 4 * MIB


def test_what_follows_a_frame_of_announced_giant_size_is_thrown_away(server: InProcessServer) -> None:
    with server.echo() as client:
        before = resident()
        client.send_bytes(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask")
        assert client.receive() == Frame(CLOSE, b"\x03\xf1")
        assert client.receive() is None
        junk = bytes(MIB)
        for _ in range(64):
            client.send_bytes(junk)
        assert resident() - before < 8 * MIB


# -------------------------------------------------------------- slow clients

QUEUE = 128 * 1024
FILLER = "x" * 8192


@pytest.fixture
def tight() -> Iterator[InProcessServer]:
    """A server with small socket buffers and small queues."""
    with InProcessServer({"client.queue_max_size": QUEUE}, send_buffer=8192) as running:
        yield running


def subscriber(server: InProcessServer, **options: Any) -> RawWebSocket:
    client = server.client(**options)
    client.connect()
    client.subscribe("news")
    return client


def publish(server: InProcessServer, number: int) -> None:
    server.publish("news", b'{"n":%d,"filler":"%s"}' % (number, FILLER.encode()))
    server.wait_until(lambda: server.drain.idle)


def numbers_until_close(client: RawWebSocket) -> tuple[list[int], Frame]:
    """Numbers of the publications that arrive, and the close frame behind them."""
    numbers: list[int] = []
    while True:
        received = client.receive()
        assert received is not None
        if received.opcode == CLOSE:
            return numbers, received
        for line in received.payload.split(b"\n"):
            numbers.append(json.loads(line)["push"]["pub"]["data"]["n"])


def queued(server: InProcessServer, client_id: str) -> int:
    return server.call(lambda: server.node.hub.clients[client_id].sink.queued)


def publish_until_queued(server: InProcessServer, client_id: str) -> int:
    """Publish until something waits for the client; how many publications."""
    for number in range(200):
        if queued(server, client_id):
            return number
        publish(server, number)
    raise AssertionError("everything was taken")


def test_a_slow_client_is_disconnected_and_delays_nobody(tight: InProcessServer) -> None:
    quick = [subscriber(tight) for _ in range(5)]
    slow = tight.client(receive_buffer=4096)
    slow_id = slow.connect()["client"]
    slow.subscribe("news")
    published = 0
    while slow_id in tight.node.hub.clients:
        assert published < 200
        publish(tight, published)
        for client in quick:  # each has it before there is a next one
            assert client.push()["pub"]["data"]["n"] == published
        if slow_id in tight.node.hub.clients:
            assert queued(tight, slow_id) <= QUEUE
        published += 1
    publish(tight, published)
    for client in quick:
        assert client.push()["pub"]["data"]["n"] == published
    numbers, close = numbers_until_close(slow)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < published
    assert close == Frame(CLOSE, (3008).to_bytes(2, "big") + b"slow")
    slow.send_frame(CLOSE)
    assert slow.receive() is None
    for client in (*quick, slow):
        client.socket.close()


def test_a_client_that_reads_again_in_time_loses_nothing(tight: InProcessServer) -> None:
    with tight.client(receive_buffer=4096) as slow:
        slow_id = slow.connect()["client"]
        slow.subscribe("news")
        published = publish_until_queued(tight, slow_id)
        for number in range(published):
            assert slow.push()["pub"]["data"]["n"] == number
        publish(tight, published)
        assert slow.push()["pub"]["data"]["n"] == published
        assert queued(tight, slow_id) == 0
        tight.advance(1)  # the write that had to wait is forgotten
        say_goodbye(slow)


def test_a_client_whose_socket_takes_nothing_for_too_long_is_disconnected(tight: InProcessServer) -> None:
    with tight.client(receive_buffer=4096) as slow:
        slow_id = slow.connect()["client"]
        slow.subscribe("news")
        publish_until_queued(tight, slow_id)
        tight.advance(0.5)
        assert slow_id in tight.node.hub.clients
        tight.advance(0.6)
        tight.wait_until(lambda: slow_id not in tight.node.hub.clients)
        assert tight.open_connections == 1
        numbers, close = numbers_until_close(slow)
        assert numbers == list(range(len(numbers)))
        assert close == Frame(CLOSE, (3009).to_bytes(2, "big") + b"write error")
        slow.send_frame(CLOSE)
        assert slow.receive() is None


def test_a_client_that_never_reads_again_is_dropped(tight: InProcessServer) -> None:
    with tight.client(receive_buffer=4096) as slow:
        slow_id = slow.connect()["client"]
        slow.subscribe("news")
        publish_until_queued(tight, slow_id)
        tight.advance(1.1)
        tight.wait_until(lambda: slow_id not in tight.node.hub.clients)
        tight.advance(WEBSOCKET_CLOSE_TIMEOUT + LATENESS)
        tight.wait_until(lambda: tight.open_connections == 0)


def test_a_client_that_is_behind_and_says_goodbye_gets_an_answer(tight: InProcessServer) -> None:
    with tight.client(receive_buffer=4096) as slow:
        slow_id = slow.connect()["client"]
        slow.subscribe("news")
        publish_until_queued(tight, slow_id)
        slow.send_frame(CLOSE, b"\x03\xe8")
        tight.wait_until(lambda: slow_id not in tight.node.hub.clients)
        numbers, close = numbers_until_close(slow)
        assert numbers == list(range(len(numbers)))
        assert close == NORMAL
        assert slow.receive() is None


def test_a_client_that_pings_and_does_not_read_is_slow(tight: InProcessServer) -> None:
    with tight.client(receive_buffer=4096) as slow:
        slow_id = slow.connect()["client"]
        pings = frame(PING, b"x" * 125) * 100
        while slow_id in tight.node.hub.clients:
            slow.send_bytes(pings)
        while (received := slow.receive()) is not None and received.opcode != CLOSE:
            assert received == Frame(PONG, b"x" * 125)
        assert received == Frame(CLOSE, (3008).to_bytes(2, "big") + b"slow")


def test_an_echo_client_that_does_not_read_is_dropped(tight: InProcessServer) -> None:
    with tight.echo(receive_buffer=4096) as slow:
        message = frame(BINARY, bytes(8192))
        while tight.open_connections:
            with suppress(OSError):  # a reset, once it is dropped
                slow.send_bytes(message)


def test_order_is_kept_between_replies_publications_and_pongs(server: InProcessServer) -> None:
    with server.client() as client:
        client.connect()
        client.subscribe("news")
        for number in range(50):
            client.send_text(json.dumps({"id": number + 100, "publish": {"channel": "news", "data": number}}))
            client.send_frame(PING, b"%d" % number)
        seen: list[str] = []
        while len(seen) < 150:
            received = client.receive()
            assert received is not None
            if received.opcode == PONG:
                seen.append("pong")
            else:
                seen += ["push" if b"push" in line else "reply" for line in received.payload.split(b"\n")]
        assert sorted(seen) == ["pong"] * 50 + ["push"] * 50 + ["reply"] * 50
        say_goodbye(client)
