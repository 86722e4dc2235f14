"""One connection, its other end played by hand."""

import asyncio
import random
import socket
from collections.abc import Sequence

import pytest

from centrifast.engine.redis import connection as connection_module
from centrifast.engine.redis import wire as module
from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.contract import RedisError
from tests.fakes import FakeClock
from tests.server.http_peer import run, until

PING = b"*1\r\n$4\r\nPING\r\n"


class Peer:
    """A connection and what stands for the server."""

    def __init__(self, link: Connection, other: socket.socket, clock: FakeClock) -> None:
        self.link = link
        self.other = other
        self.clock = clock

    async def received(self, size: int) -> bytes:
        """The next bytes that arrive at the server."""
        data = b""
        while len(data) < size:
            data += await asyncio.get_running_loop().sock_recv(self.other, size - len(data))
        return data

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, data)

    async def ended(self) -> str:
        """Wait for the end; why."""
        await self.link.lost
        self.other.close()
        return str(self.link.error)


async def linked(io_timeout: float = 4.0) -> Peer:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    clock = FakeClock()
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Connection(clock, "here", io_timeout), sock=ours
    )
    return Peer(link, theirs, clock)


async def close(peer: Peer) -> None:
    peer.link.abort(ConnectionError("closed"))
    await peer.ended()


async def outcomes(answers: Sequence[asyncio.Future[object]]) -> list[object]:
    return list(await asyncio.gather(*answers, return_exceptions=True))


def test_what_is_asked_in_one_turn_leaves_in_one_write() -> None:
    async def test() -> None:
        peer = await linked()
        answers = [peer.link.ask(("PING",)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert peer.other.recv(1000) == PING * 3
        await peer.say(b"+1\r\n+2\r\n+3\r\n")
        assert await outcomes(answers) == [b"1", b"2", b"3"]
        await close(peer)

    run(test())


@pytest.mark.parametrize("seed", range(5))
def test_replies_are_matched_however_they_are_cut(seed: int) -> None:
    async def test() -> None:
        chance = random.Random(seed)
        peer = await linked()
        answers = [peer.link.ask(("GET", number)) for number in range(6)]
        stream = b"$3\r\na\r\n\r\n:1\r\n*2\r\n:1\r\n*1\r\n$-1\r\n_\r\n-ERR no\r\n>2\r\n+x\r\n+y\r\n+OK\r\n"
        while stream:
            size = chance.randint(1, 9)
            peer.link.data_received(stream[:size])
            stream = stream[size:]
        error: object
        *found, error, last = await outcomes(answers)
        assert found == [b"a\r\n", 1, [1, [None]], None]
        assert (type(error), str(error), last) == (RedisError, "ERR no", b"OK")
        assert error.code == "ERR"  # type: ignore[attr-defined]
        await close(peer)

    run(test())


def test_who_gave_up_waiting_does_not_get_the_next_ones_answer() -> None:
    async def test() -> None:
        peer = await linked()
        first, second, third = (peer.link.ask(("GET", number)) for number in range(3))
        first.cancel()
        second.cancel()
        await peer.say(b"+1\r\n-ERR 2\r\n+3\r\n")
        assert await third == b"3"
        await close(peer)

    run(test())


def test_a_late_answer_ends_the_connection_and_fails_everybody() -> None:
    async def test() -> None:
        peer = await linked(io_timeout=4.0)
        early = peer.link.ask(("GET", "a"))
        peer.clock.advance(2.0)
        late = peer.link.ask(("GET", "b"))
        peer.clock.advance(1.9)
        assert peer.link.is_open
        peer.clock.advance(0.4)
        assert await peer.ended() == "Redis at here has not answered for 4 s"
        assert [type(outcome) for outcome in await outcomes([early, late])] == [TimeoutError, TimeoutError]
        with pytest.raises(ConnectionError, match="has not answered for 4 s"):
            peer.link.ask(("GET", "c"))
        assert peer.clock.timers == 0

    run(test())


def test_answers_in_time_keep_the_connection() -> None:
    async def test() -> None:
        peer = await linked(io_timeout=0.4)
        for _ in range(20):
            answer = peer.link.ask(("GET", "a"))
            peer.clock.advance(0.3)
            await peer.say(b"+1\r\n")
            assert await answer == b"1"
        await close(peer)

    run(test())


def test_an_idle_connection_is_pinged_each_second() -> None:
    async def test() -> None:
        peer = await linked()
        for _ in range(3):
            peer.clock.advance(0.75)
            await asyncio.sleep(0)
            peer.clock.advance(0.25)
            assert await peer.received(len(PING)) == PING
            peer.clock.advance(0.75)  # it is not asked again while it has not answered
            await peer.say(b"+PONG\r\n")
            await until(lambda: peer.link.is_idle)
        await close(peer)

    run(test())


def test_who_does_not_answer_a_ping_is_given_up() -> None:
    async def test() -> None:
        peer = await linked(io_timeout=4.0)
        peer.clock.advance(4.9)
        assert peer.link.is_open
        peer.clock.advance(0.5)
        assert "has not answered" in await peer.ended()

    run(test())


def test_the_end_fails_everybody_with_an_error_of_his_own() -> None:
    async def test() -> None:
        peer = await linked()
        answers = [peer.link.ask(("GET", number)) for number in range(2)]
        await peer.received(1)
        peer.other.close()
        first, second = await outcomes(answers)
        assert (type(first), type(second)) == (ConnectionError, ConnectionError)
        assert first is not second
        assert "the connection to Redis at here is lost" in str(first)
        with pytest.raises(ConnectionError, match="is lost"):
            peer.link.ask(("GET", "c"))
        assert peer.clock.timers == 0

    run(test())


@pytest.mark.parametrize(
    ("said", "told"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "is not its protocol"), (b"+OK\r\n", "answers what nobody has asked")],
)
def test_who_does_not_speak_redis_is_given_up(said: bytes, told: str) -> None:
    async def test() -> None:
        peer = await linked()
        await peer.say(said)
        assert told in await peer.ended()

    run(test())


def test_no_more_requests_wait_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "REDIS_REQUESTS", 2)

    async def test() -> None:
        peer = await linked()
        answers = [peer.link.ask(("PING",)) for _ in range(2)]
        with pytest.raises(ConnectionError, match="2 requests wait for Redis at here already"):
            peer.link.ask(("PING",))
        await peer.say(b"+1\r\n+2\r\n")
        assert await outcomes(answers) == [b"1", b"2"]
        last = peer.link.ask(("PING",))
        await peer.say(b"+3\r\n")
        assert await last == b"3"
        await close(peer)

    run(test())


def test_no_more_bytes_wait_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDIS_QUEUE_SIZE", 1_000_000)

    async def test() -> None:
        peer = await linked()
        big = peer.link.ask(("SET", b"x" * 2_000_000))
        with pytest.raises(ConnectionError, match="1000000 bytes wait"):  # they have not even left
            peer.link.ask(("PING",))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(ConnectionError, match="1000000 bytes wait"):  # nobody reads them
            peer.link.ask(("PING",))
        await peer.received(2_000_000)
        await peer.say(b"+OK\r\n")
        assert await big == b"OK"
        await close(peer)

    run(test())


def test_no_reply_is_larger_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDIS_REPLY_SIZE", 1000)

    async def test() -> None:
        peer = await linked()
        answer = peer.link.ask(("GET", "a"))
        await peer.say(b"$9999\r\n" + b"x" * 2000)
        with pytest.raises(ConnectionError, match="more than 1000 bytes"):
            await answer
        await peer.ended()

    run(test())
