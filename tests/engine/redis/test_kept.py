"""A connection that is made again: when, and how often it is tried."""

import asyncio
import socket
from collections.abc import Awaitable

import pytest

from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.kept import KeptConnection, pause
from centrifast.limits import REDIS_PAUSE
from tests.fakes import FakeClock
from tests.server.http_peer import run, until


class Dialled:
    """Connections to nowhere, as many as *fails* allows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.attempts = 0
        self.fails = False
        self.peers: list[socket.socket] = []
        self.kept = KeptConnection(self.dial, self.clock, "here")

    def dial(self) -> Awaitable[Connection]:
        return self._dial()

    async def _dial(self) -> Connection:
        self.attempts += 1
        if self.fails:
            raise ConnectionError("nobody is there")
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self.clock, "here", 4.0), sock=ours)
        return connection

    async def close(self) -> None:
        await self.kept.close()
        await settle()
        for peer in self.peers:
            peer.close()
        assert self.clock.timers == 0


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_it_is_made_again_at_once_and_then_after_pauses() -> None:
    async def test() -> None:
        dialled = Dialled()
        await dialled.kept.start()
        dialled.clock.advance(1.0)
        dialled.fails = True
        dialled.peers[0].close()
        await until(lambda: dialled.attempts == 2)
        assert not dialled.kept.is_usable
        for attempts in (3, 4, 5):
            dialled.clock.advance(REDIS_PAUSE - 0.01)
            await settle()
            assert dialled.attempts == attempts - 1
            dialled.clock.advance(0.01)
            await settle()
            assert dialled.attempts == attempts
        dialled.fails = False
        dialled.clock.advance(REDIS_PAUSE)
        await until(lambda: dialled.kept.is_usable)
        await dialled.close()

    run(test())


def test_one_that_ends_at_once_is_not_made_again_at_once() -> None:
    async def test() -> None:
        dialled = Dialled()
        await dialled.kept.start()
        dialled.peers[0].close()
        await until(lambda: not dialled.kept.is_usable)
        await settle()
        assert dialled.attempts == 1
        dialled.clock.advance(REDIS_PAUSE)
        await until(lambda: dialled.kept.is_usable)
        dialled.kept.drop("it has just been made")
        assert dialled.kept.is_usable
        dialled.clock.advance(REDIS_PAUSE)
        dialled.kept.drop("it leads elsewhere")
        assert not dialled.kept.is_usable
        with pytest.raises(ConnectionError, match="it leads elsewhere"):
            dialled.kept.ask(("PING",))
        await until(lambda: dialled.kept.is_usable)
        assert dialled.attempts == 3
        await dialled.close()

    run(test())


def test_it_can_be_made_in_the_background() -> None:
    async def test() -> None:
        dialled = Dialled()
        dialled.fails = True
        dialled.kept.start_later()
        with pytest.raises(ConnectionError, match="there is no connection to Redis at here"):
            dialled.kept.ask(("PING",))
        assert (dialled.kept.is_usable, dialled.kept.is_idle) == (False, True)
        await until(lambda: dialled.attempts == 1)
        dialled.fails = False
        await settle()
        dialled.clock.advance(REDIS_PAUSE)
        await until(lambda: dialled.kept.is_usable)
        dialled.kept.ask(("PING",)).cancel()
        assert not dialled.kept.is_idle
        await dialled.close()

    run(test())


def test_closing_ends_the_attempts() -> None:
    async def test() -> None:
        dialled = Dialled()
        dialled.fails = True
        with pytest.raises(ConnectionError, match="nobody is there"):
            await dialled.kept.start()
        dialled.kept.start_later()
        await settle()
        await dialled.close()
        attempts = dialled.attempts
        dialled.clock.advance(10.0)
        await settle()
        assert dialled.attempts == attempts

    run(test())


def test_a_pause_can_be_given_up() -> None:
    async def test() -> None:
        clock = FakeClock()
        waiting = asyncio.create_task(pause(clock, 1.0))
        await settle()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert clock.timers == 0

    run(test())
