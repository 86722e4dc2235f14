"""A client that keeps its subscriptions as the SDKs do, and does not believe the server anything.

It stores epoch and offset, applies patches with a strict decoder, subscribes again after 2500, connects again after
3010 (client protocol 6, 7, 12). Whatever it is given is compared with what was published: a ``View`` is what the
application has seen of a stream since it last had to start anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any

import msgspec
from msgspec import Struct

from centrifast import errors
from centrifast.model import NO_POSITION, StreamPosition
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    EncodedPublications,
    Encoding,
    FilterNode,
    Pub,
    Push,
    Reply,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
)
from tests.client.fakes import Far, Server
from tests.fuzz.fuzz_fossil import apply_delta
from tests.unreliable_broker import Kept, UnreliableBroker

FILTER = FilterNode(key="k", cmp="eq", val="a")
WISHES = "wishes:"
"""Prefix of the namespace in which clients say whether they want a position."""

OR_FAIL = 2
"""Bit of ``flag``: rather Error 112 than a subscription without recovery (client protocol 6.6)."""


class Kind(Struct, frozen=True):
    """How a client subscribes to a channel; *wish* is a field of the request that it sets."""

    channel: str
    server_side: bool = False
    delta: bool = False
    filtered: bool = False
    wish: str = ""
    newest_only: bool = False

    @property
    def positioned(self) -> bool:
        """Whether the server keeps the position: it does where the namespace says so, or the client wants it."""
        return bool(self.wish) or not self.channel.startswith(WISHES)

    @property
    def recoverable(self) -> bool:
        """Whether the client can come back to its position."""
        return self.positioned and self.wish != "positioned"

    def hears(self, tags: Mapping[str, str] | None) -> bool:
        """Whether the client wants a publication with these tags."""
        return not self.filtered or (tags or {}).get("k") == "a"


class Since(Enum):
    """Where a new subscription begins; at a *known position* the application has kept no payload."""

    NOW = auto()
    WHERE_IT_WAS = auto()
    KNOWN_POSITION = auto()
    BEGINNING = auto()


class View:
    """What an application has seen of one stream: everything it wants, from some offset up to another."""

    def __init__(self, kind: Kind, epoch: str, offset: int, kept: Kept) -> None:
        self.kind = kind
        self.epoch = epoch
        self.offset = offset
        self._kept = kept

    def missing(self, end: int) -> Iterator[int]:
        """Offsets up to *end* that it has not seen and should have."""
        for offset in range(self.offset + 1, end + 1):
            if self.kind.hears(self._kept.publications[offset - 1].tags):
                yield offset

    def see(self, offset: int, data: bytes, tags: Mapping[str, str] | None) -> None:
        """The next publication, which must be the next one."""
        published = self._kept.publications[offset - 1]
        assert (data, tags or None) == (published.data, published.tags or None), (offset, data, published)
        assert next(self.missing(offset), 0) == offset, f"{offset} came after {self.offset} of {self.epoch}"
        self.offset = offset


class Sub:
    """One subscription: what the SDK stores of it, and what the application has seen."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.is_wanted = True
        self.is_on = False
        self.attempt = 0  # id of the command that is under way
        self.or_fail = False
        self.recovers = False
        self.position = NO_POSITION
        self.asked: StreamPosition | None = None
        self.view: View | None = None
        self._has_delta = False
        self._base: bytes | None = None

    def choose(self, since: Since) -> None:
        """Say from where the next subscription goes on."""
        if since in (Since.NOW, Since.BEGINNING):
            self.forget()
        if since is Since.BEGINNING:
            self.recovers = self.kind.recoverable
        if since is Since.KNOWN_POSITION:
            self._base = None

    def forget(self) -> None:
        """The application has no use for the old position."""
        self.recovers, self.position, self.view = False, NO_POSITION, None

    def request(self) -> SubscribeRequest:
        """What to send to subscribe."""
        kind = self.kind
        self.asked = self.position if self.recovers else None
        wishes: dict[str, Any] = {kind.wish: True} if kind.wish else {}
        return SubscribeRequest(
            channel="" if kind.server_side else kind.channel,
            recover=self.recovers,
            offset=self.position.offset,
            epoch=self.position.epoch,
            delta="fossil" if kind.delta else "",
            tf=FILTER if kind.filtered else None,
            flag=1 | (OR_FAIL if self.or_fail else 0),
            **wishes,
        )

    def payload(self, pub: Pub, encoding: Encoding) -> bytes:
        """The payload of a publication, made of the one before if it is a patch."""
        data = bytes(pub.data)
        if not self._has_delta:
            assert not pub.delta, "a patch for somebody who did not agree"
            return data
        if encoding is Encoding.JSON:
            data = msgspec.json.decode(data, type=str).encode()
        if pub.delta:
            assert self._base is not None, "a patch to a payload that never came"
            data = apply_delta(self._base, data)
        self._base = data
        return data

    def stop(self) -> None:
        """The subscription is over, whether it will be asked for again or not."""
        self.is_on, self.attempt = False, 0

    def start(self, result: SubscribeResult) -> None:
        """Store what is stored of a result."""
        self.is_on, self.attempt = True, 0
        self._has_delta = result.delta
        if result.recoverable:
            self.recovers = True
            self.position = StreamPosition(result.offset, result.epoch)


class SdkClient:
    """An application with an SDK, whose connection may end at any time."""

    def __init__(
        self,
        server: Server,
        broker: UnreliableBroker,
        encoding: Encoding,
        kinds: list[Kind],
        *,
        pipelines: bool,
    ) -> None:
        self._server = server
        self._broker = broker
        self._encoding = encoding
        self._pipelines = pipelines  # sends subscribes in one frame with connect
        self.subs = {kind.channel: Sub(kind) for kind in kinds}
        self.far: Far | None = None
        self.is_connected = False
        self.losses = 0  # how often it was told that something is missing
        self._last_id = 0
        self._unanswered: set[int] = set()  # subscribes, also those that the application has given up

    # ------------------------------------------------------ what it does

    def connect(self) -> None:
        """Open a connection and subscribe to everything that is wanted."""
        assert self.far is None
        self.far = self._server.open(self._encoding)
        self._last_id = 1
        own = {
            channel: sub.request()
            for channel, sub in self.subs.items()
            if sub.kind.server_side and sub.is_wanted
        }
        commands = [Command(id=1, connect=ConnectRequest(subs=own))]
        if self._pipelines:
            commands += self._subscribes()
        self.far.send(*commands)

    def drop(self) -> None:
        """The connection is gone, with everything that has not been read."""
        if self.far is not None:
            self.far.vanish()
        self.far, self.is_connected = None, False
        self._unanswered.clear()
        for sub in self.subs.values():
            sub.stop()

    def subscribe(self, sub: Sub) -> None:
        """Want a subscription; server-side ones are asked for with the next connection."""
        sub.is_wanted = True
        if (
            self.is_connected
            and self.far is not None
            and not (sub.kind.server_side or sub.is_on or sub.attempt)
        ):
            self.far.send(self._subscribe(sub))

    def unsubscribe(self, sub: Sub) -> None:
        """Want it no more."""
        if sub.kind.server_side:
            return
        sub.is_wanted = False
        if self.far is not None and (sub.is_on or sub.attempt):
            sub.stop()
            self._last_id += 1
            channel = sub.kind.channel
            self.far.send(Command(id=self._last_id, unsubscribe=UnsubscribeRequest(channel=channel)))

    def read(self) -> int:
        """Take what has come; how many events that was."""
        if self.far is None:
            return 0
        replies = self.far.received()
        for reply in replies:
            self._take(reply)
        if self.far.closed_with is not None:
            code = self.far.closed_with
            assert code in (errors.INSUFFICIENT_STATE, errors.INTERNAL_SERVER_ERROR), code
            if code == errors.INSUFFICIENT_STATE:
                assert self._may_lose_connection
                self.losses += 1
            self.drop()
            return len(replies) + 1
        return len(replies)

    @property
    def lacks_something(self) -> bool:
        """Whether only another connection can give it a server-side subscription that it wants."""
        return self.is_connected and any(
            sub.kind.server_side and sub.is_wanted and not sub.is_on for sub in self.subs.values()
        )

    # ------------------------------------------------- what it is given

    def _take(self, reply: Reply) -> None:
        if reply.push is not None:
            self._on_push(reply.push)
        elif reply.connect is not None:
            self._on_connected(reply.connect.subs or {})
        else:
            self._unanswered.discard(reply.id)
            for sub in self.subs.values():
                if sub.attempt and sub.attempt == reply.id:
                    self._on_answer(sub, reply)

    def _on_connected(self, results: Mapping[str, SubscribeResult]) -> None:
        self.is_connected = True
        for channel, sub in self.subs.items():
            if sub.kind.server_side and sub.is_wanted:
                self._on_subscribed(sub, results[channel])
        assert self.far is not None
        commands = self._subscribes()
        if commands:
            self.far.send(*commands)

    def _on_answer(self, sub: Sub, reply: Reply) -> None:
        sub.attempt = 0
        if reply.error is None:
            assert reply.subscribe is not None
            self._on_subscribed(sub, reply.subscribe)
            return
        assert reply.error.code == errors.UNRECOVERABLE_POSITION.code, reply.error
        assert sub.or_fail
        assert sub.asked is not None
        known = self._broker.epochs[sub.kind.channel]
        self._check_loss(sub, sub.asked, self._epochs(sub) if not sub.asked.epoch else [known])
        sub.forget()
        self.subscribe(sub)

    def _on_push(self, push: Push) -> None:
        sub = self.subs.get(push.channel)
        if sub is None:
            return
        if push.pub is not None:
            if sub.is_on:
                self._on_publication(sub, push.pub)
        elif push.unsubscribe is not None:
            self._on_unsubscribed(sub, push.unsubscribe.code)

    def _on_unsubscribed(self, sub: Sub, code: int) -> None:
        if code == errors.UNSUBSCRIBE_INSUFFICIENT_STATE.code:
            assert not sub.kind.server_side
            self.losses += 1
            sub.is_on = False
            self.subscribe(sub)
        else:
            assert code == errors.SERVER_UNSUBSCRIBE.code, code
            sub.is_on = sub.is_wanted = False
            self.unsubscribe(sub)  # perhaps it has been asked for again

    def _on_subscribed(self, sub: Sub, result: SubscribeResult) -> None:
        asked = sub.asked
        assert result.was_recovering == (asked is not None)
        assert result.positioned == sub.kind.positioned
        if not result.positioned:
            sub.view = None
        elif not result.recovered:
            assert not result.publications
            if asked is not None and not sub.kind.newest_only:
                self._check_loss(sub, asked, [result.epoch])
            sub.view = View(sub.kind, result.epoch, result.offset, self._stream(sub, result.epoch))
        else:
            assert asked is not None
            self._check_recovery(sub, asked, result)
        sub.start(result)
        for pub in publications_of(result):
            self._on_publication(sub, pub)

    def _on_publication(self, sub: Sub, pub: Pub) -> None:
        data = sub.payload(pub, self._encoding)
        if not pub.offset:
            assert data in self._broker.unnumbered, data
        elif sub.view is not None:
            sub.view.see(pub.offset, data, pub.tags)
        else:
            assert any(
                kept.publications[pub.offset - 1].data == data
                for (channel, _), kept in self._broker.archive.items()
                if channel == sub.kind.channel and kept.top >= pub.offset
            )
        if pub.offset:
            sub.position = StreamPosition(pub.offset, sub.position.epoch)

    # ------------------------------------------------------------ inside

    @property
    def _may_lose_connection(self) -> bool:
        """Whether a loss may cost more than a subscription: server-side ones, and while subscribing (6.4, 6.5)."""
        has_server_side = any(sub.is_on and sub.kind.server_side for sub in self.subs.values())
        return has_server_side or bool(self._unanswered) or not self.is_connected

    def _subscribes(self) -> list[Command]:
        return [
            self._subscribe(sub)
            for sub in self.subs.values()
            if sub.is_wanted and not (sub.kind.server_side or sub.is_on or sub.attempt)
        ]

    def _subscribe(self, sub: Sub) -> Command:
        self._last_id += 1
        sub.attempt = self._last_id
        self._unanswered.add(sub.attempt)
        return Command(id=sub.attempt, subscribe=sub.request())

    def _check_loss(self, sub: Sub, asked: StreamPosition, epochs: Sequence[str]) -> None:
        """Nobody may be told that something is lost when it is not, in the one of *epochs* that was meant."""
        assert not all(self._is_kept(sub, asked, epoch) for epoch in epochs), asked

    def _is_kept(self, sub: Sub, asked: StreamPosition, epoch: str) -> bool:
        kept = self._stream(sub, epoch)
        return (
            asked.epoch in ("", epoch)
            and kept.top - asked.offset <= self._server.config.client.recovery_max_publication_limit
            and kept.holds_all_after(asked.offset, self._broker.clock.monotonic())
        )

    def _epochs(self, sub: Sub) -> Sequence[str]:
        """Of all streams that the channel has had."""
        return [epoch for channel, epoch in self._broker.archive if channel == sub.kind.channel]

    def _check_recovery(self, sub: Sub, asked: StreamPosition, result: SubscribeResult) -> None:
        """What is recovered goes on where the client was; in cache mode it is the newest."""
        assert result.offset == asked.offset
        stream = self._stream(sub, result.epoch)
        if sub.kind.newest_only and result.publications:
            (newest,) = publications_of(result)
            sub.view = View(sub.kind, result.epoch, newest.offset - 1, stream)
            return
        if asked.epoch or sub.kind.newest_only:
            assert result.epoch == asked.epoch
        if sub.view is None or not asked.epoch:
            sub.view = View(sub.kind, result.epoch, asked.offset, stream)
        assert (sub.view.epoch, sub.view.offset) == (result.epoch, asked.offset)

    def _stream(self, sub: Sub, epoch: str) -> Kept:
        return self._broker.archive.setdefault((sub.kind.channel, epoch), Kept())


def publications_of(result: SubscribeResult) -> Sequence[Pub]:
    """What has been recovered, as a client reads it."""
    assert not isinstance(result.publications, EncodedPublications)
    return result.publications or ()
