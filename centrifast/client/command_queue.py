"""From the frames of a client to handled commands: in order, some side by side, and what waits meanwhile.

How it works
------------
The commands of a frame are decoded one by one, and each is handled at once (``eager``). With the memory engine none
ever waits: no task is made, and no queue. The first that does wait makes the session's ``CommandQueue``, which goes on
from there and goes away when nothing is left:

    take ──▶ serve ──▶ serve ──▶ done
               └─ waits ──▶ CommandQueue:  running tasks │ rest of the frame │ backlog of frames that came meanwhile

``client.concurrency`` says how many may run side by side (client protocol 3.2); 0 or 1: each command is finished before
the next is looked at. Whatever it says, nothing starts before connect is finished, and an unsubscribe waits for the
subscribe of its channel.

Reading goes on while commands wait, for a pong must not wait for them: a frame that is nothing but a pong overtakes
the backlog. Only when the backlog is full is reading paused.

A frame can hold 2,000 commands, and one of them can be the presence of 100,000 clients. So after ``COMMAND_SLICE`` the
queue rests: the loop gets its turn, the client gets what was answered so far, and one that does not take it, or has
gone, is not served any further (invariant 7).
"""

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from centrifast import eager, errors, log
from centrifast._metrics import FRAME_TYPES, now
from centrifast.client import commands
from centrifast.client.state import TAKES_COMMANDS, Closed, State
from centrifast.client.transport import ClientTransport
from centrifast.errors import ClientError, Disconnect, ErrorCode
from centrifast.limits import (
    CHANNEL_LOG_SIZE,
    COMMAND_BACKLOG_SIZE,
    COMMAND_SLICE,
    FAILED_CONNECT_LINGER,
    UNSUBSCRIBE_WAIT,
)
from centrifast.protocol import wire
from centrifast.protocol.codec import MalformedError
from centrifast.protocol.frame_types import CLIENT_PONG, kind_of
from centrifast.protocol.wire import Command, Reply

if TYPE_CHECKING:
    from centrifast.client.session import Session
    from centrifast.clock import TimerHandle


def take(session: "Session", transport: ClientTransport, frame: bytes) -> None:
    """Handle the commands of one transport frame, at once or when those before them are done."""
    if session.queue is not None:
        session.queue.add(frame)
        return
    if session.state not in TAKES_COMMANDS:
        return
    received = decode(session, frame)
    clock = session.node.clock
    rest_at = 0.0
    for command in received:
        running = eager.start(serve(session, command))
        if running is not None:
            session.queue = CommandQueue(session, transport, received)
            session.queue.own(running, command)
            session.queue.go_on()
            return
        if session.state not in TAKES_COMMANDS:
            return
        now = clock.monotonic()
        if not rest_at:
            rest_at = now + COMMAND_SLICE
        elif now >= rest_at:
            session.queue = CommandQueue(session, transport, received)
            session.queue.rest()
            return


class CommandQueue:
    """The commands of one client while at least one of them has to wait, be it for others to have their turn."""

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_held",
        "_is_paused",
        "_received",
        "_resting",
        "_running",
        "_session",
        "_timer",
        "_transport",
    )

    def __init__(self, session: "Session", transport: ClientTransport, received: Iterator[Command]) -> None:
        self._session = session
        self._transport = transport
        self._received = received  # what is left of the frame whose commands are being handled
        self._backlog: deque[bytes] = deque()  # whole frames behind it
        self._backlog_size = 0  # bytes of memory
        self._is_paused = False
        self._held: Command | None = None  # an unsubscribe that waits for the subscribe of its channel
        self._timer: TimerHandle | None = None  # its deadline
        self._running: dict[asyncio.Task[None], Command] = {}
        self._resting: TimerHandle | None = None  # until it ends nothing starts

    def own(self, running: "asyncio.Task[None]", command: Command) -> None:
        """Go on when *running*, which serves *command*, is done; it is cancelled with the session."""
        self._running[running] = command
        running.add_done_callback(self._on_done)
        if self._session.state is State.CLOSED:  # by this very command, before it had to wait
            running.cancel()

    def rest(self) -> None:
        """Start nothing before the loop has had its turn."""
        self._resting = self._session.node.clock.call_later(0, self._on_rested)

    def add(self, frame: bytes) -> None:
        """Handle a frame that came while commands wait: a lone pong at once, commands as soon as they may start."""
        session = self._session
        if session.state not in TAKES_COMMANDS or (
            frame == session.sink.variant.pong and session.sink.pong()
        ):
            return
        self._backlog.append(frame)
        self._backlog_size += sys.getsizeof(frame)
        self.go_on()

    def go_on(self) -> None:
        """Start what may start. The queue goes when nothing is left of it."""
        clock = self._session.node.clock
        rest_at = clock.monotonic() + COMMAND_SLICE
        while self._session.state in TAKES_COMMANDS and self._has_room():
            command = self._next()
            if command is None:
                break
            if self._is_subscribing(command):
                self._hold(command)
            else:
                self._start(command)
                if clock.monotonic() >= rest_at and self._session.state in TAKES_COMMANDS:
                    self.rest()
        if not self._is_busy():
            self._session.queue = None
        self._pause_or_resume()

    def close(self) -> None:
        """Cancel what runs, also the command that ended the session; nothing else starts."""
        self._release()
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        for task in self._running:
            task.cancel()
        if not self._running:  # else the queue goes when the last of them has ended
            self._session.queue = None

    # -------------------------------------------------------------- inside

    def _is_busy(self) -> bool:
        return bool(self._running) or self._resting is not None

    def _has_room(self) -> bool:
        """Whether another command may be looked at, beside those that run."""
        if not self._is_busy():
            return True
        if self._resting is not None:
            return False
        if self._held is not None or len(self._running) >= self._session.node.config.client.concurrency:
            return False
        return all(command.connect is None for command in self._running.values())

    def _next(self) -> Command | None:
        """The next command. Not decoded before it may start: what is malformed ends the session only then."""
        while True:
            command = next(self._received, None)
            if command is not None or not self._backlog:
                return command
            frame = self._backlog.popleft()
            self._backlog_size -= sys.getsizeof(frame)
            self._received = decode(self._session, frame)

    def _start(self, command: Command) -> None:
        running = eager.start(serve(self._session, command))
        if running is not None:
            self.own(running, command)

    def _on_rested(self) -> None:
        self._resting = None
        self.go_on()

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        if self._held is not None and not self._is_subscribing(self._held):
            command = self._held
            self._release()
            self._start(command)
        self.go_on()

    def _is_subscribing(self, command: Command) -> bool:
        """Whether *command* is an unsubscribe, and a subscribe of its channel runs."""
        if command.unsubscribe is None:
            return False
        channel = command.unsubscribe.channel
        return any(
            running.subscribe is not None and running.subscribe.channel == channel
            for running in self._running.values()
        )

    def _hold(self, unsubscribe: Command) -> None:
        self._held = unsubscribe
        self._timer = self._session.node.clock.call_later(UNSUBSCRIBE_WAIT, self._on_held_too_long)

    def _on_held_too_long(self) -> None:
        self._session.disconnect(errors.INTERNAL_SERVER_ERROR)

    def _release(self) -> None:
        self._held = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause_or_resume(self) -> None:
        if self._session.state is State.CLOSED:
            return  # closing reads on by itself
        is_full = self._is_busy() and self._backlog_size > COMMAND_BACKLOG_SIZE
        if is_full and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not is_full:
            self._transport.resume_reading()
        self._is_paused = is_full


def decode(session: "Session", frame: bytes) -> Iterator[Command]:
    """The commands of *frame*, each decoded when it is asked for; what is malformed ends the session (3501)."""
    count = session.sink.variant.count_received
    try:
        for command, size in session.codec.decode(frame):
            kind = kind_of(command)
            if kind != CLIENT_PONG:  # the sink counts those it waits for
                count(kind, size)
            yield command
    except MalformedError as malformed:
        log.info("client sent something malformed", client=session.client, error=str(malformed))
        session.disconnect(errors.BAD_REQUEST_DISCONNECT)


async def serve(session: "Session", command: Command) -> None:
    """One command, from the checks that hold for all (client protocol 3.1) to its reply."""
    if session.node.open_taps:
        session.node.taps.on_command(session, command)
    try:
        if session.state is State.CONNECTING and command.connect is None:
            raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
        if command.id == 0 and command.send is None:
            if not session.sink.pong():
                raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
            return
        kind = kind_of(command)
        if log.enabled(log.TRACE):
            log.trace("command", client=session.client, method=FRAME_TYPES[kind], channel=channel_of(command))
        started = now()
        try:
            reply = await commands.handle(session, command)
        finally:
            session.node.metrics.commands[kind].observe_since(started)
    except ClientError as failure:
        answer_error(session, command, failure.error)
    except Disconnect as end:
        session.disconnect(end.disconnect)
    except Closed:
        return
    except Exception:  # noqa: BLE001 - the boundary where a bug costs one command, not the server
        log.exception("command failed", client=session.client, user=session.user)
        answer_error(session, command, errors.INTERNAL)
    else:
        session.send(reply, kind)
        if session.state is not State.CLOSED:  # a result that the client can not take ends it
            commands.after_reply(session, command)


def answer_error(session: "Session", command: Command, error: ErrorCode) -> None:
    """Answer with a row of the table; after an error reply to connect nothing more is read (client protocol 3.1)."""
    kind = kind_of(command)
    session.node.metrics.reply_errors.of(FRAME_TYPES[kind], error.code).add()
    if error is not errors.INTERNAL:  # that was logged where it happened
        log.info(
            "command refused",
            client=session.client,
            user=session.user,
            method=FRAME_TYPES[kind],
            channel=channel_of(command),
            code=error.code,
            reason=error.message,
        )
    session.send(Reply(id=command.id, error=wire.Error(error.code, error.message, error.temporary)), kind)
    if session.state is State.CONNECTING:
        session.state = State.FAILED
        session.sink.wake_in(FAILED_CONNECT_LINGER)


def channel_of(command: Command) -> str:
    """The channel that a command is about, for the log; empty if it is about none."""
    request = getattr(command, FRAME_TYPES[kind_of(command)], None)
    channel: str = getattr(request, "channel", "")
    return channel[:CHANNEL_LOG_SIZE]
