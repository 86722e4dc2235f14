"""Who is here: clients, users, and which core Channel a channel's name stands for.

A publication is encoded here once per variant in use and given to the core; what happens to it then is the core's
matter (``_core``). Nothing here decides whether somebody may subscribe.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from centrifast._core import Channel, Drain, Sink
from centrifast._framing import Variant
from centrifast.errors import DisconnectCode, UnsubscribeCode
from centrifast.protocol.codec import NotJsonError
from centrifast.protocol.wire import Pub, Push

Encoder = Callable[[str, Pub], bytes]


class Subscription:
    """What a client holds per channel. *expires_at* in Unix seconds, 0 = never; *from_token* = connection token.

    ``started`` says whether publications go to the client already, or whether the engine is still being asked.
    """

    __slots__ = ("chan_info", "expires_at", "from_token", "server_side", "started")

    def __init__(
        self, *, server_side: bool, chan_info: bytes = b"", expires_at: float = 0, from_token: bool = False
    ) -> None:
        self.server_side = server_side
        self.chan_info = chan_info
        self.expires_at = expires_at
        self.from_token = from_token
        self.started = False

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing of its own."""
        return not (self.server_side or self.chan_info or self.expires_at)


PLAIN_SUBSCRIPTION = Subscription(server_side=False)
"""Shared by all started client-side subscriptions without info of their own: most of them."""
PLAIN_SUBSCRIPTION.started = True


class Client(Protocol):
    """What hub and node ask of a connection's session."""

    client: str
    user: str
    subscriptions: dict[str, Subscription]

    @property
    def sink(self) -> Sink:
        """The connection's output."""

    def push(self, push: Push) -> None:
        """Queue an asynchronous message."""

    def unsubscribe(self, channel: str, reason: UnsubscribeCode) -> None:
        """End a subscription and tell the client."""

    def disconnect(self, disconnect: DisconnectCode, *, flush: bool = True) -> None:
        """End the connection and tell the client."""

    def schedule_wake(self) -> None:
        """An expiration has changed."""


class Hub:
    """Local connections and subscriptions of this node."""

    def __init__(self, drain: Drain, encoders: Mapping[Variant, Encoder]) -> None:
        self._drain = drain
        self._encoders = encoders
        self.connecting: set[Client] = set()  # open, not connected yet or refused
        self.clients: dict[str, Client] = {}
        # One session, the usual case, stands alone: a set for each user would cost 216 bytes a connection.
        self._users: dict[str, Client | set[Client]] = {}
        self.channels: dict[str, Channel] = {}
        self.subscription_count = 0

    # ------------------------------------------------------------- clients

    def add_client(self, session: Client) -> None:
        """Register a session that has connected."""
        self.connecting.discard(session)
        self.clients[session.client] = session
        others = self._users.get(session.user)
        if others is None:
            self._users[session.user] = session
        elif isinstance(others, set):
            others.add(session)
        else:
            self._users[session.user] = {others, session}

    def remove_client(self, session: Client) -> None:
        """Forget a session; harmless if it never connected."""
        self.connecting.discard(session)
        if self.clients.pop(session.client, None) is None:
            return
        others = self._users[session.user]
        if isinstance(others, set):
            others.discard(session)
            if others:
                return
        del self._users[session.user]

    def sessions_of(self, user: str, client: str = "") -> Sequence[Client]:
        """A user's sessions, or only the one named *client* if it is that user's; a copy that may outlive changes."""
        if client:
            session = self.clients.get(client)
            return [session] if session is not None and session.user == user else []
        found = self._users.get(user)
        if found is None:
            return []
        return list(found) if isinstance(found, set) else [found]

    def count_of(self, user: str) -> int:
        """Connections of one user on this node."""
        found = self._users.get(user)
        return 0 if found is None else len(found) if isinstance(found, set) else 1

    @property
    def user_count(self) -> int:
        """Distinct users; all anonymous connections together count as one."""
        return len(self._users)

    # ------------------------------------------------------- subscriptions

    def subscribe(self, channel: str, sink: Sink) -> bool:
        """Add a subscriber; True if it is the first one here, so the broker must be told."""
        core = self.channels.get(channel)
        first = core is None
        if core is None:
            core = self.channels[channel] = Channel(channel, self._drain)
        core.join(sink)
        self.subscription_count += 1
        return first

    def unsubscribe(self, channel: str, sink: Sink, *, deliver: bool) -> bool:
        """Remove a subscriber; True if nobody is left. With *deliver* it still gets what came before."""
        core = self.channels[channel]
        left = core.leave(sink, deliver)
        self.subscription_count -= 1
        if left:
            return False
        del self.channels[channel]
        return True

    def subscriber_counts(self) -> Iterator[tuple[str, int]]:
        """Channels with their number of subscribers."""
        return ((name, len(core)) for name, core in self.channels.items())

    # ----------------------------------------------------------- broadcast

    def broadcast(self, channel: str, publication: Pub) -> Sequence[Client]:
        """Give a publication to all local subscribers.

        Returns the sessions that can not be given it, because its payload is no JSON and they speak JSON
        (client protocol 2.4): they must be disconnected.
        """
        core = self.channels.get(channel)
        if core is None:
            return ()
        refused: list[Client] = []
        for variant in core.variants:
            try:
                message = self._encoders[variant](channel, publication)
            except NotJsonError:
                refused.extend(sink.owner.handler for sink in core.sinks(variant))
            else:
                core.broadcast(variant, message)
        return refused
