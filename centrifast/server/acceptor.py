"""Accepting connections, also when no descriptor is left for them (server specification 12.5).

A server of the loop would do on good days. On bad ones libuv closes everybody who waits, without a word to them or to
us; and once its spare descriptor is lost, it asks the kernel again and again without a pause. So an ``Acceptor`` takes
connections off the listening socket by itself and hands each to the loop:

    listening ──readable──▶ accept, up to ACCEPTS_AT_ONCE ──▶ transport and protocol
        ▲                     ├── EMFILE, ENFILE ──▶ 503 for some, with the spare descriptor ──▶ pausing
        │                     └── faster than the pace ──▶ pausing                                  │
        └─────────────────────── after ACCEPT_PAUSE, or when the pace allows ───────────────────────┘

Who waits in the kernel's queue meanwhile is served afterwards.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from centrifast import log
from centrifast.clock import Clock, TimerHandle
from centrifast.protocol.http1 import Response, encode_response
from centrifast.server.pace import Pace

ACCEPTS_AT_ONCE = 16
"""Connections taken before the loop serves others, 15 µs each; then the handshakes of as many come, 40 µs each."""

REFUSALS_AT_ONCE = 64
"""Connections told that there is no descriptor for them, before each pause."""

ACCEPT_PAUSE = 0.1
"""Seconds without accepting after a shortage (server specification 12.5)."""

SHORTAGE_LOG_PERIOD = 1.0
"""Seconds between two log lines about one listener (server specification 12.5)."""

TLS_HANDSHAKE_TIMEOUT = 10.0
"""Seconds, as for the head of a request."""

RETRY_AFTER = "5"
"""Seconds after which a refused peer may try again; descriptors are free when somebody has left."""

UNAVAILABLE = encode_response(
    Response(503, b"Service Unavailable", "text/plain; charset=utf-8", (("Retry-After", RETRY_AFTER),)),
    keep_alive=False,
)
"""What everybody is told for whom there is no room."""

SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Failures of the connection that was taken, not of the socket it came from; there may be others (accept(2)).
OF_THE_CONNECTION = {
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,  # a firewall
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENONET,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
}


class Acceptor:
    """Accepts on *listener*, which it owns, and gives each connection a protocol made by *door*, at *pace* if any."""

    def __init__(
        self,
        listener: socket.socket,
        door: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self._listener = listener
        self._door = door
        self._tls = tls
        self._handshake_timeout = TLS_HANDSHAKE_TIMEOUT if tls is not None else None
        self._clock = clock
        self._pace = pace or Pace(0, clock)
        self._loop = asyncio.get_running_loop()
        self._arrivals: set[_Arrival] = set()
        self._spare: int | None = open_spare()
        self._pausing: TimerHandle | None = None
        self._next_log = 0.0
        self._resume()

    @property
    def is_pausing(self) -> bool:
        """Whether nothing is accepted for the moment."""
        return self._pausing is not None

    def close(self) -> None:
        """Accept no more; harmless when it has been done. Accepted connections go on, unfinished handshakes do not."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._pausing is not None:
            self._pausing.cancel()
        self._close_spare()
        for arrival in list(self._arrivals):
            arrival.abort()

    # ------------------------------------------------------------------ inside

    def _resume(self) -> None:
        self._pausing = None
        if self._spare is None:
            self._spare = open_spare()
        self._loop.add_reader(self._listener, self._on_acceptable)

    def _on_acceptable(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            wait = self._pace.wait()
            if wait:
                self._pause_for(wait)
                return
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in OF_THE_CONNECTION:
                    continue
                self._on_failure(error)
                return
            self._pace.count()
            _Arrival(self._connect(accepted), self._arrivals)

    def _connect(self, accepted: socket.socket) -> Coroutine[Any, Any, object]:
        return self._loop.connect_accepted_socket(
            self._door, accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_timeout
        )

    def _on_failure(self, error: OSError) -> None:
        """Say so, tell some of those who wait, and leave the rest waiting for a moment."""
        now = self._clock.monotonic()
        if now >= self._next_log:
            self._next_log = now + SHORTAGE_LOG_PERIOD
            log.warn(
                "connections can not be accepted",
                error=error,
                hint="raise the limit of open files (ulimit -Hn, LimitNOFILE=, fs.file-max)",
            )
        if error.errno in SHORTAGES:
            self._refuse_some()
        self._pause_for(ACCEPT_PAUSE)

    def _pause_for(self, seconds: float) -> None:
        """Leave those who wait in the kernel's queue."""
        self._loop.remove_reader(self._listener)
        self._pausing = self._clock.call_later(seconds, self._resume)

    def _refuse_some(self) -> None:
        """Use the spare descriptor for one after the other. Somebody else may be faster to take it."""
        self._close_spare()
        for _ in range(REFUSALS_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except OSError:
                break
            with accepted:
                if self._tls is None:
                    refuse(accepted)
        self._spare = open_spare()

    def _close_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


class _Arrival:
    """A connection until its protocol has it: one turn of the loop, with TLS a handshake. A task would cost more."""

    __slots__ = ("_arrivals", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, object], arrivals: "set[_Arrival]") -> None:
        self._coroutine = coroutine
        self._arrivals = arrivals
        arrivals.add(self)
        self._step(None)

    def abort(self) -> None:
        """Drop the connection."""
        self._arrivals.discard(self)
        self._coroutine.close()

    def _step(self, _: object) -> None:
        if self not in self._arrivals:
            return  # dropped
        try:
            waits_for = self._coroutine.send(None)
        except (StopIteration, OSError):  # it is there, or has gone; a failed handshake counts as gone
            self._arrivals.discard(self)
        else:
            waits_for.add_done_callback(self._step)


def refuse(accepted: socket.socket) -> None:
    """Answer 503 without waiting for anything; whoever calls closes the socket."""
    accepted.setblocking(False)
    try:
        accepted.send(UNAVAILABLE)
        accepted.shutdown(socket.SHUT_WR)
        # Closing over unread bytes would reset the connection, and a reset may overtake the answer.
        accepted.recv(64 * 1024)
    except OSError:
        return  # nothing to read, or nobody to answer


def open_spare() -> int | None:
    """A descriptor kept to be given up; None when there is none left."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
