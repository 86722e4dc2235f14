"""Composition root: builds the parts, joins them, runs them, and stops them in order.

The only module that knows every other one. Order of start and stop: server specification 12.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
import time
from pathlib import Path

import uvloop

from centrifast import log
from centrifast._core import Drain
from centrifast._framing import Variant
from centrifast._wheel import TimingWheel
from centrifast.auth.tokens import verifiers
from centrifast.clock import SystemClock, TimerHandle
from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.endpoints import Parts, add_endpoints
from centrifast.engine.contract import Engine
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.errors import SHUTDOWN
from centrifast.hub import Hub
from centrifast.limits import (
    CLIENTS_AT_ONCE,
    DESCRIPTORS_WARNING,
    DRAIN_SLICE,
    PRESENCE_TTL,
    SHUTDOWN_POLL,
)
from centrifast.node import Node
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import Encoding
from centrifast.server.listeners import Address, log_start, open_sockets, plan_listeners, tls_of
from centrifast.server.listeners import serve as listen
from centrifast.server.routes import Routes
from centrifast.transports._connection import Settings
from centrifast.transports.front_door import FrontDoor, FrontDoorSettings
from centrifast.transports.origin import OriginPolicy
from centrifast.transports.websocket import EchoEndpoint, WebSocketEndpoint
from centrifast.trim import Trimmer

TEXT, BINARY = 1, 2  # WebSocket opcodes (RFC 6455 section 11.8)

# A young collection looks at few objects and is cheap; a full one looks at every connection and stops the loop.
# Connections are taken apart by hand when they end, so full collections have nothing to find: they are made rare.
GC_THRESHOLDS = (20_000, 20, 10_000)


def run(loaded: LoadedConfig) -> int:
    """Run the server until it is told to stop; the process's exit code (server specification 12.4)."""
    config = loaded.config
    raise_descriptor_limit()
    pid_file = Path(config.pid_file) if config.pid_file else None
    if pid_file is not None:
        try:
            pid_file.write_text(f"{os.getpid()}\n")
            pid_file.chmod(0o600)
        except OSError as error:
            log.fatal("pid file can not be written", path=str(pid_file), detail=str(error))
            return 1
    try:
        return uvloop.run(serve(config))
    except (OSError, ValueError) as error:
        log.fatal("the server can not start", detail=str(error))
        return 1
    finally:
        if pid_file is not None:
            pid_file.unlink(missing_ok=True)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one and say so (server specification 12.5)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log.info("descriptor limit", limit=hard, was=soft)
    if hard < DESCRIPTORS_WARNING:
        log.warn(
            "few descriptors: a connection needs one",
            limit=hard,
            hint=f"raise the hard limit (ulimit -Hn, LimitNOFILE=) to {DESCRIPTORS_WARNING} or more",
        )


async def serve(config: Config) -> int:
    """Start every part, wait for a signal, stop; the exit code."""
    server = Server(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(name: str) -> None:
        if stopping.is_set():
            log.warn("second signal, exiting at once", signal=name)
            os._exit(1)
        log.info("shutting down ...", signal=name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    await server.start()
    await stopping.wait()
    try:
        await asyncio.wait_for(server.stop(), config.shutdown.timeout)
    except TimeoutError:
        log.fatal("shutdown timeout reached", timeout=config.shutdown.timeout)
        return 1
    return 0


class Server:
    """All parts of one process."""

    def __init__(self, config: Config) -> None:
        loop = asyncio.get_running_loop()
        self._config = config
        self._clock = SystemClock(loop)
        self._drain = Drain(
            loop.call_soon, config.client.queue_max_size, DRAIN_SLICE, config.websocket.write_timeout
        )
        self._wheel = TimingWheel(time.monotonic())
        self._settings = Settings(self._drain, self._wheel, config.websocket.message_size_limit)
        json_codec, protobuf_codec = JsonCodec(), ProtobufCodec()
        json = Variant("json", TEXT, b"\n", b"{}", b"{}")
        protobuf = Variant("protobuf", BINARY, b"", b"\x00", b"\x00")
        self._hub = Hub(self._drain)
        self._verifiers = verifiers(config.client, self._clock)
        presence_ttl = max(
            PRESENCE_TTL, 2 * config.client.presence_update_interval
        )  # one refresh may be late
        name = config.node.name or f"{socket.gethostname()}_{config.http_server.port}"
        self.node = Node(
            config,
            self._clock,
            self._hub,
            {json: json_codec, protobuf: protobuf_codec},
            Engine(MemoryBroker(self._clock), MemoryPresence(self._clock, presence_ttl)),
            self._verifiers,
            name,
        )
        self._websocket = WebSocketEndpoint(
            self.node,
            self._settings,
            OriginPolicy(config.client.allowed_origins),
            {Encoding.JSON: (json, json_codec), Encoding.PROTOBUF: (protobuf, protobuf_codec)},
        )
        self._echo = EchoEndpoint(self._settings, Variant("echo", TEXT, b"", b"", b""))
        self._doors: list[FrontDoor] = []
        self._listeners: list[asyncio.Server] = []
        self._is_stopping = False
        self._wheel_timer: TimerHandle | None = None
        self._trimmer = Trimmer(self._clock, self._settings)

    # ---------------------------------------------------------------- start

    async def start(self) -> None:
        """Engine, timers, listeners, in this order. Raises ``OSError``, or ``ValueError`` for a clash of paths."""
        await self.node.start()
        self._turn_wheel()
        self._trimmer.start()
        await self._listen()
        gc.collect()
        gc.freeze()  # what exists now lives as long as the process
        gc.set_threshold(*GC_THRESHOLDS)

    def _turn_wheel(self) -> None:
        """The one timer behind all deadlines of all connections, and behind messages that can wait."""
        self._drain.release()
        self._wheel.advance(time.monotonic())
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
            is_ready=lambda: not self._is_stopping,
            is_stopping=lambda: self._is_stopping,
        )
        add_endpoints(self._config, parts, external, internal)
        await self._open(plan.external, external, tls_of(http_server, external=True))
        if internal is not external:
            await self._open(plan.internal, internal, tls_of(http_server, external=False))

    async def _open(self, address: Address, routes: Routes, tls: ssl.SSLContext | None) -> None:
        if not routes.names:
            return  # a listener that would carry no endpoint is not opened (server specification 2.1)
        door = FrontDoor(routes, FrontDoorSettings(), self._clock)
        self._doors.append(door)
        sockets = open_sockets(address, reuse_port=self._config.http_server.reuse_port)
        self._listeners += await listen(door, sockets, tls)
        log_start(routes.names, address)

    # ----------------------------------------------------------------- stop

    async def stop(self) -> None:
        """Accept nothing more, tell every client (3001), flush, let go of the engine."""
        self._is_stopping = True
        for listener in self._listeners:
            listener.close()
        for door in self._doors:
            door.drain()
        await self._disconnect_clients()
        while self._settings.open_connections or not self._drain.idle:  # noqa: ASYNC110 - for a moment, once
            await asyncio.sleep(SHUTDOWN_POLL)
        for door in self._doors:
            await door.close()
        if self._wheel_timer is not None:
            self._wheel_timer.cancel()
        self._trimmer.stop()
        await self.node.close()
        for verifier in self._verifiers:
            await verifier.close()

    async def _disconnect_clients(self) -> None:
        """In batches: the loop goes on writing close frames while more are queued."""
        self.node.subscriptions.expect_end()
        sessions = [*self._hub.clients.values(), *self._hub.connecting]
        for start in range(0, len(sessions), CLIENTS_AT_ONCE):
            for session in sessions[start : start + CLIENTS_AT_ONCE]:
                session.disconnect(SHUTDOWN)
            await asyncio.sleep(0)
