"""The WebSocket stack on a port of its own, in a thread: the front door, the endpoints, a node; built as ``app`` does.

The test's thread has the raw client and looks inside with ``call`` and ``run``. No deadline passes before the test
says so with ``advance``: the timing wheel has no timer of its own here.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._wheel import TimingWheel
from centrifast.auth.tokens import TokenVerifier
from centrifast.client.transport import Handler
from centrifast.clock import SystemClock
from centrifast.config.loader import load
from centrifast.engine.contract import Engine
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.hub import Hub
from centrifast.limits import DRAIN_SLICE
from centrifast.node import Node
from centrifast.protocol.http1 import Request
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import Encoding
from centrifast.server.routes import Routes
from centrifast.transports._connection import Connection, Settings, accept
from centrifast.transports.compression import Compression
from centrifast.transports.front_door import FrontDoor, FrontDoorSettings
from centrifast.transports.origin import OriginPolicy
from centrifast.transports.websocket import EchoEndpoint, WebSocketEndpoint
from tests.raw_websocket import RawWebSocket

T = TypeVar("T")

ECHO_PATH = "/echo"
WAIT = 20.0  # seconds after which a wait has failed
FLAGS: dict[str, str | bool | int] = {
    "client.allow_anonymous_connect_without_token": True,
    "channel.without_namespace.allow_subscribe_for_client": True,
    "channel.without_namespace.allow_subscribe_for_anonymous": True,
    "channel.without_namespace.allow_publish_for_subscriber": True,
    "channel.without_namespace.allow_publish_for_anonymous": True,
}


class _Errors(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.getMessage()} {getattr(record, 'fields', '')}\n{record.exc_info or ''}")


class InProcessServer:
    """One server in a thread. Use as a context manager; it leaves only when every connection has gone.

    *send_buffer* is SO_SNDBUF of accepted sockets: small, so that a client that does not read is soon felt. *slice* in
    seconds, for reading and for writing: with 0 one client has its turn in each of the loop.
    """

    def __init__(
        self,
        flags: Mapping[str, str | bool | int] | None = None,
        *,
        send_buffer: int | None = None,
        slice: float = DRAIN_SLICE,
    ) -> None:
        self._config = load(None, {**FLAGS, **(flags or {})}, {}).config
        self._send_buffer = send_buffer
        self._slice = slice
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), name="server")
        self._routes = Routes()
        self._elapsed = 0.0
        self._errors: list[str] = []
        self._log_handler = _Errors(self._errors)
        self.port = 0

    def __enter__(self) -> "InProcessServer":
        logging.getLogger().addHandler(self._log_handler)
        self._thread.start()
        self._started.result(WAIT)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.wait_until(lambda: self.open_connections == 0)
                assert not self.node.hub.clients
                assert not self.node.hub.connecting
                assert not self.node.hub.channels
        finally:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(WAIT)
            logging.getLogger().removeHandler(self._log_handler)
        assert not self._thread.is_alive()
        if kind is None:
            assert self._errors == []

    def serve_handler(self, path: str, factory: Callable[[Connection], Handler]) -> None:
        """Serve connections whose handler the test has written, with JSON framing."""

        def upgrade(transport: asyncio.Transport, request: Request, rest: bytes) -> None:
            connection = Connection(self._settings, self.json, factory)
            accept(transport, self._settings, connection, request.headers["sec-websocket-key"], None, rest)

        self._routes.add_upgrade(path, path, upgrade)

    # ------------------------------------------------------------- clients

    def echo(self, **options: Any) -> RawWebSocket:
        """A connection whose messages come back."""
        return RawWebSocket(self.port, ECHO_PATH, timeout=WAIT, **options)

    def client(self, **options: Any) -> RawWebSocket:
        """A connection that speaks the client protocol."""
        return RawWebSocket(self.port, timeout=WAIT, **options)

    # -------------------------------------------------------- looking inside

    def call(self, function: Callable[[], T]) -> T:
        """Run *function* on the server's loop; its result."""

        async def called() -> T:
            return function()

        return self.run(called())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop; its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT)

    def publish(self, channel: str, data: bytes) -> None:
        """Hand a publication to the engine."""
        self.run(self.node.publish(channel, data))

    def advance(self, seconds: float) -> None:
        """Let this much time pass for all deadlines of connections, and wait until what they caused is written."""
        self._elapsed += seconds
        self.call(lambda: self.wheel.advance(time.monotonic() + self._elapsed))
        self.wait_until(lambda: self.drain.idle)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition*, asked on the server's loop between its turns, holds."""

        async def wait() -> None:
            end = time.monotonic() + WAIT
            while not condition():
                assert time.monotonic() < end, "waited in vain"
                await asyncio.sleep(0.001)

        self.run(wait())

    def take_errors(self) -> list[str]:
        """What was logged as a warning or worse, or raised into the loop; what is left at the end is a failure."""
        errors = self._errors[:]
        self._errors.clear()
        return errors

    @property
    def open_connections(self) -> int:
        """WebSocket connections that are open."""
        return self._settings.open_connections

    # -------------------------------------------------------------- inside

    async def _serve(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(lambda _, context: self._errors.append(str(context)))
            self._stopping = asyncio.Event()
            clock = SystemClock(self._loop)
            self._build(clock)
            await self.node.start()
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            if self._send_buffer is not None:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            self.port = listener.getsockname()[1]
            self._routes.add_upgrade("/connection/websocket", "websocket", self._websocket.upgrade)
            self._routes.add_upgrade(ECHO_PATH, "echo", self._echo.upgrade)
            door = FrontDoor(self._routes, FrontDoorSettings(), clock)
            server = await self._loop.create_server(door, sock=listener)
        except BaseException as failure:
            self._started.set_exception(failure)
            raise
        self._started.set_result(None)
        await self._stopping.wait()
        server.close()
        await door.close()
        await self.node.close()

    def _build(self, clock: SystemClock) -> None:
        config = self._config
        self.drain = Drain(
            self._loop.call_soon, config.client.queue_max_size, self._slice, config.websocket.write_timeout
        )
        self.wheel = TimingWheel(time.monotonic())
        options = config.websocket
        sizes = options.message_size_limit, options.decompressed_message_size_limit
        self._settings = Settings(self.drain, self.wheel, *sizes)
        json_codec, protobuf_codec = JsonCodec(), ProtobufCodec()
        self.json = Variant("json", 1, b"\n", b"{}", b"{}")
        protobuf = Variant("protobuf", 2, b"", b"\x00", b"\x00")
        echo = Variant("echo", 1, b"", b"", b"")
        compression = Compression(options, (self.json, protobuf, echo))
        hub = Hub(self.drain)
        tokens = TokenVerifier(config.client.token, skip_signature=False, clock=clock)
        self.node = Node(
            config,
            clock,
            hub,
            compression.expanded({self.json: json_codec, protobuf: protobuf_codec}),
            Engine(MemoryBroker(clock), MemoryPresence(clock)),
            (tokens, tokens),
            "test",
        )
        self._websocket = WebSocketEndpoint(
            self.node,
            self._settings,
            OriginPolicy(config.client.allowed_origins),
            {Encoding.JSON: (self.json, json_codec), Encoding.PROTOBUF: (protobuf, protobuf_codec)},
            compression,
        )
        self._echo = EchoEndpoint(self._settings, echo, compression)
