"""Who is here: clients, users, and which core Channel a channel's name stands for.

A publication is encoded here once per variant in use and given to the core; what happens to it then is the core's
matter (``_core``). Nothing here decides whether somebody may subscribe.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from centrifast._core import Channel, Drain, Sink
from centrifast._framing import Variant
from centrifast.protocol.codec import NotJsonError
from centrifast.protocol.wire import Pub

if TYPE_CHECKING:
    from centrifast.client.session import Session

Encoder = Callable[[str, Pub], bytes]


class Hub:
    """Local connections and subscriptions of this node."""

    def __init__(self, drain: Drain, encoders: Mapping[Variant, Encoder]) -> None:
        self._drain = drain
        self._encoders = encoders
        self.clients: dict[str, Session] = {}
        # One session, the usual case, stands alone: a set for each user would cost 216 bytes a connection.
        self._users: dict[str, Session | set[Session]] = {}
        self.channels: dict[str, Channel] = {}
        self.subscription_count = 0

    # ------------------------------------------------------------- clients

    def add_client(self, session: "Session") -> None:
        """Register a session that has connected."""
        self.clients[session.client] = session
        others = self._users.get(session.user)
        if others is None:
            self._users[session.user] = session
        elif isinstance(others, set):
            others.add(session)
        else:
            self._users[session.user] = {others, session}

    def remove_client(self, session: "Session") -> None:
        """Forget a session; harmless if it never connected."""
        if self.clients.pop(session.client, None) is None:
            return
        others = self._users[session.user]
        if isinstance(others, set):
            others.discard(session)
            if others:
                return
        del self._users[session.user]

    def sessions_of(self, user: str, client: str = "") -> "Sequence[Session]":
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

    def broadcast(self, channel: str, publication: Pub) -> "Sequence[Session]":
        """Give a publication to all local subscribers.

        Returns the sessions that can not be given it, because its payload is no JSON and they speak JSON
        (client protocol 2.4): they must be disconnected.
        """
        core = self.channels.get(channel)
        if core is None:
            return ()
        refused: list[Session] = []
        for variant in core.variants:
            try:
                message = self._encoders[variant](channel, publication)
            except NotJsonError:
                refused.extend(sink.owner.handler for sink in core.sinks(variant))
            else:
                core.broadcast(variant, message)
        return refused
