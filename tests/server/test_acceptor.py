import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from centrifast.server.acceptor import (
    ACCEPT_PAUSE,
    ACCEPTS_AT_ONCE,
    REFUSALS_AT_ONCE,
    SHORTAGE_LOG_PERIOD,
    UNAVAILABLE,
    Acceptor,
    open_spare,
)
from centrifast.server.pace import PACE_INTERVAL, Pace
from tests.deploy.certificates import Authority
from tests.fakes import FakeClock
from tests.server.http_peer import run, until


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Listener(socket.socket):
    """A real listening socket that fails as often as it is told to, and counts."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.bind(("127.0.0.1", 0))
        self.listen(1024)
        self.setblocking(False)
        self.failures: list[int] = []
        """Numbers of errors, for one attempt each."""
        self.always: int | None = None
        """The number for every attempt after them."""
        self.attempts = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.attempts += 1
        number = self.failures.pop(0) if self.failures else self.always
        if number is not None:
            raise OSError(number, "told to")
        return super().accept()

    @property
    def port(self) -> int:
        return int(self.getsockname()[1])


@asynccontextmanager
async def accepting(
    listener: Listener,
    clock: FakeClock | None = None,
    tls: ssl.SSLContext | None = None,
    pace: Pace | None = None,
) -> AsyncIterator[Acceptor]:
    """An acceptor that is closed at the end."""
    acceptor = Acceptor(listener, Echo, tls, clock or FakeClock(), pace)
    try:
        yield acceptor
    finally:
        acceptor.close()
        acceptor.close()  # harmless
        await asyncio.sleep(0)


async def talk(port: int) -> None:
    """Connect, and see that somebody is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def turn(times: int) -> None:
    """Let the loop turn, each time with a look at its sockets."""
    for _ in range(times):
        await asyncio.sleep(0)


def test_everybody_is_accepted_though_more_than_at_once() -> None:
    async def scenario() -> None:
        listener = Listener()
        clients = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(3 * ACCEPTS_AT_ONCE)]
        async with accepting(listener):
            for client in clients:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(client, b"x")
            for client in clients:
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b"x"
                client.close()

    run(scenario())


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN])
def test_a_connection_that_is_gone_does_not_matter(number: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        listener = Listener()
        listener.failures = [number]
        async with accepting(listener) as acceptor:
            await talk(listener.port)
            assert not acceptor.is_pausing

    run(scenario())
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
def test_when_none_can_be_accepted_it_pauses_and_says_so(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        listener = Listener()
        listener.always = number
        with socket.create_connection(("127.0.0.1", listener.port)):
            async with accepting(listener, clock) as acceptor:
                await until(lambda: acceptor.is_pausing)
                attempts = listener.attempts
                await turn(1000)
                assert listener.attempts == attempts <= 2  # and one with the spare descriptor
                for _ in range(10):
                    clock.advance(ACCEPT_PAUSE)
                    await until(lambda: acceptor.is_pausing)
                assert listener.attempts <= 11 * 2
                assert len(caplog.records) == 2  # at the begin and after a second
                clock.advance(SHORTAGE_LOG_PERIOD - ACCEPT_PAUSE)
                await until(lambda: acceptor.is_pausing)
                assert len(caplog.records) == 2
                listener.always = None
                clock.advance(ACCEPT_PAUSE)
                await talk(listener.port)
                assert not acceptor.is_pausing

    run(scenario())
    record = caplog.records[0]
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "connections can not be accepted")
    assert "LimitNOFILE" in str(vars(record))


def test_some_of_those_who_wait_are_told_and_the_others_served_later() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        listener = Listener()
        loop = asyncio.get_running_loop()
        clients = [
            socket.create_connection(("127.0.0.1", listener.port)) for _ in range(REFUSALS_AT_ONCE + 5)
        ]
        for client in clients:
            client.setblocking(False)
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        listener.failures = [errno.EMFILE]
        async with accepting(listener, clock) as acceptor:
            for client in clients[:REFUSALS_AT_ONCE]:
                assert await loop.sock_recv(client, 1000) == UNAVAILABLE
                assert await loop.sock_recv(client, 1000) == b""
            assert acceptor.is_pausing
            clock.advance(ACCEPT_PAUSE)
            for client in clients[REFUSALS_AT_ONCE:]:
                assert (await loop.sock_recv(client, 1000)).startswith(b"GET /")
        for client in clients:
            client.close()

    run(scenario())


def test_who_asks_after_being_refused_still_reads_why() -> None:
    async def scenario() -> None:
        listener = Listener()
        listener.failures = [errno.EMFILE]
        client = socket.create_connection(("127.0.0.1", listener.port))
        async with accepting(listener) as acceptor:
            await until(lambda: acceptor.is_pausing)
        client.settimeout(20)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000) == UNAVAILABLE
        client.close()

    run(scenario())


def test_a_lost_spare_descriptor_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        listener = Listener()
        listener.failures = [errno.ENFILE, errno.ENFILE]
        async with accepting(listener, clock) as acceptor:
            with (
                monkeypatch.context() as patch,
                socket.create_connection(("127.0.0.1", listener.port)) as client,
            ):
                patch.setattr("centrifast.server.acceptor.os.devnull", "/nowhere")
                await until(lambda: acceptor.is_pausing)
                clock.advance(ACCEPT_PAUSE)  # without one
                client.setblocking(False)
                client.send(b"x")
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b"x"
                assert open_spare() is None
            listener.failures = [errno.EMFILE]
            with socket.create_connection(("127.0.0.1", listener.port)) as client:
                await until(lambda: acceptor.is_pausing)
                clock.advance(ACCEPT_PAUSE)
            listener.failures = [errno.EMFILE]
            with socket.create_connection(("127.0.0.1", listener.port)) as client:
                client.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(client, 1000) == UNAVAILABLE

    run(scenario())


def test_closing_ends_a_pause() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        listener = Listener()
        listener.always = errno.EMFILE
        with socket.create_connection(("127.0.0.1", listener.port)):
            async with accepting(listener, clock) as acceptor:
                await until(lambda: acceptor.is_pausing)
        assert clock.timers == 0

    run(scenario())


# ---------------------------------------------------------------------- pace


def test_those_above_the_rate_wait_and_are_served_when_it_allows(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        pace = Pace(2 / PACE_INTERVAL, clock)  # two an interval, four at first
        listener = Listener()
        async with accepting(listener, clock, pace=pace) as acceptor:
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(socket.create_connection(("127.0.0.1", listener.port)))
                    for _ in range(9)
                ]
                for client in clients:
                    client.setblocking(False)
                    client.send(b"x")
                answered = []
                for _ in range(3):
                    await until(lambda: acceptor.is_pausing)
                    await turn(100)
                    answered.append([answer_of(client) for client in clients])
                    clock.advance(PACE_INTERVAL)
                last = await asyncio.get_running_loop().sock_recv(clients[-1], 1)
                pausing_at_the_end = acceptor.is_pausing
            await turn(10)
        assert answered == [
            [b"x"] * 4 + [None] * 5,
            [None] * 4 + [b"x"] * 2 + [None] * 3,
            [None] * 6 + [b"x"] * 2 + [None],
        ]
        assert last == b"x"
        assert not pausing_at_the_end  # nobody waits

    run(scenario())
    assert not caplog.records


def answer_of(client: socket.socket) -> bytes | None:
    """What has come back; None for nothing."""
    try:
        return client.recv(1)
    except BlockingIOError:
        return None


def test_two_listeners_share_a_pace_and_closing_ends_the_wait() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        pace = Pace(1, clock)
        first, second = Listener(), Listener()
        async with accepting(first, clock, pace=pace), accepting(second, clock, pace=pace) as other:
            await talk(first.port)
            with socket.create_connection(("127.0.0.1", second.port)) as client:
                client.send(b"x")
                client.setblocking(False)
                await until(lambda: other.is_pausing)
                assert second.attempts == 0
                clock.advance(1)
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b"x"
                with socket.create_connection(("127.0.0.1", second.port)):
                    await until(lambda: other.is_pausing)
            await turn(10)
        assert clock.timers == 0

    run(scenario())


# ----------------------------------------------------------------------- TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost"))
    return context


def test_a_handshake_that_fails_costs_nobody_else(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        listener = Listener()
        async with accepting(listener, tls=server_context(authority)):
            with socket.create_connection(("127.0.0.1", listener.port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                client.setblocking(False)
                assert b"HTTP" not in await asyncio.get_running_loop().sock_recv(client, 1000)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", listener.port, ssl=authority.trusting(), server_hostname="localhost"
            )
            writer.write(b"sealed")
            assert await reader.readexactly(6) == b"sealed"
            writer.close()
            await writer.wait_closed()

    run(scenario())
    assert not caplog.records


def test_closing_drops_those_in_their_handshake(authority: Authority) -> None:
    async def scenario() -> None:
        listener = Listener()
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.setblocking(False)
            async with accepting(listener, tls=server_context(authority)):
                await until(lambda: listener.attempts >= 2)
                await turn(3)
            assert await asyncio.get_running_loop().sock_recv(client, 1000) == b""

    run(scenario())


def test_without_descriptors_tls_peers_are_closed(authority: Authority) -> None:
    async def scenario() -> None:
        listener = Listener()
        listener.failures = [errno.EMFILE]
        with socket.create_connection(("127.0.0.1", listener.port)) as client:
            client.setblocking(False)
            async with accepting(listener, tls=server_context(authority)):
                assert await asyncio.get_running_loop().sock_recv(client, 1000) == b""

    run(scenario())
