"""A listener on a free port of the loopback, and a client that reads answers off a plain socket."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from centrifast.clock import Clock
from centrifast.protocol.http1 import Request, Response
from centrifast.server.listeners import Address, open_sockets, serve
from centrifast.server.routes import Routes
from centrifast.transports.front_door import FrontDoor, FrontDoorSettings
from tests.fakes import FakeClock

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a test on the loop the server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until *condition* holds; the test's timeout ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Peer:
    """The client's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Write without waiting."""
        self.writer.write(data)

    async def answer(self, *, with_body: bool = True) -> Answer:
        """Read one response."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0))) if with_body else b""
        return Answer(int(status_line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    def reset(self) -> None:
        """Hang up in a way the server can not take for a half-closed connection."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass  # the server was faster


@dataclass(slots=True)
class Served:
    """A front door that serves."""

    door: FrontDoor
    port: int
    peers: list[Peer] = field(default_factory=list)

    async def connect(self) -> Peer:
        """One more client."""
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer


@asynccontextmanager
async def serving(
    routes: Routes, clock: Clock | None = None, settings: FrontDoorSettings | None = None
) -> AsyncIterator[Served]:
    """Serve *routes*; at the end no connection may be left."""
    clock = clock or FakeClock()
    door = FrontDoor(routes, settings or FrontDoorSettings(), clock)
    sockets = open_sockets(Address("127.0.0.1", 0))
    served = Served(door, sockets[0].getsockname()[1])
    (acceptor,) = serve(door, sockets, None, clock)
    try:
        yield served
    finally:
        acceptor.close()
        for peer in served.peers:
            await peer.close()
        await door.close()
        await until(lambda: not door.connections and not door.refused)


async def echo(request: Request) -> Response:
    """Answer with method, path and body."""
    return Response(200, b"%b %b %b" % (request.method.encode(), request.path.encode(), request.body))


def get(path: str = "/echo", *headers: str) -> bytes:
    """A GET request."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A POST request."""
    lines = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *headers))
    return f"POST {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode() + body


def upgrade(path: str = "/ws", **changes: str | None) -> bytes:
    """An opening handshake as Firefox sends it; *changes* replace a header, None removes it."""
    headers: dict[str, str | None] = {
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return get(path, *(f"{name}: {value}" for name, value in headers.items() if value is not None))
