"""The front door of a port: every connection begins here as HTTP/1.1, and WebSocket upgrades leave it.

``FrontDoor`` holds what all connections of a listener share; ``http_connection`` is one of them. No
connection owns a timer: once a second a sweep looks at how long each has been in its state.
"""

import asyncio
import resource
from dataclasses import dataclass, field
from email.utils import formatdate

from centrifast import log
from centrifast.clock import Clock, TimerHandle
from centrifast.metrics.vector import UNKNOWN, Vector
from centrifast.protocol.http1 import Request, Response
from centrifast.protocol.known_heads import KnownHeads
from centrifast.server.routes import Routes, UpgradeHandler, UpgradeRefusal
from centrifast.transports.http_connection import SWEEP_PERIOD, HttpConnection
from centrifast.transports.refusal import Refusals

__all__ = ["FrontDoor", "FrontDoorSettings", "UpgradeHandler", "UpgradeRefusal"]

REFUSAL_LOG_PERIOD = 10.0
"""Seconds between two log lines about connections refused for want of descriptors."""


def soft_descriptor_limit() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@dataclass(frozen=True, slots=True)
class FrontDoorSettings:
    """Seconds a connection may stay in a state (server specification 2.2), and what is kept free."""

    head_timeout: float = 10.0
    request_timeout: float = 30.0
    idle_timeout: float = 30.0
    write_timeout: float = 10.0
    descriptor_limit: int = field(default_factory=soft_descriptor_limit)
    descriptor_reserve: int = 64
    """Descriptors left for the engine, log files and outgoing calls; an eighth of all where there are few."""

    @property
    def descriptor_ceiling(self) -> int:
        """The lowest descriptor that no connection gets."""
        return self.descriptor_limit - min(self.descriptor_reserve, self.descriptor_limit // 8)


class FrontDoor:
    """What the connections of one listener share; calling it makes the protocol of an accepted socket.

    *requests* counts answers by path of an endpoint, method and status, if that is wanted.
    """

    def __init__(
        self, routes: Routes, settings: FrontDoorSettings, clock: Clock, requests: Vector | None = None
    ) -> None:
        self.routes = routes
        self.requests = requests
        self.settings = settings
        self.now = 0.0  # of the latest sweep: exact enough for timeouts
        self.date = b""
        self.draining = False
        self.known_heads = KnownHeads()
        self.connections: set[HttpConnection] = set()
        self.handlers: set[asyncio.Future[Response]] = set()
        self._clock = clock
        self._sweep_timer: TimerHandle | None = None
        self._refusals = Refusals()
        self._descriptor_ceiling = settings.descriptor_ceiling
        self._next_refusal_log = 0.0

    def __call__(self) -> HttpConnection:
        return HttpConnection(self)

    def drain(self) -> None:
        """Serve no more: idle connections close, busy ones after their answer, new ones get a 503."""
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()

    async def close(self) -> None:
        """Drop every connection, stop running handlers and wait until they have ended."""
        self.draining = True
        for connection in list(self.connections):
            connection.abort()
        for transport in self._refusals:
            transport.abort()
        handlers = list(self.handlers)
        for running in handlers:
            running.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    @property
    def refused(self) -> int:
        """Connections that are being told that they were not admitted."""
        return len(self._refusals)

    def admit(self, connection: HttpConnection, transport: asyncio.Transport) -> bool:
        """Count a connection in, unless it is to be refused."""
        if self.draining:
            return False
        if transport.get_extra_info("socket").fileno() >= self._descriptor_ceiling:
            self._log_refusal()
            return False
        if self._sweep_timer is None:
            self._tick()
        self.connections.add(connection)
        return True

    def refuse(self, transport: asyncio.Transport) -> None:
        """Tell a connection that was not admitted."""
        if self._sweep_timer is None:
            self._tick()
        self._refusals.refuse(transport, self.now)

    def count(self, request: Request | None, status: int) -> None:
        """Note an answer, to None where there was no readable request."""
        if self.requests is None:
            return
        route = None if request is None else self.routes.find(request.path)
        path, method = (
            UNKNOWN if route is None else route.path,
            UNKNOWN if request is None else request.method,
        )
        self.requests.of(path, method, status).add()

    def _log_refusal(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_refusal_log:
            self._next_refusal_log = now + REFUSAL_LOG_PERIOD
            log.warn(
                "connections refused: out of descriptors",
                limit=self.settings.descriptor_limit,
                hint="raise the hard limit of open files (ulimit -Hn, LimitNOFILE=)",
            )

    def _tick(self) -> None:
        self.now = self._clock.monotonic()
        self.date = f"Date: {formatdate(self._clock.unix(), usegmt=True)}\r\n".encode("ascii")
        self._sweep_timer = self._clock.call_later(SWEEP_PERIOD, self._sweep)

    def _sweep(self) -> None:
        if not self.connections and not self._refusals:
            self._sweep_timer = None
            return
        self._tick()
        self._refusals.check_timeout(self.now)
        for connection in list(self.connections):
            connection.check_timeout(self.now)
