"""What tests of the core need around a Sink: a socket pair, a transport like asyncio's, a loop by hand."""

import socket
from collections.abc import Callable
from contextlib import suppress

from centrifast._channel import Channel
from centrifast._core import Drain, Sink
from centrifast._framing import Variant
from centrifast._wheel import TimingWheel

JSON = Variant("json", 1, b"\n", b"{}", b"{}")
PROTOBUF = Variant("protobuf", 2, b"", b"\x00", b"\x00")


def say(channel: Channel, variant: Variant, message: bytes, group: object = None) -> None:
    """Broadcast to the members of one variant and group."""
    for array in channel.arrays:
        if array.variant is variant and array.group == group:
            array.broadcast(message)


class Turns:
    """A loop by hand: callables run when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def turn(self) -> None:
        """Run what is waiting; what it asks for waits for the next turn."""
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()

    def run(self) -> int:
        """Turn until nothing waits; the number of turns."""
        turns = 0
        while self.waiting:
            self.turn()
            turns += 1
        return turns


class Transport:
    """Takes the rest of a write like an asyncio transport with write-buffer limits of 0."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.sink: Sink | None = None

    def write(self, data: bytes | memoryview) -> None:
        self.buffer += bytes(data)
        self._push()
        if self.buffer and self.sink is not None:
            self.sink.block()

    def drain(self) -> None:
        """The socket may have room again."""
        self._push()
        if not self.buffer and self.sink is not None:
            self.sink.unblock()

    def _push(self) -> None:
        with suppress(BlockingIOError):
            while self.buffer:
                self.buffer = self.buffer[self.sock.send(self.buffer) :]


class Peer:
    """One connection: its sink on this side, what arrived on the other."""

    def __init__(
        self,
        drain: Drain,
        wheel: TimingWheel,
        variant: Variant = JSON,
        *,
        direct: bool = True,
        small: bool = False,
    ) -> None:
        self.ours, self.theirs = socket.socketpair()
        if small:
            self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.failures: list[int] = []
        self.wakes = 0
        self.transport = Transport(self.ours)
        self.sink = Sink(drain, wheel, variant, self, self.transport, self.ours.fileno(), direct)
        self.transport.sink = self.sink

    def on_sink_failed(self, reason: int) -> None:
        self.failures.append(reason)

    def on_sink_wake(self) -> None:
        self.wakes += 1

    def received(self) -> bytes:
        """Everything that has arrived since the last call."""
        data = b""
        with suppress(BlockingIOError):
            while part := self.theirs.recv(1 << 20):
                data += part
        return data

    def messages(self) -> list[bytes]:
        """Messages that have arrived whole since the last call."""
        return messages_of(self.received(), self.sink.variant)

    def close(self) -> None:
        self.sink.close()
        self.ours.close()
        self.theirs.close()


def messages_of(data: bytes, variant: Variant) -> list[bytes]:
    """The messages in consecutive unmasked frames; only for JSON and one-byte-length Protobuf messages."""
    messages: list[bytes] = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        payload, data = data[start : start + size], data[start + size :]
        assert len(payload) == size, "a frame is cut"
        if variant.name == "json":
            messages += payload.split(b"\n")
        else:
            while payload:
                messages.append(payload[: payload[0] + 1])
                payload = payload[payload[0] + 1 :]
    return messages
