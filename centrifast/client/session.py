"""One client's session: who it is, what it is subscribed to, its timers, and its end.

The transport calls ``on_message`` with the bytes of one frame; ``command_queue`` makes handled commands of them. After
every wait the client may be gone (invariant 6): handlers call ``check_open`` before they touch hub or engine.
"""

from typing import TYPE_CHECKING

from centrifast import errors, log
from centrifast._core import NO_PONG, SLOW, Sink
from centrifast.client.command_queue import CommandQueue, take
from centrifast.client.commands.expiry import time_to_live
from centrifast.client.state import Closed, State
from centrifast.client.transport import ClientTransport, close_with
from centrifast.errors import DisconnectCode, UnsubscribeCode
from centrifast.hub import Subscription
from centrifast.metrics.metrics import NOBODY
from centrifast.model import ClientInfo
from centrifast.protocol import wire
from centrifast.protocol.codec import Codec, NotJsonError
from centrifast.protocol.frame_types import kind_of_push
from centrifast.protocol.wire import Push, Reply

if TYPE_CHECKING:
    from centrifast.node import Node


class Session:
    """One client connection, from its first byte to its end."""

    __slots__ = (
        "_transport",
        "client",
        "codec",
        "conn_info",
        "expires_at",
        "header_user",
        "meter",
        "node",
        "queue",
        "refresh_at",
        "state",
        "subscriptions",
        "user",
    )

    def __init__(self, node: "Node", codec: Codec, transport: ClientTransport, header_user: str = "") -> None:
        self.node = node
        self.codec = codec
        self._transport = transport
        self.state = State.CONNECTING
        self.client = node.clock.new_id()
        self.user = ""
        self.header_user = header_user  # named by the trusted header (server specification 5.6)
        self.conn_info = b""
        self.expires_at = 0.0  # Unix seconds when the credentials expire; 0 = never
        self.refresh_at = 0.0  # when its presence entries must be refreshed, monotonic; 0 = it has none
        self.subscriptions: dict[str, Subscription] = {}
        self.queue: CommandQueue | None = None  # while commands wait
        self.meter = NOBODY  # until connect says what this client looks like
        node.hub.connecting.add(self)
        transport.sink.wake_in(node.config.client.stale_close_delay)

    # --------------------------------------------- called by the transport

    def on_message(self, frame: bytes, is_text: bool) -> None:
        """Handle the commands of one transport frame."""
        take(self, self._transport, frame)

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
            # Who waits for the engine is not to blame, and may try again.
            self.disconnect(errors.STALE if self.queue is None else errors.INTERNAL_SERVER_ERROR)
        elif self.state is State.FAILED:
            self._transport.abort()
        elif self.state is State.CONNECTED:
            self._refresh_presence()
            self._end_what_expired()
            self.schedule_wake()

    def on_closed(self) -> None:
        """The peer is gone or going."""
        if self.state is not State.CLOSED:
            if self.node.open_taps:
                self.node.taps.on_disconnected(self, errors.client_left())
            self._log_end(errors.client_left())
        self._end(deliver=False)

    # ------------------------------------------------ called by the server

    def send(self, reply: Reply, kind: int) -> None:
        """Queue one message for the client; *kind* is for the count (``protocol.frame_types``).

        A payload that is no JSON for a JSON client ends the connection with 3506 (client protocol 2.4).
        """
        if self.state is State.CLOSED:
            return
        try:
            message = self.codec.encode(reply)
        except NotJsonError:
            self.disconnect(errors.INAPPROPRIATE_PROTOCOL)
        else:
            self._transport.sink.send(message, kind)
            if self.node.open_taps:
                self.node.taps.on_sent(self, reply, len(message))

    def push(self, push: Push) -> None:
        """Queue an asynchronous message."""
        self.send(Reply(push=push), kind_of_push(push))

    def unsubscribe(self, channel: str, reason: UnsubscribeCode) -> None:
        """End a subscription from this side and tell the client."""
        self.node.metrics.unsubscribes.of(reason.code).add()
        self.node.subscriptions.remove(self, channel, deliver=True)
        self.push(Push(channel=channel, unsubscribe=wire.Unsubscribe(reason.code, reason.reason)))

    def disconnect(self, disconnect: DisconnectCode, *, flush: bool = True) -> None:
        """End the connection: leave everything, flush, close (client protocol 5.4)."""
        if self.state is State.CLOSED:
            return
        if self.node.open_taps:
            self.node.taps.on_disconnected(self, disconnect)
        self.node.metrics.disconnects.of(disconnect.code).add()
        self._end(deliver=flush)
        self._log_end(disconnect)
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

    def become_connected(self) -> None:
        """Be known, under the identity that connect found."""
        self.state = State.CONNECTED
        self.node.hub.add_client(self)
        self.node.metrics.actions["add_client"].add()
        self.meter.accepted.add()
        self.meter.connections.add()
        if self.node.open_taps:
            self.node.taps.on_connected(self, self._transport.remote_address)
        log.debug("client connected", client=self.client, user=self.user, transport=self._transport_name)
        self.schedule_wake()

    def refresh(self, expire_at: float, info: bytes) -> None:
        """Expire at another time, 0 = never, with other info if there is any, and tell the client."""
        self.expires_at = expire_at
        self.conn_info = info or self.conn_info
        self.schedule_wake()
        ttl = time_to_live(expire_at, self.node.clock)
        self.push(Push(refresh=wire.Refresh(ttl > 0, ttl)))

    def schedule_wake(self) -> None:
        """Wake at the first moment at which something of this connection is due: an expiration, presence."""
        if self.state is not State.CONNECTED:
            return
        client, clock = self.node.config.client, self.node.clock
        now, delays = clock.unix(), []
        has_presence = False
        for subscription in self.subscriptions.values():
            has_presence = has_presence or subscription.presence
            if subscription.expires_at:
                delays.append(subscription.expires_at + client.expired_sub_close_delay - now)
        if self.expires_at:
            delays.append(self.expires_at + client.expired_close_delay - now)
        if not has_presence:
            self.refresh_at = 0.0
        else:
            if not self.refresh_at:  # spread: clients that came together do not refresh together
                first = client.presence_update_interval * (0.5 + clock.random() / 2)
                self.refresh_at = clock.monotonic() + first
            delays.append(self.refresh_at - clock.monotonic())
        self.sink.wake_in(max(0.0, min(delays)) if delays else -1)

    # -------------------------------------------------------------- inside

    @property
    def _transport_name(self) -> str:
        return self._transport.sink.variant.transport

    def _log_end(self, disconnect: DisconnectCode) -> None:
        log.debug(
            "client disconnected",
            client=self.client,
            user=self.user,
            transport=self._transport_name,
            code=disconnect.code,
            reason=disconnect.reason,
        )

    def _refresh_presence(self) -> None:
        now = self.node.clock.monotonic()
        if self.refresh_at and now >= self.refresh_at:
            self.refresh_at = now + self.node.config.client.presence_update_interval
            self.node.subscriptions.refresh_presence(self)

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

    def _end(self, *, deliver: bool) -> None:
        """Leave every channel and the hub; the transport is closed by whoever calls this."""
        if self.state is State.CLOSED:
            return
        was_connected = self.state is State.CONNECTED
        self.state = State.CLOSED
        for channel in tuple(self.subscriptions):
            self.node.subscriptions.remove(self, channel, deliver=deliver)
        self.node.hub.remove_client(self)
        if was_connected:
            self.node.metrics.actions["remove_client"].add()
            self.meter.connections.add(-1)
        if self.queue is not None:
            self.queue.close()
