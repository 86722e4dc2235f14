"""The connection for PUB/SUB: messages as they come, and confirmations in the order of what was asked.

Messages are handled in slices of ``PUBSUB_SLICE``: what has arrived beyond that waits for the next turn of the loop,
and nothing more is read meanwhile. Back-pressure is then TCP's and Redis' own limit of a subscriber's output, beyond
which Redis ends the connection. RESP2 and RESP3 differ only in how a message is marked, so one code reads both.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import hiredis

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.wire import MORE, PING, Command, Wire, pack
from centrifast.limits import PUBSUB_SLICE, REDIS_REQUESTS

MESSAGES = (b"message", b"smessage")
CONFIRMATIONS = (b"subscribe", b"unsubscribe", b"ssubscribe", b"sunsubscribe")

OnMessage = Callable[[bytes, bytes], None]


class _Request:
    """What was asked: *channels* are confirmed one by one, a command without any has one reply."""

    __slots__ = ("answers", "channels", "confirmed", "verb")

    def __init__(
        self, verb: bytes, channels: Sequence[bytes], answers: Sequence[asyncio.Future[Reply] | None]
    ) -> None:
        self.verb = verb
        self.channels = channels
        self.answers = answers  # one per channel, or the one of the command; None where nobody wants to know
        self.confirmed = 0


class PubSubWire(Wire):
    """See above. *on_message* gets Redis channel and message; *on_failure* is told when it has raised something."""

    def __init__(
        self,
        clock: Clock,
        name: str,
        io_timeout: float,
        on_message: OnMessage,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(clock, name, io_timeout)
        self._on_message = on_message
        self._on_failure = on_failure
        self._requests: deque[_Request] = deque()
        self._is_paused = False
        self.messages = 0
        """Messages so far."""

    def ask(self, command: Command) -> asyncio.Future[Reply]:
        """See ``Wire.ask``; for commands with one reply."""
        self.check()
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._send(pack(command))
        self._requests.append(_Request(b"", (), (answer,)))
        return answer

    def change(
        self, verb: bytes, channels: Sequence[bytes], answers: Sequence[asyncio.Future[Reply] | None]
    ) -> None:
        """Subscribe to channels or unsubscribe; each one's *answer* is set when it is confirmed.

        *verb* is one of ``CONFIRMATIONS``; an answer that is None is told nobody. Raises ``ConnectionError`` at once.
        """
        self.check()
        if len(self._requests) >= REDIS_REQUESTS:
            raise ConnectionError(f"{REDIS_REQUESTS} requests wait for Redis at {self.name} already")
        self._send(pack((verb, *channels)))
        self._requests.append(_Request(verb, channels, answers))

    def data_received(self, data: bytes) -> None:
        if self._is_paused:  # TLS may have some more
            self._reader.feed(data)
        else:
            super().data_received(data)

    # -------------------------------------------------------------- inside

    def _take(self) -> None:
        try:
            is_done = self._take_slice()
        except hiredis.ProtocolError:
            raise
        except Exception:  # noqa: BLE001 - the boundary where a bug costs one message
            log.exception("a message of Redis can not be handled")
            self._on_failure()
            is_done = False
        if not self.is_open:
            return
        if not is_done:
            self._loop.call_soon(self._go_on)
        if is_done is self._is_paused:
            self._is_paused = not is_done
            if is_done:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _go_on(self) -> None:
        if self.is_open:
            super().data_received(b"")

    def _take_slice(self) -> bool:
        """Handle what the reader has, for as long as a slice lasts; whether that was all."""
        gets = self._reader.gets
        on_message = self._on_message
        until = time.monotonic() + PUBSUB_SLICE
        while self.is_open and (reply := gets()) is not MORE:
            kind = type(reply)
            if (kind is list or kind is hiredis.PushNotification) and reply and reply[0] in MESSAGES:
                self.messages += 1
                on_message(reply[1], reply[2])
                if time.monotonic() >= until:
                    return False
            else:
                self._on_reply(reply)
        return True

    def _on_reply(self, reply: Reply) -> None:
        if isinstance(reply, list) and len(reply) == 3 and reply[0] in CONFIRMATIONS:
            self._on_confirmation(reply[0], reply[1])
        elif isinstance(reply, hiredis.PushNotification):
            pass  # nobody has asked for any
        elif not self._requests or self._requests[0].confirmed:
            self.abort(ConnectionError(f"Redis at {self.name} answers what nobody has asked"))
        else:
            self._answered += 1
            for answer in self._requests.popleft().answers:
                if answer is None or answer.done():
                    continue
                if isinstance(reply, RedisError):
                    answer.set_exception(RedisError(str(reply)))
                else:
                    answer.set_result(reply)

    def _on_confirmation(self, verb: bytes, channel: bytes | None) -> None:
        request = self._requests[0] if self._requests else None
        if request is None or request.verb != verb or request.channels[request.confirmed] != channel:
            # Redis unsubscribes by itself when a slot moves away (sharded PUB/SUB) or rights are taken.
            self.abort(ConnectionError(f"Redis at {self.name} has ended a subscription"))
            return
        answer = request.answers[request.confirmed]
        request.confirmed += 1
        if request.confirmed == len(request.channels):
            self._requests.popleft()
            self._answered += 1
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _fail(self) -> None:
        while self._requests:
            request = self._requests.popleft()
            for answer in request.answers[request.confirmed :]:
                if answer is not None and not answer.done():
                    answer.set_exception(self.error)

    def _waiting_count(self) -> int:
        return len(self._requests)

    def _is_late(self, mark: int) -> bool:
        """Confirmations come behind messages, however many those are: only silence is held against the server."""
        return mark > self._answered and self._quiet >= self._patience

    def _ping(self) -> None:
        self._send(PING)
        self._requests.append(_Request(b"", (), (None,)))
