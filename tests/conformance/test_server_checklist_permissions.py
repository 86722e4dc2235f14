"""Lines 10 and 11 of the server's checklist: the tables of server specification 4.1 to 4.4, every combination.

A table stands here as the specification prints it: conditions in their order and an outcome each. Every situation that
can be made of names, options, users and tokens is brought about; the first condition that holds must decide. That each
row comes before each later one is proved by situations in which both hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import pytest
from msgspec import Raw

from centrifast.config.schema import ChannelOptions
from centrifast.protocol.wire import (
    Command,
    Encoding,
    Error,
    HistoryRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    Reply,
    StreamPositionRequest,
    SubscribeRequest,
)
from tests.client.conftest import Serve
from tests.client.fakes import NOW, Far, Server, config, done, token, unsubscribe
from tests.conformance.situations import ERRORS

BOTH = pytest.mark.parametrize("encoding", Encoding)
SWITCH = (False, True)
ALLOWED = 0
"""As an outcome: the command succeeds."""


def outcome_of(client: Far, command: Command) -> int:
    """Send *command*; the code of the error or disconnect it leads to, or ALLOWED."""
    replies = [reply for reply in client.ask(command) if reply.id == command.id]
    if client.closed_with is not None:
        assert replies == []
        return client.closed_with.code
    (reply,) = replies
    if reply.error is None:
        return ALLOWED
    assert reply == Reply(id=command.id, error=Error(reply.error.code, *ERRORS[reply.error.code]))
    return reply.error.code


# ------------------------------------------------------------------ 4.1

USER_LIMITED = {
    "#42": ("42",),
    "#7,42": ("7", "42"),
    "#7": ("7",),
    "#": (),
    "$#42": ("42",),
    "nope:#42": ("42",),
    "é#42": ("42",),
}
CHANNELS = ("news", "é", "nope:a", "nope:é", "$news", "$nope:a", "$é", *USER_LIMITED)
TOKENS = {
    None: None,
    "valid": ALLOWED,
    "expired": 109,
    "invalid": 103,
    "of another channel": 3500,
    "of another user": 3500,
}


@dataclass(frozen=True)
class Attempt:
    """Somebody wants to subscribe."""

    channel: str
    user: str
    token: str | None
    type: int
    options: ChannelOptions
    insecure: bool

    @property
    def is_user_limited(self) -> bool:
        return self.options.allow_user_limited_channels and self.channel in USER_LIMITED

    @property
    def request(self) -> SubscribeRequest:
        return SubscribeRequest(self.channel, token=self.text(), type=self.type)

    def text(self) -> str:
        """The token itself."""
        claims: dict[str, object] = {"sub": self.user, "channel": self.channel}
        match self.token:
            case None:
                return ""
            case "invalid":
                return "x"
            case "expired":
                claims["exp"] = NOW
            case "of another channel":
                claims["channel"] = "other"
            case "of another user":
                claims["sub"] = "somebody"
        return token(**claims)


SUBSCRIBE: tuple[tuple[str, Callable[[Attempt], bool], Callable[[Attempt], int | None]], ...] = (
    ("1 namespace unknown", lambda a: "nope:" in a.channel, lambda a: 102),
    ("2 name violates 3.3", lambda a: not a.channel.isascii(), lambda a: 107),
    ("3 type differs", lambda a: a.type != 0, lambda a: 103),
    ("4 private without token", lambda a: a.channel.startswith("$") and a.token is None, lambda a: 103),
    ("5 token", lambda a: a.token is not None, lambda a: TOKENS[a.token]),
    ("6 user listed", lambda a: a.is_user_limited and a.user in USER_LIMITED[a.channel], lambda a: ALLOWED),
    ("7 proxy", lambda a: a.options.subscribe_proxy_enabled and not a.is_user_limited, lambda a: 108),
    ("8 stream proxy", lambda a: a.options.subscribe_stream_proxy_enabled and not a.is_user_limited,
     lambda a: 108),
    ("9 allowed", lambda a: (
        a.options.allow_subscribe_for_client
        and (a.user != "" or a.options.allow_subscribe_for_anonymous)
        and not a.is_user_limited), lambda a: ALLOWED),
    ("10 insecure", lambda a: a.insecure, lambda a: ALLOWED),
    ("11 otherwise", lambda a: True, lambda a: 103),
)  # fmt: skip

NEVER_TOGETHER = {("4", "5"), ("6", "7"), ("6", "8"), ("6", "9")}
"""Rows whose conditions exclude each other; all other pairs prove which comes first."""


def subscribe_options() -> Iterator[ChannelOptions]:
    for limited, proxy, stream, client, anonymous in product(SWITCH, repeat=5):
        yield ChannelOptions(
            allow_user_limited_channels=limited,
            subscribe_proxy_enabled=proxy,
            subscribe_stream_proxy_enabled=stream,
            allow_subscribe_for_client=client,
            allow_subscribe_for_anonymous=anonymous,
        )


def attempts(options: ChannelOptions, insecure: bool) -> Iterator[Attempt]:
    for channel, user, kind, type_ in product(CHANNELS, ("", "42"), TOKENS, (0, 1)):
        yield Attempt(channel, user, kind, type_, options, insecure)


class Callers:
    """A connected client for each user, a fresh one where the last was disconnected or has become a subscriber."""

    def __init__(self, server: Server, encoding: Encoding) -> None:
        self._server = server
        self._encoding = encoding
        self._clients: dict[Any, Far] = {}

    def of(self, user: str, key: object = None) -> Far:
        client = self._clients.get((user, key))
        if client is None or client.closed_with is not None:
            claims: dict[str, Any] = {"sub": user} if user else {}
            client = self._server.connect(self._encoding, **claims)
            self._clients[user, key] = client
        return client


@pytest.mark.parametrize("insecure", SWITCH)
@BOTH
def test_10_every_row_of_4_1_in_order(serve: Serve, insecure: bool, encoding: Encoding) -> None:
    for options in subscribe_options():
        server = serve(config({"insecure": insecure, "channel_limit": 1000}, options))
        callers = Callers(server, encoding)
        for attempt in attempts(options, insecure):
            client = callers.of(attempt.user)
            row, expected = next((name, then(attempt)) for name, holds, then in SUBSCRIBE if holds(attempt))
            assert outcome_of(client, Command(id=9, subscribe=attempt.request)) == expected, (row, attempt)
            if expected == ALLOWED:
                client.ask(unsubscribe(8, attempt.channel))


def test_10_pairs_prove_precedence() -> None:
    together: set[tuple[str, str]] = set()
    for options in subscribe_options():
        for insecure in SWITCH:
            for attempt in attempts(options, insecure):
                holding = [name.split()[0] for name, holds, _ in SUBSCRIBE if holds(attempt)]
                together.update(combinations(holding, 2))
    rows = [name.split()[0] for name, _, _ in SUBSCRIBE]
    assert together == set(combinations(rows, 2)) - NEVER_TOGETHER


# ------------------------------------------------------------------ 4.2, 4.3, 4.4

NAMES = ("news", "é", "nope:a", "$news", "#7")
"""A private prefix or a user's name gives and takes no right here."""


@dataclass(frozen=True)
class Wish:
    """Somebody wants to publish to a channel, or to look into it."""

    channel: str
    user: str
    subscribed: bool
    options: ChannelOptions
    insecure: bool

    def may(self, what: str) -> bool:
        """The rows with ``allow_<what>_for_...`` and ``client.insecure``."""

        def option(who: str) -> bool:
            return bool(getattr(self.options, f"allow_{what}_for_{who}"))

        known = self.user != "" or option("anonymous")
        return self.insecure or (
            known
            and (option("client") or (option("subscriber") and self.subscribed and self.channel == "news"))
        )

    def first(self) -> int | None:
        """The rows that begin every table."""
        if self.channel.startswith("nope:"):
            return 102
        return None if self.channel.isascii() else 107


def wishes(
    server: Server, encoding: Encoding, options: ChannelOptions, insecure: bool
) -> Iterator[tuple[Far, Wish]]:
    callers = Callers(server, encoding)
    for channel, user, subscribed in product(NAMES, ("", "42"), SWITCH):
        client = callers.of(user, subscribed)
        if subscribed and "news" not in client.session.subscriptions:
            done(server.node.subscribe(user, "news", client=client.id))
        yield client, Wish(channel, user, subscribed, options, insecure)


def access(what: str) -> Iterator[tuple[bool, ChannelOptions]]:
    """``client.insecure`` and the three options, in every combination."""
    for insecure, client, subscriber, anonymous in product(SWITCH, repeat=4):
        options = {"client": client, "subscriber": subscriber, "anonymous": anonymous}
        yield (
            insecure,
            ChannelOptions(
                allow_subscribe_for_client=True,
                allow_subscribe_for_anonymous=True,
                **{f"allow_{what}_for_{who}": value for who, value in options.items()},  # type: ignore[arg-type]
            ),
        )


@pytest.mark.parametrize("proxy", [None, "publish_proxy_enabled", "subscribe_stream_proxy_enabled"])
@BOTH
def test_11_publish_4_2(serve: Serve, proxy: str | None, encoding: Encoding) -> None:
    for insecure, made in access("publish"):
        options = replace(made, **{proxy: True}) if proxy is not None else made  # type: ignore[arg-type]
        server = serve(config({"insecure": insecure}, options))
        for (client, wish), data in product(wishes(server, encoding, options, insecure), (b'{"a":1}', b"")):
            expected = wish.first() or (107 if not data else None) or (108 if proxy else None)
            if expected is None:
                expected = ALLOWED if wish.may("publish") else 103
            command = Command(id=9, publish=PublishRequest(wish.channel, Raw(data)))
            assert outcome_of(client, command) == expected, (wish, data)


@pytest.mark.parametrize("on", SWITCH)
@BOTH
def test_11_presence_4_3(serve: Serve, on: bool, encoding: Encoding) -> None:
    for insecure, made in access("presence"):
        options = replace(made, presence=on)
        server = serve(config({"insecure": insecure}, options))
        for client, wish in wishes(server, encoding, options, insecure):
            expected = wish.first() or (None if on else 108)
            if expected is None:
                expected = ALLOWED if wish.may("presence") else 103
            for command in (
                Command(id=9, presence=PresenceRequest(wish.channel)),
                Command(id=9, presence_stats=PresenceStatsRequest(wish.channel)),
            ):
                assert outcome_of(client, command) == expected, wish


@pytest.mark.parametrize("on", SWITCH)
@BOTH
def test_11_history_4_4(serve: Serve, on: bool, encoding: Encoding) -> None:
    for insecure, made in access("history"):
        options = replace(made, history_size=5, history_ttl=60.0) if on else made
        server = serve(config({"insecure": insecure}, options))
        for client, wish in wishes(server, encoding, options, insecure):
            before = wish.first() or (None if on else 108)
            if before is None and not wish.may("history"):
                before = 103
            for request, after in (
                (HistoryRequest(wish.channel, limit=10), ALLOWED),
                (HistoryRequest(wish.channel, since=StreamPositionRequest(0, ""), reverse=True), 107),
                (HistoryRequest(wish.channel, since=StreamPositionRequest(1, "other")), 112),
            ):
                expected = after if before is None else before
                assert outcome_of(client, Command(id=9, history=request)) == expected, wish
