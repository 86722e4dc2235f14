"""Who is here: clients, users, and which core Channel a channel's name stands for.

Nothing here decides whether somebody may subscribe, or what a subscriber is sent (``delivery``).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from centrifast._channel import Channel
from centrifast._core import Drain, Sink
from centrifast.delivery import PLAIN, Delivery
from centrifast.errors import DisconnectCode, UnsubscribeCode
from centrifast.metrics.collector import Population
from centrifast.metrics.metrics import Meter
from centrifast.model import ClientInfo
from centrifast.protocol.wire import Push


class Subscription:
    """What a client holds per channel. *expires_at* in Unix seconds, 0 = never; *from_token* = connection token.

    *presence*: it is shown among the subscribers; *announced*: others are told of its coming and going;
    *recoverable*: the client may come back to its position. ``preparation`` is what has been found out while it is
    being made, and ``started`` says whether publications go to the client already.
    """

    __slots__ = (
        "announced",
        "chan_info",
        "delivery",
        "expires_at",
        "from_token",
        "preparation",
        "presence",
        "recoverable",
        "server_side",
        "started",
    )

    def __init__(
        self,
        *,
        server_side: bool,
        chan_info: bytes = b"",
        expires_at: float = 0,
        from_token: bool = False,
        delivery: Delivery = PLAIN,
        presence: bool = False,
        announced: bool = False,
        recoverable: bool = False,
    ) -> None:
        self.server_side = server_side
        self.chan_info = chan_info
        self.expires_at = expires_at
        self.from_token = from_token
        self.delivery = delivery
        self.presence = presence
        self.announced = announced
        self.recoverable = recoverable
        self.preparation: object = None
        self.started = False

    def refreshed(self, chan_info: bytes, expires_at: float) -> "Subscription":
        """The same with other info and another expiration (client protocol 3.12)."""
        changed = Subscription(
            server_side=self.server_side,
            chan_info=chan_info,
            expires_at=expires_at,
            from_token=self.from_token,
            delivery=self.delivery,
            presence=self.presence,
            announced=self.announced,
            recoverable=self.recoverable,
        )
        changed.started = self.started
        return changed

    def shared(self) -> "Subscription":
        """The same for all who hold nothing of their own: most do not, and an object each would cost 136 bytes."""
        if self.chan_info or self.expires_at or self.delivery.filter is not None:
            return self
        kind = (
            self.server_side,
            self.from_token,
            self.delivery,
            self.presence,
            self.announced,
            self.recoverable,
        )
        return _SHARED.setdefault(kind, self)


_SHARED: dict[object, Subscription] = {}


class Client(Protocol):
    """What hub and node ask of a connection's session."""

    client: str
    user: str
    subscriptions: dict[str, Subscription]
    meter: Meter

    def info(self, channel: str = "") -> ClientInfo:
        """Who this is, as seen by others, with its info in *channel* if it is subscribed."""

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

    def refresh(self, expire_at: float, info: bytes) -> None:
        """Expire at another time, 0 = never, with other info if there is any, and tell the client."""


def is_subscribed(client: Client, channel: str) -> bool:
    """Whether publications of the channel go to the client."""
    subscription = client.subscriptions.get(channel)
    return subscription is not None and subscription.started


class Hub:
    """Local connections and subscriptions of this node."""

    def __init__(self, drain: Drain) -> None:
        self.drain = drain
        self.connecting: set[Client] = set()  # open, not connected yet or refused
        self.clients: dict[str, Client] = {}
        # One session, the usual case, stands alone: a set for each user would cost 216 bytes a connection.
        self._users: dict[str, Client | set[Client]] = {}
        self.channels: dict[str, Channel] = {}
        self.subscription_count = 0
        self.on_count: Callable[[int], None] | None = None
        """Told how many clients there are, whenever that changes."""

    # ------------------------------------------------------------- clients

    def add_client(self, session: Client) -> None:
        """Register a session that has connected."""
        self.connecting.discard(session)
        self.clients[session.client] = session
        if self.on_count is not None:
            self.on_count(len(self.clients))
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
        if self.on_count is not None:
            self.on_count(len(self.clients))
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

    def population(self) -> Population:
        """How many of everything there are."""
        return Population(len(self.clients), self.user_count, self.subscription_count, len(self.channels))

    # ------------------------------------------------------- subscriptions

    def open_channel(self, name: str) -> Channel:
        """The channel of this name, made if there is none; it must get a subscriber in the same step."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name, self.drain)
        return channel

    def subscribe(self, channel: Channel, sink: Sink, delivery: Delivery = PLAIN) -> None:
        """Add a subscriber, who must not be one yet."""
        channel.join(sink, delivery)
        self.subscription_count += 1

    def unsubscribe(self, name: str, sink: Sink, *, deliver: bool) -> bool:
        """Remove a subscriber; True if nobody is left. With *deliver* it still gets what came before."""
        left = self.channels[name].leave(sink, deliver)
        self.subscription_count -= 1
        if left:
            return False
        del self.channels[name]
        return True

    def subscriber_counts(self) -> Iterator[tuple[str, int]]:
        """Channels with their number of subscribers."""
        return ((name, len(core)) for name, core in self.channels.items())
