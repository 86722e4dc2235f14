"""What tests of a session need around it: a far end that speaks either encoding, and brokers that make it wait."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from centrifast import eager
from centrifast._core import Drain, Sink
from centrifast._wheel import TimingWheel
from centrifast.auth.issue import issue_token
from centrifast.auth.tokens import TokenVerifier
from centrifast.client.session import Session
from centrifast.config.schema import (
    ChannelConfig,
    ChannelOptions,
    ClientConfig,
    Config,
    Namespace,
    RpcConfig,
    TokenConfig,
)
from centrifast.engine.contract import (
    Broker,
    BrokerEvents,
    Controller,
    Engine,
    History,
    HistoryFilter,
    HistoryOptions,
    NoOtherNodes,
    PresenceManager,
    PublishOptions,
    PublishResult,
    Siblings,
)
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.errors import ClientError, DisconnectCode, ErrorCode, UnsubscribeCode
from centrifast.hub import Hub
from centrifast.model import ClientInfo
from centrifast.node import Node
from centrifast.protocol import wire
from centrifast.protocol.codec import Codec
from centrifast.protocol.json_codec import JsonCodec
from centrifast.protocol.protobuf_codec import ProtobufCodec
from centrifast.protocol.wire import (
    Command,
    ConnectRequest,
    Encoding,
    Pub,
    Push,
    Reply,
    SubscribeRequest,
    SubscribeResult,
)
from tests import core_fakes
from tests.core_fakes import Turns
from tests.fakes import FakeClock
from tests.protocol.client_side import json_line, protobuf_frame, read_protobuf

SECRET = "secret"
NOW = 1_700_000_000
CODECS: dict[Encoding, Codec] = {Encoding.JSON: JsonCodec(), Encoding.PROTOBUF: ProtobufCodec()}
VARIANTS = {Encoding.JSON: core_fakes.JSON, Encoding.PROTOBUF: core_fakes.PROTOBUF}

ClientOptions = dict[str, Any]
"""Fields of ``ClientConfig`` that a test changes."""

OPEN = ChannelOptions(
    allow_subscribe_for_client=True,
    allow_subscribe_for_anonymous=True,
    allow_publish_for_client=True,
    allow_publish_for_anonymous=True,
)
"""A namespace in which everybody may do everything."""


def config(
    client: ClientOptions | None = None,
    options: ChannelOptions = OPEN,
    namespaces: tuple[Namespace, ...] = (),
    rpc: RpcConfig | None = None,
) -> Config:
    """A configuration that lets everybody in and pings nobody, with changes."""
    defaults = ClientConfig(
        token=TokenConfig(hmac_secret_key=SECRET),
        allow_anonymous_connect_without_token=True,
        ping_interval=-1,
    )
    return Config(
        client=replace(defaults, **(client or {})),
        channel=ChannelConfig(without_namespace=options, namespaces=namespaces),
        rpc=rpc or RpcConfig(),
    )


def token(**claims: object) -> str:
    """A well signed token with these claims."""
    return issue_token(claims, SECRET)


def error(id_: int, code: ErrorCode) -> Reply:
    """The reply that answers a command with a row of the table."""
    return Reply(id=id_, error=wire.Error(code.code, code.message, code.temporary))


def publication(channel: str, data: bytes, **fields: Any) -> Reply:
    """A publication as a subscriber sees it."""
    return Reply(push=Push(channel=channel, pub=Pub(data=Raw(data), **fields)))


def unsubscribed(channel: str, reason: UnsubscribeCode) -> Reply:
    """The push that ends a subscription."""
    return Reply(push=Push(channel=channel, unsubscribe=wire.Unsubscribe(reason.code, reason.reason)))


def subscribe(id_: int, channel: str, **fields: Any) -> Command:
    return Command(id=id_, subscribe=SubscribeRequest(channel=channel, **fields))


def unsubscribe(id_: int, channel: str) -> Command:
    return Command(id=id_, unsubscribe=wire.UnsubscribeRequest(channel=channel))


def publish(id_: int, channel: str, data: bytes) -> Command:
    return Command(id=id_, publish=wire.PublishRequest(channel=channel, data=Raw(data)))


def subscribed(id_: int, **fields: Any) -> Reply:
    return Reply(id=id_, subscribe=SubscribeResult(**fields))


class RecordingTransport:
    """``client.transport.ClientTransport`` with a real sink on a socket pair; it never closes by itself."""

    def __init__(self, drain: Drain, wheel: TimingWheel, encoding: Encoding) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._rest = core_fakes.Transport(self._ours)
        variant = VARIANTS[encoding]
        self.sink = Sink(drain, wheel, variant, self, self._rest, self._ours.fileno(), True)
        self._rest.sink = self.sink
        self.handler: Session | None = None
        self.closed_with: DisconnectCode | None = None
        self.flushed = False
        self.aborted = False
        self.reading = True
        self.remote_address = "192.0.2.1"
        self._encoding = encoding

    def close(self, code: int, reason: bytes, flush: bool = True) -> None:
        assert self.closed_with is None, "closed twice"
        self.closed_with, self.flushed = DisconnectCode(code, reason.decode()), flush
        if not flush:
            self.sink.drop_queue()
        self.sink.stop_pings()

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def on_sink_failed(self, reason: int) -> None:
        if self.handler is not None and self.closed_with is None:
            self.handler.on_sink_failed(reason)

    def on_sink_wake(self) -> None:
        if self.handler is not None and self.closed_with is None:
            self.handler.on_wake()

    def received(self) -> list[Reply]:
        """Messages that have reached the far end since the last call; ``Reply()`` is a ping."""
        return [message for frame in self.frames() for message in messages_of(frame, self._encoding)]

    def frames(self) -> list[bytes]:
        """Payloads of the frames that have reached the far end since the last call."""
        data = b""
        try:
            while part := self._theirs.recv(1 << 20):
                data += part
        except BlockingIOError:
            pass
        return frames_of(data)

    def lose(self) -> None:
        """The socket is gone."""
        self.sink.close()
        self._ours.close()
        self._theirs.close()


def frames_of(data: bytes) -> list[bytes]:
    """Payloads of consecutive unmasked WebSocket frames."""
    payloads = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= start + size, "a frame is cut"
        payloads.append(data[start : start + size])
        data = data[start + size :]
    return payloads


def messages_of(frame: bytes, encoding: Encoding) -> list[Reply]:
    """The messages that share one frame."""
    if encoding is Encoding.JSON:
        return [msgspec.json.decode(line, type=Reply) for line in frame.split(b"\n")]
    messages = []
    while frame:
        size = shift = start = 0
        while True:
            byte = frame[start]
            size |= (byte & 0x7F) << shift
            shift, start = shift + 7, start + 1
            if byte < 0x80:
                break
        messages.append(read_protobuf(Reply, frame[: start + size]))
        frame = frame[start + size :]
    return messages


class Far:
    """A client: sends commands, keeps what comes back."""

    def __init__(self, server: "Server", encoding: Encoding) -> None:
        self._server = server
        self.encoding = encoding
        self.transport = RecordingTransport(server.drain, server.wheel, encoding)
        self.session = Session(server.node, CODECS[encoding], self.transport)
        self.transport.handler = self.session

    @property
    def id(self) -> str:
        return self.session.client

    @property
    def closed_with(self) -> DisconnectCode | None:
        return self.transport.closed_with

    def write(self, frame: bytes) -> None:
        """Send one frame of any bytes."""
        self.session.on_message(frame, self.encoding is Encoding.JSON)

    def frame(self, *commands: Command) -> bytes:
        """One frame with these commands."""
        if self.encoding is Encoding.JSON:
            return b"\n".join(map(json_line, commands))
        return b"".join(map(protobuf_frame, commands))

    def send(self, *commands: Command) -> None:
        """Send commands in one frame."""
        self.write(self.frame(*commands))

    def ask(self, *commands: Command) -> list[Reply]:
        """Send commands in one frame; what has come back since the last look."""
        self.send(*commands)
        return self.received()

    def received(self) -> list[Reply]:
        """What has come since the last look."""
        self._server.drain.release()
        self._server.turns.run()
        return self.transport.received()

    def frames(self) -> list[bytes]:
        """The same as the bytes of each frame."""
        self._server.turns.run()
        return self.transport.frames()

    def vanish(self) -> None:
        """The connection is lost, like ``_connection`` reports it."""
        self.transport.handler = None
        self.session.on_closed()
        self.transport.lose()


class Server:
    """Node, hub, engine and core, joined as ``app`` joins them, with clock and loop in the test's hand."""

    def __init__(
        self,
        config_: Config | None = None,
        broker: Broker | None = None,
        presence: PresenceManager | None = None,
        controller: Controller | None = None,
        siblings: Siblings | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.config = config_ or config()
        self.clock = clock or FakeClock(NOW)
        self.turns = Turns()
        self.drain = Drain(self.turns.call_soon, self.config.client.queue_max_size)
        self.wheel = TimingWheel(time.monotonic())
        self.hub = Hub(self.drain)
        self.broker = broker or MemoryBroker(self.clock)
        self.presence = presence or MemoryPresence(self.clock)
        client = self.config.client
        tokens = TokenVerifier(client.token, skip_signature=False, clock=self.clock)
        self.node = Node(
            self.config,
            self.clock,
            self.hub,
            {VARIANTS[encoding]: codec for encoding, codec in CODECS.items()},
            Engine(self.broker, self.presence, controller or NoOtherNodes(), siblings or NoOtherNodes()),
            (tokens, tokens),
            "test",
        )
        self._elapsed = 0.0
        self._clients: list[Far] = []
        done(self.node.start())

    def open(self, encoding: Encoding = Encoding.JSON) -> Far:
        """A connection that has not said anything."""
        client = Far(self, encoding)
        self._clients.append(client)
        return client

    def connect(self, encoding: Encoding = Encoding.JSON, **claims: object) -> Far:
        """A connected client; anonymous without claims."""
        client = self.open(encoding)
        replies = client.ask(Command(id=1, connect=ConnectRequest(token=token(**claims) if claims else "")))
        assert [reply.connect is not None for reply in replies] == [True], replies
        return client

    def subscriber(self, channel: str, encoding: Encoding = Encoding.JSON, **claims: object) -> Far:
        """A connected client with one subscription."""
        client = self.connect(encoding, **claims)
        replies = client.ask(subscribe(2, channel))
        assert replies == [subscribed(2)], replies
        return client

    def publish(self, channel: str, data: bytes) -> None:
        """Publish by the API."""
        done(self.node.publish(channel, data))

    def advance(self, seconds: float) -> None:
        """Let time pass for the clock and for the deadlines of connections."""
        while seconds > 0:
            step = min(seconds, 1.0)
            seconds -= step
            self._elapsed += step
            self.clock.advance(step)
            self.wheel.advance(
                time.monotonic() + self._elapsed + 0.2
            )  # two ticks of the wheel for good measure
            self.turns.run()

    def close(self) -> None:
        """Every client goes; nothing of them may stay."""
        self.lose_everybody()
        done(self.node.close())
        assert self.is_empty, "somebody left something behind"

    def lose_everybody(self) -> None:
        """All connections are lost."""
        for client in self._clients:
            client.vanish()
        self.turns.run()

    @property
    def is_empty(self) -> bool:
        """Whether the hub knows of nobody and nothing."""
        hub = self.hub
        return not (hub.connecting or hub.clients or hub.channels or hub.subscription_count or hub.user_count)


def done(awaitable: Any) -> Any:
    """Run a coroutine that does not wait."""
    result = eager.start(awaitable)
    assert not isinstance(result, asyncio.Task), "it waits"
    return result


def refusal(coroutine: Any) -> ErrorCode:
    """The row that a call is refused with."""
    with pytest.raises(ClientError) as raised:
        done(coroutine)
    return raised.value.error


# ------------------------------------------------------------------ a broker that takes its time


@dataclass
class Call:
    """A call of the broker that waits for the test."""

    name: str
    channel: str
    gate: "asyncio.Future[None]"

    def __str__(self) -> str:
        return f"{self.name} {self.channel}"


@dataclass
class SlowBroker:
    """``contract.Broker`` whose calls wait until the test lets them go, one by one and in any order.

    *inner* does the work, once a call is let go. *done* is what it has been asked for, in order.
    """

    inner: MemoryBroker
    waiting: list[Call] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)

    async def start(self, events: BrokerEvents) -> None:
        await self.inner.start(events)

    async def close(self) -> None:
        await self.inner.close()

    async def subscribe(self, channel: str) -> None:
        await self._wait("subscribe", channel)
        await self.inner.subscribe(channel)
        self.subscribed.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        await self._wait("unsubscribe", channel)
        await self.inner.unsubscribe(channel)
        self.subscribed.discard(channel)

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        await self._wait("publish", channel)
        return await self.inner.publish(channel, data, options)

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        await self._wait("join", channel)
        await self.inner.publish_join(channel, info)

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        await self._wait("leave", channel)
        await self.inner.publish_leave(channel, info)

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        await self._wait("history", channel)
        return await self.inner.history(channel, wanted, options)

    async def remove_history(self, channel: str) -> None:
        await self._wait("remove_history", channel)
        await self.inner.remove_history(channel)

    async def _wait(self, name: str, channel: str) -> None:
        call = Call(name, channel, asyncio.get_running_loop().create_future())
        self.waiting.append(call)
        try:
            await call.gate
        finally:
            self.waiting.remove(call)
        self.done.append(str(call))

    @property
    def asked(self) -> list[str]:
        """Calls that wait, in the order they came."""
        return [str(call) for call in self.waiting]

    def deliver(self, channel: str, data: bytes) -> None:
        """A publication of somebody else arrives, the subscription being in force already."""
        done(self.inner.subscribe(channel))
        done(self.inner.publish(channel, data, PublishOptions()))

    async def let_go(self, call: str, failure: Exception | None = None) -> None:
        """Let the first such call go, or fail, and everything happen that follows from it."""
        gate = next(waiting for waiting in self.waiting if str(waiting) == call).gate
        if failure is None:
            gate.set_result(None)
        else:
            gate.set_exception(failure)
        await settle()


async def settle() -> None:
    """Let every task run until all of them wait for something that only the test can bring about."""
    for _ in range(20):
        await asyncio.sleep(0)


def with_slow_broker(
    test: Callable[[Server, SlowBroker], Awaitable[None]],
    kind: type[SlowBroker] = SlowBroker,
    presence: PresenceManager | None = None,
    **options: Any,
) -> None:
    """Run *test* on a loop, with a server whose broker is slow. No task may be left over."""

    async def run() -> None:
        broker = kind(MemoryBroker(FakeClock(NOW)))
        server = Server(config(**options), broker, presence)
        try:
            await test(server, broker)
        finally:
            server.lose_everybody()
        await settle()
        while broker.waiting:
            await broker.let_go(str(broker.waiting[0]))
        assert server.is_empty, "somebody left something behind"
        assert not broker.subscribed, "the broker still delivers what nobody wants"
        await server.node.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task is left over"

    asyncio.run(run())
