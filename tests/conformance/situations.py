"""How a row of the specification's situation tables becomes a test, and the codes as the specification prints them.

A row is data: what is set up, what the client sends, and the code or result that must follow. ``play`` runs it in one
encoding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from centrifast.config.schema import ChannelOptions, Namespace, RpcConfig
from centrifast.engine.contract import (
    BrokerEvents,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.errors import DisconnectCode
from centrifast.model import ClientInfo, PresenceStats, Publication, StreamPosition
from centrifast.protocol.wire import Command, Encoding, Error, Push, Reply, Unsubscribe
from tests.client.fakes import NOW, OPEN, ClientOptions, Far, Server, config, done
from tests.fakes import FakeClock
from tests.protocol.client_side import json_line, protobuf_frame

ERRORS = {
    100: ("internal server error", True),
    101: ("unauthorized", False),
    102: ("unknown channel", False),
    103: ("permission denied", False),
    104: ("method not found", False),
    105: ("already subscribed", False),
    106: ("limit exceeded", False),
    107: ("bad request", False),
    108: ("not available", False),
    109: ("token expired", False),
    110: ("expired", False),
    111: ("too many requests", True),
    112: ("unrecoverable position", False),
    113: ("concurrent pagination", True),
}
"""Client protocol 5.1: code, message, temporary."""

DISCONNECTS = {
    3000: "connection closed",
    3001: "shutdown",
    3004: "internal server error",
    3005: "connection expired",
    3006: "subscription expired",
    3008: "slow",
    3009: "write error",
    3010: "insufficient state",
    3011: "force reconnect",
    3012: "no pong",
    3013: "too many requests",
    3014: "state invalidated",
    3500: "invalid token",
    3501: "bad request",
    3502: "stale",
    3503: "force disconnect",
    3504: "connection limit",
    3505: "channel limit",
    3506: "inappropriate protocol",
    3507: "permission denied",
    3508: "not available",
    3509: "too many errors",
}
"""Client protocol 5.2: code, reason."""

UNSUBSCRIBES = {
    2000: "server unsubscribe",
    2500: "insufficient state",
    2501: "subscription expired",
    2502: "state invalidated",
}
"""Client protocol 5.3: code, reason."""

SILENCE = "silence"
"""Nothing is answered, and the connection lives."""

Deed = Callable[[Server, Far], object]


@dataclass(frozen=True)
class Row:
    """One situation: *then* is the code of an error, unsubscribe or disconnect, or the name of the result's field.

    The server is made of *client*, *options*, *namespaces*, *rpc*, *broker* and *presence*; the client connects with
    *claims* (none: anonymous) unless it is *fresh*, sends *before*, which must succeed, then *deed* happens, and
    then *ask* is sent as one frame. *frames* are raw frames instead, for the encodings that have one. *only* names the
    one encoding in which it can happen.
    """

    situation: str
    then: int | str
    ask: Command | tuple[Command, ...] = ()
    claims: Mapping[str, object] = field(default_factory=dict, kw_only=True)
    fresh: bool = field(default=False, kw_only=True)
    before: tuple[Command, ...] = field(default=(), kw_only=True)
    deed: Deed | None = field(default=None, kw_only=True)
    client: ClientOptions = field(default_factory=dict, kw_only=True)
    options: ChannelOptions = field(default=OPEN, kw_only=True)
    namespaces: tuple[Namespace, ...] = field(default=(), kw_only=True)
    rpc: RpcConfig | None = field(default=None, kw_only=True)
    broker: type[MemoryBroker] | None = field(default=None, kw_only=True)
    presence: type[MemoryPresence] | None = field(default=None, kw_only=True)
    frames: Mapping[Encoding, bytes] = field(default_factory=dict, kw_only=True)
    only: Encoding | None = field(default=None, kw_only=True)

    @property
    def commands(self) -> tuple[Command, ...]:
        """What is sent in the end; the last of them decides."""
        return (self.ask,) if isinstance(self.ask, Command) else self.ask

    @property
    def encodings(self) -> Sequence[Encoding]:
        """Those in which it can happen."""
        return [self.only] if self.only is not None else [*(self.frames or Encoding)]


def both(rows: Mapping[str, Sequence[Row]]) -> pytest.MarkDecorator:
    """One test for each row of the tables, by section, and each encoding it can be said in."""
    return pytest.mark.parametrize(
        ("row", "encoding"),
        [
            pytest.param(row, encoding, id=f"{section} {row.situation} [{encoding.value}]")
            for section, table in rows.items()
            for row in table
            for encoding in row.encodings
        ],
    )


def play(row: Row, encoding: Encoding) -> None:
    """Bring the situation about, and demand what the row says."""
    server = Server(
        config(row.client, row.options, row.namespaces, row.rpc),
        row.broker(FakeClock(NOW)) if row.broker is not None else None,
        row.presence(FakeClock(NOW)) if row.presence is not None else None,
    )
    try:
        client = server.open(encoding) if row.fresh else server.connect(encoding, **row.claims)
        for command in row.before:
            replies = client.ask(command)
            assert not [reply for reply in replies if reply.error is not None], replies
            assert client.closed_with is None
        if row.deed is not None:
            row.deed(server, client)
        if row.frames:
            client.write(row.frames[encoding])
        elif row.commands:
            client.send(*row.commands)
        expect(row, client, client.received())
    finally:
        server.close()


def expect(row: Row, client: Far, replies: Sequence[Reply]) -> None:
    """Compare what came with what the row says, to the letter."""
    number = row.commands[-1].id if row.commands else 0
    answers = [reply for reply in replies if reply.id == number and number]
    if isinstance(row.then, int) and row.then >= 3000:
        assert client.closed_with == DisconnectCode(row.then, DISCONNECTS[row.then])
        assert answers == []
        return
    assert client.closed_with is None
    if row.then == SILENCE:
        assert replies == []
    elif isinstance(row.then, str):
        (reply,) = answers
        assert [name for name in Reply.__struct_fields__[1:] if getattr(reply, name) is not None] == [
            row.then
        ]
    elif row.then >= 2000:
        push = Unsubscribe(row.then, UNSUBSCRIBES[row.then])
        assert [
            reply for reply in replies if reply.push is not None and reply.push.unsubscribe is not None
        ] == [Reply(push=Push(channel="news", unsubscribe=push))]
    else:
        message, temporary = ERRORS[row.then]
        assert answers == [Reply(id=number, error=Error(row.then, message, temporary))]


def written(encoding: Encoding, *commands: Command) -> bytes:
    """Commands as a client of this encoding puts them into one frame."""
    if encoding is Encoding.JSON:
        return b"\n".join(map(json_line, commands))
    return b"".join(map(protobuf_frame, commands))


def top_of(server: Server, channel: str = "news") -> StreamPosition:
    """Where a stream is."""
    history: History = done(server.node.history(channel, HistoryFilter()))
    return history.position


# ------------------------------------------------------------------ engines that fail


class NoSubscribing(MemoryBroker):
    """Its PUB/SUB can not be reached."""

    async def subscribe(self, channel: str) -> None:
        raise ConnectionError("away")


class NoPublishing(MemoryBroker):
    """It takes nothing."""

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        raise TimeoutError("away")


class NoHistory(MemoryBroker):
    """Its streams can not be read."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        raise TimeoutError("away")


class NoPresence(MemoryPresence):
    """It can not be reached at all."""

    async def add(self, channel: str, info: ClientInfo) -> None:
        raise ConnectionError("away")

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        raise ConnectionError("away")

    async def stats(self, channel: str) -> PresenceStats:
        raise ConnectionError("away")


class Gappy(MemoryBroker):
    """While history is read, the publication after the next one comes by."""

    _to: BrokerEvents | None = None

    async def start(self, events: BrokerEvents) -> None:
        self._to = events
        await super().start(events)

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        history = await super().history(channel, wanted, options)
        position = StreamPosition(history.position.offset + 2, history.position.epoch)
        assert self._to is not None
        self._to.on_publication(channel, Publication(b"1", position.offset), position, None)
        return history
