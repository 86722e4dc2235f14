"""One client's session: its state, its timers, and the way from a command to its handler.

How it works
------------
The transport calls ``on_message`` with the bytes of one frame. Commands are taken in order; each is handled before
the next is looked at (client protocol 3.2). A handler is a coroutine, run at once (``eager``): with the memory engine
none ever waits, so no task is made. When one does wait, reading is paused, what has already arrived is kept, and the
task goes on with it when the handler is done.

    CONNECTING ──connect answered──▶ CONNECTED ──▶ CLOSED
        │  └─ connect answered with an error ──▶ FAILED: nothing more is read, dropped after FAILED_CONNECT_LINGER
        └──── no connect within client.stale_close_delay: Disconnect 3502

After every wait the client may be gone (invariant 6): handlers call ``check_open`` before they touch hub or engine.
"""

import asyncio
from collections.abc import Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING

from centrifast import eager, errors, log
from centrifast._core import NO_PONG, SLOW, Sink
from centrifast.client import commands
from centrifast.client.transport import ClientTransport, close_with
from centrifast.errors import ClientError, Disconnect, DisconnectCode, UnsubscribeCode
from centrifast.hub import Subscription
from centrifast.limits import FAILED_CONNECT_LINGER
from centrifast.model import ClientInfo
from centrifast.protocol import wire
from centrifast.protocol.codec import Codec, MalformedError, NotJsonError
from centrifast.protocol.wire import Command, Push, Reply

if TYPE_CHECKING:
    from centrifast.node import Node


class State(Enum):
    """Where a session is in its life."""

    CONNECTING = auto()
    CONNECTED = auto()
    FAILED = auto()
    CLOSED = auto()


class Closed(Exception):
    """The session ended while a handler waited; the handler stops where it is."""


class Session:
    """One client connection, from its first byte to its end."""

    __slots__ = (
        "_backlog",
        "_codec",
        "_task",
        "_transport",
        "client",
        "conn_info",
        "expires_at",
        "node",
        "state",
        "subscriptions",
        "user",
    )

    def __init__(self, node: "Node", codec: Codec, transport: ClientTransport) -> None:
        self.node = node
        self._codec = codec
        self._transport = transport
        self.state = State.CONNECTING
        self.client = node.clock.new_id()
        self.user = ""
        self.conn_info = b""
        self.expires_at = 0.0  # Unix seconds when the credentials expire; 0 = never
        self.subscriptions: dict[str, Subscription] = {}
        self._task: asyncio.Task[None] | None = None
        self._backlog: list[bytes] | None = None
        node.hub.connecting.add(self)
        transport.sink.wake_in(node.config.client.stale_close_delay)

    # --------------------------------------------- called by the transport

    def on_message(self, frame: bytes, is_text: bool) -> None:
        """Handle the commands of one transport frame."""
        if self._task is not None:
            if self._backlog is None:
                self._backlog = []
            self._backlog.append(frame)
        else:
            self._run(self._commands(frame))
            if self._task is not None and self.state is not State.CLOSED:
                self._transport.pause_reading()

    def on_sink_failed(self, reason: int) -> None:
        """The sink can not go on: the client does not read, or did not answer a ping."""
        if reason == SLOW:
            log.info("client disconnected as slow", client=self.client, user=self.user)
            self.disconnect(errors.SLOW, flush=False)
        elif reason == NO_PONG:
            self.disconnect(errors.NO_PONG)
        else:
            log.info("client does not take what is written", client=self.client, user=self.user)
            self.disconnect(errors.WRITE_ERROR, flush=False)

    def on_wake(self) -> None:
        """The deadline set with ``sink.wake_in`` has passed: what it means depends on the state."""
        if self.state is State.CONNECTING:
            self.disconnect(errors.STALE)
        elif self.state is State.FAILED:
            self._transport.abort()
        elif self.state is State.CONNECTED:
            self._end_what_expired()
            self.schedule_wake()

    def on_closed(self) -> None:
        """The peer is gone or going."""
        self._end(deliver=False)

    # ------------------------------------------------ called by the server

    def send(self, reply: Reply) -> None:
        """Queue one message for the client.

        A payload that is no JSON for a JSON client ends the connection with 3506 (client protocol 2.4).
        """
        if self.state is State.CLOSED:
            return
        try:
            message = self._codec.encode(reply)
        except NotJsonError:
            self.disconnect(errors.INAPPROPRIATE_PROTOCOL)
        else:
            self._transport.sink.send(message)

    def push(self, push: Push) -> None:
        """Queue an asynchronous message."""
        self.send(Reply(push=push))

    def unsubscribe(self, channel: str, reason: UnsubscribeCode) -> None:
        """End a subscription from this side and tell the client."""
        self.node.remove_subscription(self, channel, deliver=True)
        self.push(Push(channel=channel, unsubscribe=wire.Unsubscribe(reason.code, reason.reason)))

    def disconnect(self, disconnect: DisconnectCode, *, flush: bool = True) -> None:
        """End the connection: leave everything, flush, close (client protocol 5.4)."""
        if self.state is State.CLOSED:
            return
        self._end(deliver=flush)
        log.debug("client disconnected", client=self.client, user=self.user, code=disconnect.code)
        close_with(self._transport, disconnect, flush=flush)

    def info(self, channel: str = "") -> ClientInfo:
        """Who this is, as seen by others, with its info in *channel* if it is subscribed."""
        subscription = self.subscriptions.get(channel)
        return ClientInfo(
            self.user,
            self.client,
            self.conn_info,
            subscription.chan_info if subscription is not None else b"",
        )

    def check_open(self) -> None:
        """Raise :class:`Closed` if the session ended meanwhile; called after every wait (invariant 6)."""
        if self.state is State.CLOSED:
            raise Closed

    @property
    def sink(self) -> Sink:
        """The connection's output."""
        return self._transport.sink

    @property
    def is_connecting(self) -> bool:
        """Whether no connect has been answered yet."""
        return self.state is State.CONNECTING

    def become(self, user: str, conn_info: bytes, expires_at: float) -> None:
        """Take on the identity that connect found, and be known under it."""
        self.user = user
        self.conn_info = conn_info
        self.expires_at = expires_at
        self.state = State.CONNECTED
        self.schedule_wake()
        self.node.hub.add_client(self)

    def schedule_wake(self) -> None:
        """Wake at the first moment at which something of this connection has been expired for too long."""
        if self.state is not State.CONNECTED:
            return
        client = self.node.config.client
        ends = [
            subscription.expires_at + client.expired_sub_close_delay
            for subscription in self.subscriptions.values()
            if subscription.expires_at
        ]
        if self.expires_at:
            ends.append(self.expires_at + client.expired_close_delay)
        self.sink.wake_in(max(0.0, min(ends) - self.node.clock.unix()) if ends else -1)

    def token_channels(self) -> set[str]:
        """Server-side subscriptions that the connection token asked for."""
        return {channel for channel, subscription in self.subscriptions.items() if subscription.from_token}

    # -------------------------------------------------------------- inside

    def _end_what_expired(self) -> None:
        """Client protocol 3.3 and 3.4: 3005 for the connection, 2501 or 3006 for a subscription."""
        client, now = self.node.config.client, self.node.clock.unix()
        if self.expires_at and now >= self.expires_at + client.expired_close_delay:
            self.disconnect(errors.CONNECTION_EXPIRED)
            return
        for channel, subscription in tuple(self.subscriptions.items()):
            if subscription.expires_at and now >= subscription.expires_at + client.expired_sub_close_delay:
                if subscription.server_side:
                    self.disconnect(errors.SUBSCRIPTION_EXPIRED)
                    return
                self.unsubscribe(channel, errors.UNSUBSCRIBE_EXPIRED)

    def _run(self, received: Iterator[Command]) -> None:
        """Handle commands until one has to wait, or until the session is over."""
        if self.state not in (State.CONNECTING, State.CONNECTED):
            return
        for command in received:
            running = eager.start(self._handle(command))
            if running is not None:
                self._task = running
                running.add_done_callback(lambda _: self._resume(received))
                return
            if self.state not in (State.CONNECTING, State.CONNECTED):
                return

    def _commands(self, frame: bytes) -> Iterator[Command]:
        try:
            yield from self._codec.decode(frame)
        except MalformedError as malformed:
            log.info("client sent something malformed", client=self.client, detail=str(malformed))
            self.disconnect(errors.BAD_REQUEST_DISCONNECT)

    def _resume(self, received: Iterator[Command]) -> None:
        """A command that had to wait is done: go on with the rest of its frame, then with what came meanwhile."""
        self._task = None
        self._run(received)
        while self._task is None and self._backlog:
            self._run(self._commands(self._backlog.pop(0)))
        if self._task is None and self.state is not State.CLOSED:
            self._transport.resume_reading()

    async def _handle(self, command: Command) -> None:
        """One command, from the checks that hold for all (client protocol 3.1) to its reply."""
        try:
            if self.state is State.CONNECTING and command.connect is None:
                raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
            if command.id == 0 and command.send is None:
                if not self._transport.sink.pong():
                    raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
                return
            reply = await commands.handle(self, command)
        except ClientError as failure:
            self._answer_error(command, failure.error)
        except Disconnect as end:
            self.disconnect(end.disconnect)
        except Closed:
            return
        except Exception:  # noqa: BLE001 - the boundary where a bug costs one command, not the server
            log.exception("command failed", client=self.client, user=self.user)
            self._answer_error(command, errors.INTERNAL)
        else:
            self.send(reply)
            if self.state is not State.CLOSED:  # a result that the client can not take ends it
                commands.after_reply(self, command)

    def _answer_error(self, command: Command, error: errors.ErrorCode) -> None:
        self.send(Reply(id=command.id, error=wire.Error(error.code, error.message, error.temporary)))
        if self.state is State.CONNECTING:
            self.state = State.FAILED
            self._transport.sink.wake_in(FAILED_CONNECT_LINGER)

    def _end(self, *, deliver: bool) -> None:
        """Leave every channel and the hub; the transport is closed by whoever calls this."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        for channel in tuple(self.subscriptions):
            self.node.remove_subscription(self, channel, deliver=deliver)
        self.node.hub.remove_client(self)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._backlog = None
