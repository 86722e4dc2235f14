"""Who watches a channel, or what one user does: ``POST /api/tail`` opens a tap, for people who look for a fault.

How it works: ``open`` is empty as long as nobody watches, and the way of a publication, a command or a reply asks it
nothing more than that. A watched channel is held (``interest``), so the broker delivers it here whether or not
somebody is subscribed; a watcher is no subscriber and counted nowhere. What a user is sent through the core is not
seen there: a publication is taken to go to the user if one of the sessions known here is subscribed to its channel.
"""

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from centrifast.background import Background
from centrifast.clock import Clock
from centrifast.errors import DisconnectCode
from centrifast.hub import Client, Hub
from centrifast.interest import Interest
from centrifast.limits import TAP_COMMANDS, TAP_SESSIONS
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.protocol.wire import REQUEST_FIELDS, Command, Reply


class Asked(Struct, frozen=True):
    """A command that waits for its reply; *since* is monotonic."""

    method: str
    channel: str
    since: float
    command: Command


class Watcher(Protocol):
    """What is told to whoever watches. It must not wait, and may forget the tap from inside any call."""

    def on_ready(self) -> None:
        """From here on everything is seen."""

    def on_failed(self) -> None:
        """The broker can not be asked for the channel."""

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        """A publication of the channel, or one that the user gets."""

    def on_member(self, channel: str, info: ClientInfo, *, joined: bool) -> None:
        """Somebody joined or left the channel."""

    def on_connected(self, session: Client, address: str) -> None:
        """One more connection of the user."""

    def on_disconnected(self, session: Client, disconnect: DisconnectCode) -> None:
        """One less."""

    def on_command(self, session: Client, asked: Asked) -> None:
        """The user's client asks for something."""

    def on_sent(self, session: Client, reply: Reply, size: int, asked: Asked | None, seconds: float) -> None:
        """It is sent a reply, *seconds* after it asked, or a push; *size* in bytes."""


class _Watched(Struct):
    """A user: who watches, and through which of its sessions publications are seen."""

    watchers: list[Watcher]
    sessions: dict[str, Client]


class Taps:
    """All taps of this node."""

    def __init__(self, hub: Hub, interest: Interest, background: Background, clock: Clock) -> None:
        self.open: dict[Watcher, tuple[str | None, str]] = {}
        """Channel, or None and user, by watcher; always the same dictionary."""
        self._hub = hub
        self._interest = interest
        self._background = background
        self._clock = clock
        self._channels: dict[str, list[Watcher]] = {}
        self._users: dict[str, _Watched] = {}
        self._asked: dict[tuple[str, int], Asked] = {}

    def watch_channel(self, channel: str, watcher: Watcher) -> None:
        """Tell *watcher* of the channel's publications, joins and leaves until ``forget``."""
        self.open[watcher] = (channel, "")
        self._channels.setdefault(channel, []).append(watcher)
        self._background.run("tap failed", self._hold(channel, watcher))

    def watch_user(self, user: str, watcher: Watcher) -> None:
        """Tell *watcher* what happens to the user's connections until ``forget``."""
        self.open[watcher] = (None, user)
        watched = self._users.get(user)
        if watched is None:
            sessions = self._hub.sessions_of(user)[:TAP_SESSIONS]
            watched = self._users[user] = _Watched([], {session.client: session for session in sessions})
        watched.watchers.append(watcher)
        watcher.on_ready()

    def forget(self, watcher: Watcher) -> None:
        """Tell it nothing more; harmless when it is not known."""
        channel, user = self.open.pop(watcher, (None, None))
        if channel is not None:
            watchers = self._channels[channel]
            watchers.remove(watcher)
            if not watchers:
                del self._channels[channel]
            self._interest.let_go(channel)
        elif user is not None:
            watched = self._users[user]
            watched.watchers.remove(watcher)
            if not watched.watchers:
                del self._users[user]
        if not self._users:
            self._asked.clear()

    # --------------------------------- called while something is ``open``

    def on_publication(self, channel: str, publication: Publication, position: StreamPosition) -> None:
        """A publication has come from the engine."""
        for watcher in tuple(self._channels.get(channel, ())):
            watcher.on_publication(channel, publication, position)
        for watched in tuple(self._users.values()):
            if any(_gets(session, channel, publication) for session in watched.sessions.values()):
                for watcher in tuple(watched.watchers):
                    watcher.on_publication(channel, publication, position)

    def on_member(self, channel: str, info: ClientInfo, *, joined: bool) -> None:
        """A join or leave has come from the engine."""
        for watcher in tuple(self._channels.get(channel, ())):
            watcher.on_member(channel, info, joined=joined)
        for watched in tuple(self._users.values()):
            if any(_is_told(session, channel) for session in watched.sessions.values()):
                for watcher in tuple(watched.watchers):
                    watcher.on_member(channel, info, joined=joined)

    def on_connected(self, session: Client, address: str) -> None:
        """A session has become known; what its connect asked for is shown behind it."""
        watched = self._users.get(session.user)
        if watched is None:
            return
        if len(watched.sessions) < TAP_SESSIONS:
            watched.sessions[session.client] = session
        connects = [asked for (client, _), asked in self._asked.items() if client == session.client]
        for watcher in tuple(watched.watchers):
            watcher.on_connected(session, address)
            for asked in connects:
                watcher.on_command(session, asked)

    def on_disconnected(self, session: Client, disconnect: DisconnectCode) -> None:
        """A session ends; the hub knows it still, if it ever did."""
        for key in [key for key in self._asked if key[0] == session.client]:
            del self._asked[key]
        watched = self._users.get(session.user)
        if watched is None:
            return
        watched.sessions.pop(session.client, None)
        for watcher in self._watchers_of(session):
            watcher.on_disconnected(session, disconnect)

    def on_command(self, session: Client, command: Command) -> None:
        """A command is about to be served. Whose connect it is shows later, so any of them is remembered."""
        watchers = self._watchers_of(session)
        if not (watchers or (command.connect is not None and self._users)):
            return
        method = next((name for name in REQUEST_FIELDS if getattr(command, name) is not None), "")
        if not method and not command.id:
            return  # a pong
        asked = Asked(
            method, getattr(getattr(command, method, None), "channel", ""), self._clock.monotonic(), command
        )
        if command.id and len(self._asked) < TAP_COMMANDS:
            self._asked[session.client, command.id] = asked
        for watcher in watchers:
            watcher.on_command(session, asked)

    def on_sent(self, session: Client, reply: Reply, size: int) -> None:
        """A reply or a push that goes to this session alone has been queued."""
        asked = self._asked.pop((session.client, reply.id), None) if reply.id else None
        seconds = 0.0 if asked is None else self._clock.monotonic() - asked.since
        for watcher in self._watchers_of(session):
            watcher.on_sent(session, reply, size, asked, seconds)

    # -------------------------------------------------------------- inside

    async def _hold(self, channel: str, watcher: Watcher) -> None:
        try:
            await self._interest.hold(channel)
        except (ConnectionError, TimeoutError):
            if watcher in self.open:
                watcher.on_failed()
            raise
        if watcher in self.open:
            watcher.on_ready()

    def _watchers_of(self, session: Client) -> Iterable[Watcher]:
        """Who watches this session. Before connect is answered it is nobody's, not an anonymous user's."""
        watched = self._users.get(session.user)
        if watched is None or not (session.user or session.client in self._hub.clients):
            return ()
        return tuple(watched.watchers)


def _gets(session: Client, channel: str, publication: Publication) -> bool:
    """Whether the session is sent publications of the channel like this one."""
    subscription = session.subscriptions.get(channel)
    if subscription is None or not subscription.started:
        return False
    tags_filter = subscription.delivery.filter
    return tags_filter is None or tags_filter.matches(publication.tags)


def _is_told(session: Client, channel: str) -> bool:
    """Whether the session is told who joins and leaves the channel."""
    subscription = session.subscriptions.get(channel)
    return subscription is not None and subscription.started and subscription.delivery.join_leave
