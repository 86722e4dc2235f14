"""One connection to Redis: bytes out, replies in, and whether the server still answers.

What is asked in one turn of the loop leaves in one write. Replies come in the order of the requests, so nobody waits
alone: a request that takes longer than ``io_timeout`` ends the connection and fails all that wait, because a reply
that comes after its request was given up would be taken for the next one's. A single timer looks after that; it counts
its own turns and not seconds, so a pause of this process is not held against the server. An idle connection is pinged
each second (engines specification 3.7).
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import cast

import hiredis

from centrifast.clock import Clock, TimerHandle
from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.limits import REDIS_QUEUE_SIZE, REDIS_REPLY_SIZE

MORE = object()
"""What the reader answers when it needs more bytes; its own default could be a reply of RESP3."""

Command = tuple[bytes | str | int, ...]

pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment] # it is declared for one word only

PING = pack(("PING",))

PING_INTERVAL = 1.0
"""Seconds without a byte after which an idle connection is pinged (engines specification 3.7)."""

_LOOKS = 4
"""Times that the timer looks within a second, or within ``io_timeout`` if that is shorter."""


class Wire(asyncio.Protocol):
    """See above. How replies are matched is for subclasses to say: ``ask`` and what follows it."""

    _transport: asyncio.Transport
    _timer: TimerHandle

    def __init__(self, clock: Clock, name: str, io_timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.name = name
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection has ended, after everybody who waited was told."""

        self.is_open = False
        self._clock = clock
        self._reader = hiredis.Reader(replyError=RedisError, notEnoughData=MORE)
        self._out: list[bytes] = []
        self._queued = 0
        self._is_crowded = False
        self._reason: OSError = ConnectionError(f"there is no connection to Redis at {name}")
        self._io_timeout = io_timeout
        self._period = min(PING_INTERVAL, io_timeout) / _LOOKS
        self._patience = math.ceil(io_timeout / self._period)
        self._quiet = 0  # turns of the timer since anything was received
        self._ping_after = math.ceil(PING_INTERVAL / self._period)
        self._answered = 0
        self._marks: deque[int] = deque()  # how many requests had been made at each of the timer's last turns

    @property
    def error(self) -> OSError:
        """Why it ended, a fresh exception each time."""
        return type(self._reason)(str(self._reason))

    def check(self) -> None:
        """Raise ``ConnectionError`` if nothing more can be asked."""
        if not self.is_open:
            raise ConnectionError(str(self._reason))
        if self._is_crowded or self._queued > REDIS_QUEUE_SIZE:
            raise ConnectionError(f"{REDIS_QUEUE_SIZE} bytes wait for Redis at {self.name} already")

    def abort(self, reason: OSError) -> None:
        """End at once; whoever waits gets *reason*, whoever asks from here on a ``ConnectionError``."""
        if self.is_open:
            self.is_open = False
            self._reason = reason
            self._transport.abort()

    def ask(self, command: Command) -> asyncio.Future[Reply]:
        """Send a command whether or not anybody awaits the reply. Raises ``ConnectionError`` at once if it can not be.

        The reply is an exception when Redis answers with an error (``RedisError``) or the connection ends before.
        """
        raise NotImplementedError

    # ------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(REDIS_QUEUE_SIZE)
        self.is_open = True
        self._timer = self._clock.call_later(self._period, self._tick)

    def data_received(self, data: bytes) -> None:
        self._quiet = 0
        self._reader.feed(data)
        try:
            self._take()
        except hiredis.ProtocolError as error:
            self.abort(ConnectionError(f"what Redis at {self.name} says is not its protocol: {error}"))
        if self._reader.len() > REDIS_REPLY_SIZE:
            self.abort(
                ConnectionError(f"a reply of Redis at {self.name} has more than {REDIS_REPLY_SIZE} bytes")
            )

    def pause_writing(self) -> None:
        self._is_crowded = True

    def resume_writing(self) -> None:
        self._is_crowded = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_open:
            self.is_open = False
            self._reason = ConnectionError(
                f"the connection to Redis at {self.name} is lost: {exc or 'closed'}"
            )
        self._timer.cancel()
        self._out.clear()
        self._fail()
        if not self.lost.done():
            self.lost.set_result(None)

    # -------------------------------------------------------- for subclasses

    def _take(self) -> None:
        """Handle all replies that the reader has."""
        raise NotImplementedError

    def _fail(self) -> None:
        """Tell everybody who waits that it has ended: ``error``."""
        raise NotImplementedError

    def _waiting_count(self) -> int:
        """How many requests have no answer."""
        raise NotImplementedError

    def _ping(self) -> None:
        """Ask for a sign of life."""
        raise NotImplementedError

    def _is_late(self, mark: int) -> bool:
        """Whether one of the first *mark* requests, which were made ``io_timeout`` ago, still waits."""
        return mark > self._answered

    def _send(self, packed: bytes) -> None:
        """Have bytes leave at the end of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)
        self._queued += len(packed)

    # -------------------------------------------------------------- inside

    def _flush(self) -> None:
        out, self._out, self._queued = self._out, [], 0
        if out and self.is_open:
            self._transport.write(b"".join(out))

    def _tick(self) -> None:
        self._timer = self._clock.call_later(self._period, self._tick)
        self._quiet += 1
        waiting = self._waiting_count()
        self._marks.append(self._answered + waiting)
        if len(self._marks) > self._patience and self._is_late(self._marks.popleft()):
            self.abort(TimeoutError(f"Redis at {self.name} has not answered for {self._io_timeout:g} s"))
        elif waiting == 0 and self._quiet >= self._ping_after:
            self._ping()
