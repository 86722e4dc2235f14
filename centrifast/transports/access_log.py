"""One line for each HTTP request, at level debug (server specification 9.4)."""

import asyncio
import time

from centrifast import log
from centrifast.limits import PATH_LOG_SIZE
from centrifast.protocol.http1 import Request

ADDRESS_LOG_SIZE = PATH_LOG_SIZE // 4


def started() -> float:
    """When a request began; 0 if it will not be logged."""
    return time.perf_counter() if log.enabled(log.DEBUG) else 0.0


def log_request(request: Request, status: int, transport: asyncio.BaseTransport, since: float) -> None:
    """Log a request that was answered with *status*, if *since* says that it is to be logged.

    Never its query, which may hold a key or a token.
    """
    if not since:
        return
    log.debug(
        "http request",
        method=request.method,
        status=status,
        path=request.path[:PATH_LOG_SIZE],
        address=address_of(request, transport),
        duration=round(time.perf_counter() - since, 6),
    )


def address_of(request: Request, transport: asyncio.BaseTransport) -> str:
    """Who asks, as a proxy in front says, else the peer. Anyone can send such headers: for information only."""
    headers = request.headers
    named = headers.get("x-real-ip") or headers.get("x-forwarded-for", "").split(",")[0].strip()
    if named:
        return named[:ADDRESS_LOG_SIZE]
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
