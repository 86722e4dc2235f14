"""The connection for PUB/SUB, its other end played by hand."""

import asyncio
import random
import socket
from collections.abc import Callable
from itertools import pairwise

import pytest

from centrifast.engine.redis import pubsub_wire as module
from centrifast.engine.redis.contract import RedisError
from centrifast.engine.redis.pubsub_wire import PubSubWire
from centrifast.engine.redis.wire import pack
from tests.fakes import FakeClock
from tests.server.http_peer import run, until

KINDS = pytest.mark.parametrize("mark", [b">", b"*"], ids=["RESP3", "RESP2"])


class Peer:
    """A connection, what stands for the server, and what was heard."""

    def __init__(self, on_message: Callable[[bytes, bytes], None] | None = None) -> None:
        self.on_message = on_message or self.hear
        self.clock = FakeClock()
        self.heard: list[tuple[bytes, bytes]] = []
        self.failures = 0

    async def connect(self) -> PubSubWire:
        ours, self.other = socket.socketpair()
        self.other.setblocking(False)
        _, self.wire = await asyncio.get_running_loop().create_connection(self._make, sock=ours)
        return self.wire

    def _make(self) -> PubSubWire:
        return PubSubWire(self.clock, "here", 4.0, self.on_message, self._failed)

    def hear(self, channel: bytes, text: bytes) -> None:
        self.heard.append((channel, text))

    def _failed(self) -> None:
        self.failures += 1

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, data)

    async def close(self) -> str:
        self.wire.abort(ConnectionError("closed"))
        await self.wire.lost
        self.other.close()
        return str(self.wire.error)

    def change(self, verb: bytes, *channels: bytes) -> list[asyncio.Future[object]]:
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[object]] = [loop.create_future() for _ in channels]
        self.wire.change(verb, channels, answers)
        return answers


def message(mark: bytes, *parts: bytes) -> bytes:
    return mark + pack(parts)[1:]


def confirmed(mark: bytes, verb: bytes, channel: bytes, count: int = 1) -> bytes:
    return mark + b"3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n" % (len(verb), verb, len(channel), channel, count)


@KINDS
def test_messages_come_in_order_between_confirmations(mark: bytes) -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        first = peer.change(b"subscribe", b"a", b"b")
        second = peer.change(b"unsubscribe", b"a")
        ping = peer.wire.ask(("PING",))
        stream = (
            confirmed(mark, b"subscribe", b"a")
            + message(mark, b"message", b"a", b"1")
            + confirmed(mark, b"subscribe", b"b")
            + message(mark, b"message", b"a", b"message")
            + confirmed(mark, b"unsubscribe", b"a")
            + message(mark, b"smessage", b"b", b"")
            + (b"+PONG\r\n" if mark == b">" else message(b"*", b"pong", b""))
        )
        chance = random.Random(len(mark))
        while stream:
            size = chance.randint(1, 20)
            peer.wire.data_received(stream[:size])
            stream = stream[size:]
        await asyncio.gather(*first, *second, ping)
        assert peer.heard == [(b"a", b"1"), (b"a", b"message"), (b"b", b"")]
        assert peer.wire.messages == 3
        await peer.close()

    run(test())


def test_a_refused_command_fails_all_its_channels() -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        refused, taken = peer.change(b"subscribe", b"a", b"b"), peer.change(b"subscribe", b"c")
        await peer.say(b"-NOPERM no\r\n" + confirmed(b">", b"subscribe", b"c"))
        outcomes = await asyncio.gather(*refused, *taken, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RedisError, RedisError, type(None)]
        await peer.close()

    run(test())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (confirmed(b">", b"sunsubscribe", b"a"), "has ended a subscription"),  # its slot has moved
        (confirmed(b">", b"subscribe", b"x"), "has ended a subscription"),
        (b"+OK\r\n", "answers what nobody has asked"),
        (b"?\r\n", "is not its protocol"),
    ],
)
def test_what_was_not_asked_ends_the_connection(said: bytes, told: str) -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        await peer.say(said)
        await peer.wire.lost
        assert told in str(peer.wire.error)
        await peer.close()

    run(test())


def test_the_end_fails_all_that_was_not_confirmed() -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        answers = peer.change(b"subscribe", b"a", b"b")
        await peer.say(confirmed(b">", b"subscribe", b"a"))
        await answers[0]
        peer.other.close()
        with pytest.raises(ConnectionError, match="is lost"):
            await answers[1]
        with pytest.raises(ConnectionError, match="is lost"):
            peer.change(b"subscribe", b"c")

    run(test())


def test_many_messages_are_handled_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUBSUB_SLICE", 0.0)

    async def test() -> None:
        peer = Peer()
        await peer.connect()
        turns: list[int] = []
        loop = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(len(peer.heard))
            if len(peer.heard) < 100:
                loop.call_soon(turn)

        await peer.say(b"".join(message(b">", b"message", b"a", b"%d" % number) for number in range(100)))
        turn()
        await until(lambda: len(peer.heard) == 100)
        assert [int(text) for _, text in peer.heard] == list(range(100))
        assert max(after - before for before, after in pairwise(turns)) == 1
        answer = peer.wire.ask(("PING",))
        await peer.say(b"+PONG\r\n")  # it is read from again
        assert await answer == b"PONG"
        await peer.close()

    run(test())


def test_what_comes_while_it_is_paused_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUBSUB_SLICE", 0.0)

    async def test() -> None:
        peer = Peer()
        await peer.connect()
        for number in range(3):  # TLS hands on what it has decrypted already
            peer.wire.data_received(message(b">", b"message", b"a", b"%d" % number) + b">1\r\n+other\r\n")
        assert len(peer.heard) == 1
        await until(lambda: len(peer.heard) == 3)
        assert [text for _, text in peer.heard] == [b"0", b"1", b"2"]
        await peer.close()

    run(test())


def test_no_more_requests_wait_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDIS_REQUESTS", 1)

    async def test() -> None:
        peer = Peer()
        await peer.connect()
        (answer,) = peer.change(b"subscribe", b"a")
        with pytest.raises(ConnectionError, match="1 requests wait"):
            peer.change(b"subscribe", b"b")
        await peer.say(confirmed(b">", b"subscribe", b"a"))
        await answer
        await peer.close()

    run(test())


def test_a_message_that_can_not_be_handled_costs_only_itself() -> None:
    async def test() -> None:
        def handle(channel: bytes, text: bytes) -> None:
            if text == b"2":
                raise RuntimeError("no")
            peer.hear(channel, text)

        peer = Peer(handle)
        await peer.connect()
        await peer.say(b"".join(message(b">", b"message", b"a", text) for text in (b"1", b"2", b"3")))
        await until(lambda: len(peer.heard) == 2)
        assert (peer.heard, peer.failures) == ([(b"a", b"1"), (b"a", b"3")], 1)
        await peer.close()

    run(test())


def test_nothing_is_heard_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUBSUB_SLICE", 0.0)

    async def test() -> None:
        peer = Peer()
        await peer.connect()
        await peer.say(message(b">", b"message", b"a", b"1") * 10)
        await until(lambda: peer.heard)
        await peer.close()
        assert len(peer.heard) < 10

    run(test())


def test_silence_ends_it_and_messages_do_not() -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        (answer,) = peer.change(b"subscribe", b"a")
        for _ in range(10):  # a confirmation may come behind many messages
            peer.heard.clear()
            peer.clock.advance(1.0)
            await peer.say(message(b">", b"message", b"b", b"1"))
            await until(lambda: peer.heard)
        assert peer.wire.is_open
        peer.clock.advance(3.9)
        assert peer.wire.is_open
        peer.clock.advance(0.2)
        with pytest.raises(TimeoutError):
            await answer
        assert not peer.wire.is_open
        await peer.close()

    run(test())


def test_an_idle_one_is_pinged() -> None:
    async def test() -> None:
        peer = Peer()
        await peer.connect()
        peer.clock.advance(1.0)
        assert await asyncio.get_running_loop().sock_recv(peer.other, 100) == b"*1\r\n$4\r\nPING\r\n"
        await peer.say(b"+PONG\r\n")
        await peer.close()

    run(test())
