"""Composition root: builds the parts, joins them, and stops them in order.

The only module that knows every other one; ``daemon`` runs it. Order of start and stop: server specification 12.
"""

import asyncio
import gc
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._wheel import TimingWheel
from centrifast.auth.tokens import verifiers
from centrifast.clock import SystemClock, TimerHandle
from centrifast.config.schema import Config
from centrifast.consumers.service import Consumers
from centrifast.endpoints import Parts, add_endpoints
from centrifast.engine.contract import Engine
from centrifast.engines import memory_engine
from centrifast.farewell import disconnect_all, disconnect_newcomers
from centrifast.hub import Hub
from centrifast.limits import DRAIN_SLICE, SHUTDOWN_POLL
from centrifast.metrics.graphite import Graphite
from centrifast.node import Node
from centrifast.protocol.codec import Codec
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import Encoding
from centrifast.server.acceptor import Acceptor
from centrifast.server.listeners import (
    Address,
    ListenError,
    assign_sockets,
    open_sockets,
    place_of,
    plan_listeners,
    tls_of,
)
from centrifast.server.listeners import serve as listen
from centrifast.server.pace import Pace
from centrifast.server.routes import Routes
from centrifast.systemd import PassedSocket
from centrifast.transports._connection import Settings
from centrifast.transports.compression import Compression
from centrifast.transports.front_door import FrontDoor, FrontDoorSettings
from centrifast.transports.origin import OriginPolicy
from centrifast.transports.websocket import EchoEndpoint, WebSocketEndpoint
from centrifast.trim import Trimmer

TEXT, BINARY = 1, 2  # WebSocket opcodes (RFC 6455 section 11.8)

# A young collection looks at few objects and is cheap; a full one looks at every connection and stops the loop.
# Connections are taken apart by hand when they end, so full collections have nothing to find: they are made rare.
# The young ones are small, so that none takes longer than the other slices of a turn: 0.2 ms, and 1 ms every fourth.
GC_THRESHOLDS = (2_500, 3, 400_000)


def encodings() -> dict[Encoding, tuple[Variant, Codec]]:
    """How each encoding is framed, and its codec."""
    return {
        Encoding.JSON: (Variant("json", TEXT, b"\n", b"{}", b"{}"), JsonCodec()),
        Encoding.PROTOBUF: (Variant("protobuf", BINARY, b"", b"\x00", b"\x00"), ProtobufCodec()),
    }


def node_name(config: Config, number: int = 0) -> str:
    """How the node calls itself among others; workers, numbered from 1, each have a name of their own."""
    name = config.node.name or f"{socket.gethostname()}_{config.http_server.port}"
    return f"{name}_{number}" if number else name


def settle_memory() -> None:
    """Tell the collector that what exists by now lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


class Server:
    """All parts of one process; *passed* are sockets that were opened for it.

    A worker is one of several and has a *number*, of so many *workers*; its *engine* is shared with them, while
    *has_engine* says so.
    """

    def __init__(
        self,
        config: Config,
        passed: Sequence[PassedSocket] = (),
        *,
        engine: Engine | None = None,
        number: int = 0,
        workers: int = 1,
        has_engine: Callable[[], bool] = lambda: True,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._config, self._passed, self._has_engine = config, passed, has_engine
        self._count = workers
        self.clock = self._clock = SystemClock(loop)
        options, queue_max_size = config.websocket, config.client.queue_max_size
        self._drain = Drain(loop.call_soon, queue_max_size, DRAIN_SLICE, options.write_timeout)
        self._wheel = TimingWheel(time.monotonic())
        sizes = options.message_size_limit, options.decompressed_message_size_limit
        self._settings = Settings(self._drain, self._wheel, *sizes)
        pairs, echo = encodings(), Variant("echo", TEXT, b"", b"", b"")
        plain = dict(pairs.values())
        compression = Compression(options, (*plain, echo))
        codecs = compression.expanded(plain)
        self._hub = Hub(self._drain)
        engine = engine or memory_engine(config, self._clock)
        tokens, name = verifiers(config.client, self._clock), node_name(config, number)
        self.node = Node(config, self._clock, self._hub, codecs, engine, tokens, name)
        self._consumers = Consumers(config, self.node, self._clock, self.node.uid)
        origins = OriginPolicy(config.client.allowed_origins)
        self._websocket = WebSocketEndpoint(self.node, self._settings, origins, pairs, compression)
        self._echo = EchoEndpoint(self._settings, echo, compression)
        self._doors: list[FrontDoor] = []
        self._listeners: list[Acceptor] = []
        self._is_stopping = False
        self._places: list[Address] = []
        self.serving: list[tuple[Sequence[str], Address]] = []  # endpoints and where; each a line of the log
        self._wheel_timer: TimerHandle | None = None
        self._wheel_due = 0.0
        self._trimmer = Trimmer(self._clock, self._settings)
        self._graphite = Graphite(config.graphite, name, self.node.collector.collect, self._clock)

    @property
    def status(self) -> str:
        """Where it serves, in words."""
        return f"serving on {', '.join(map(str, self._places))}"

    # ---------------------------------------------------------------- start

    async def start(self) -> None:
        """Engine, timers, listeners, consumers, in this order.

        Raises ``OSError``, or ``ValueError`` for a clash of paths, or a queue that can not be reached.
        """
        await self.node.start()
        await self._consumers.connect()
        self._turn_wheel()
        self._trimmer.start()
        if self._config.graphite.enabled:
            self._graphite.start()
        await self._listen()
        self._consumers.start()
        settle_memory()

    def _turn_wheel(self) -> None:
        """The one timer behind all deadlines of all connections, and behind messages that can wait."""
        now = time.monotonic()
        if self._wheel_timer is not None:
            self.node.metrics.loop_lag.observe(now - self._wheel_due)
        self._drain.release()
        self._wheel.advance(now)
        self._wheel_due = time.monotonic() + self._wheel.resolution
        self._wheel_timer = self._clock.call_later(self._wheel.resolution, self._turn_wheel)

    async def _listen(self) -> None:
        """Open one listener, or two when the internal endpoints have an address of their own."""
        http_server = self._config.http_server
        plan = plan_listeners(http_server)
        external = Routes()
        internal = external if plan.is_merged else Routes()
        parts = Parts(
            self.node,
            self._websocket.upgrade,
            self._echo.upgrade,
            is_ready=lambda: not self._is_stopping and self._has_engine(),
            is_stopping=lambda: self._is_stopping,
        )
        add_endpoints(self._config, parts, external, internal)
        passed_external, passed_internal = assign_sockets(self._passed, plan)
        pace = Pace(self._config.client.connect_rate / self._count, self._clock)
        await self._open(plan.external, external, tls_of(http_server, external=True), passed_external, pace)
        if internal is not external:
            await self._open(plan.internal, internal, tls_of(http_server, external=False), passed_internal)

    async def _open(
        self,
        address: Address,
        routes: Routes,
        tls: ssl.SSLContext | None,
        passed: list[socket.socket],
        pace: Pace | None = None,
    ) -> None:
        """Serve *routes* on the sockets that were *passed*, or on sockets of our own if there are none, at *pace*."""
        if not routes.names:
            if passed:
                raise ListenError(
                    f"a socket was passed for {address}, where nothing is configured to be served"
                )
            return  # a listener that would carry no endpoint is not opened (server specification 2.1)
        counted = self._config.prometheus.enabled and self._config.prometheus.instrument_http_handlers
        requests = self.node.metrics.http_requests if counted else None
        door = FrontDoor(routes, FrontDoorSettings(), self._clock, requests)
        self._doors.append(door)
        sockets = passed or open_sockets(address, reuse_port=self._config.http_server.reuse_port)
        places = dict.fromkeys(map(place_of, sockets))
        self._listeners += listen(door, sockets, tls, self._clock, pace)
        self.serving += [(routes.names, place) for place in (places if passed else (address,))]
        self._places += places

    # ----------------------------------------------------------------- stop

    async def stop(self) -> None:
        """Accept nothing more, tell every client (3001), finish running requests, let go of the engine.

        Waits for those requests as long as they take: the caller sets the limit. Consumers end first: what they have
        begun still reaches the clients that are here, and the rest waits for whoever comes next.
        """
        self._is_stopping = True
        await self._consumers.stop()
        for listener in self._listeners:
            listener.close()
        # What was accepted last may have asked already: a moment to read it, before it counts as idle.
        await asyncio.sleep(SHUTDOWN_POLL)
        for door in self._doors:
            door.drain()
        self.node.subscriptions.expect_end()
        await disconnect_all(self._hub, self._clock, self._config.shutdown.disconnect_spread)
        while self._is_busy():
            disconnect_newcomers(self._hub)
            await asyncio.sleep(SHUTDOWN_POLL)
        for door in self._doors:
            await door.close()
        if self._wheel_timer is not None:
            self._wheel_timer.cancel()
        self._trimmer.stop()
        await self._graphite.close()
        await self.node.close()
        for verifier in (self.node.tokens, self.node.subscription_tokens):
            await verifier.close()

    def _is_busy(self) -> bool:
        """Whether anybody is connected, or a request is being served."""
        has_requests = any(door.connections for door in self._doors)
        return bool(self._settings.open_connections) or not self._drain.idle or has_requests
