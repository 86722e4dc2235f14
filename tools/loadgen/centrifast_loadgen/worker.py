"""One worker process: opens its share of the connections and keeps them until it is told to stop."""

import asyncio
import errno
import logging
import os
import socket
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.shared_memory import SharedMemory

import picows
import uvloop

from centrifast_loadgen import wire
from centrifast_loadgen._client import Board, Connection, Counter, Encoding, Plan
from centrifast_loadgen.settings import (
    CONNECTIONS_PER_SOURCE,
    Protocol,
    Settings,
    Target,
    raise_descriptor_limit,
)

# Handshakes in progress in one process: keeps a server busy, within the smallest usual listen backlog.
CONNECTING_AT_ONCE = 128
# Read buffer of a connection. With 4 KiB the load generator was the saturated side when a server joins many small
# messages into one send (5.2 million deliveries/s against 6.0 with this); it costs 27 KiB of RSS per connection.
READ_BUFFER_SIZE = 16 << 10
MAX_FRAME_SIZE = 64 << 20
ENCODINGS = {Protocol.JSON: Encoding.JSON, Protocol.PROTOBUF: Encoding.PROTOBUF, Protocol.RAW: Encoding.RAW}
# Linux: bind the address now, choose the port at connect, so that each source address has a whole range of
# ports per destination. The socket module names it from Python 3.12.
IP_BIND_ADDRESS_NO_PORT = 24
REASONS_KEPT = 5


@dataclass(frozen=True, slots=True)
class Task:
    """The share of one worker: connections *first* to *first + count - 1*."""

    settings: Settings
    worker: int
    workers: int
    first: int
    count: int
    address: str  # of the server, resolved
    memory: str  # name of the shared memory


def main(task: Task, pipe: Pipe) -> None:
    """Entry point of the process. Anything received on *pipe*, or its end, stops the worker.

    Before it ends it sends why connections failed or closed: a dict of reason to number.
    """
    raise_descriptor_limit()
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # failures are counted and reported, not logged
    memory = SharedMemory(task.memory)
    assert memory.buf is not None
    worker = Worker(task, Board(memory.buf, task.workers, task.settings.channels))
    try:
        uvloop.run(worker.run(pipe))
        pipe.send(dict(worker.reasons.most_common(REASONS_KEPT)))
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # interrupted or orphaned: there is nobody to report to
    pipe.close()
    # Closing thousands of transports one by one would take longer than the kernel needs for all.
    os._exit(0)


class Worker:
    """The connections of one process."""

    def __init__(self, task: Task, board: Board) -> None:
        self.reasons: Tally[str] = Tally()
        self._task = task
        self._settings = task.settings
        self._target = Target.parse(task.settings.url, "ws")
        self._board = board
        self._shard = board.shard(task.worker)
        self._connections: list[Connection] = []
        self._plan = Plan(
            self._shard,
            ENCODINGS[task.settings.protocol],
            task.settings.channels,
            task.settings.channels_per_connection,
            wire.parse_protobuf_reply
            if task.settings.protocol is Protocol.PROTOBUF
            else wire.parse_json_reply,
            self._on_closed,
        )

    async def run(self, pipe: Pipe) -> None:
        """Connect, wait for the word to stop, compare what each connection got with what it should have."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.fileno(), stop.set)
        numbers = iter(range(self._task.first, self._task.first + self._task.count))
        connectors = [
            asyncio.create_task(self._connect_from(numbers))
            for _ in range(min(CONNECTING_AT_ONCE, self._task.count))
        ]
        await stop.wait()
        loop.remove_reader(pipe.fileno())
        for connector in connectors:
            connector.cancel()
        await asyncio.gather(*connectors, return_exceptions=True)
        self._plan.stopping = True
        self._compare()

    async def _connect_from(self, numbers: Iterator[int]) -> None:
        """Take connection numbers until none is left; wait for each to be subscribed before the next."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        rate = self._settings.connect_rate / self._task.workers
        for number in numbers:
            if rate:
                await asyncio.sleep(start + (number - self._task.first) / rate - loop.time())
            reason = await self._connect(number)
            if reason is not None:
                self._shard.add(Counter.FAILED)
                self.reasons[reason] += 1

    async def _connect(self, number: int) -> str | None:
        """Open and subscribe one connection; return why that failed."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str | None] = loop.create_future()
        channels = [self._settings.channel(index) for index in self._plan.channels_of(number)]
        connection = Connection(self._plan, number, wire.commands(self._settings, channels), ready)
        subprotocol = wire.SUBPROTOCOL.get(self._settings.protocol)
        transport = None
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                transport, _ = await picows.ws_connect(
                    lambda request, response: connection,
                    f"ws://{self._target.host}:{self._target.port}{self._target.path}",
                    socket_factory=lambda url: self._open_socket(number),
                    extra_headers={"Sec-WebSocket-Protocol": subprotocol} if subprotocol else None,
                    websocket_handshake_timeout=None,  # connect_timeout covers it
                    read_buffer_init_size=READ_BUFFER_SIZE,
                    max_frame_size=MAX_FRAME_SIZE,
                    use_aiofastnet=False,
                )
                reason = await ready
        except TimeoutError:
            reason = f"no answer within {self._settings.connect_timeout:g} s"
        except OSError as error:
            reason = describe_os_error(error)
        except picows.WSError as error:
            reason = str(error) or type(error).__name__
        if reason is None:
            self._connections.append(connection)
        elif transport is not None:
            transport.disconnect(graceful=False)
        return reason

    async def _open_socket(self, number: int) -> socket.socket:
        """A connected socket, from a source address of its own range when the server is on loopback."""
        address = self._task.address
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            sock.setblocking(False)
            if address.startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source_address(number), 0))
            await asyncio.get_running_loop().sock_connect(sock, (address, self._target.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _on_closed(self, reason: str) -> None:
        self.reasons[reason] += 1

    def _compare(self) -> None:
        """Add up what open connections lack, and what they got too much."""
        published = [self._board.published(channel) for channel in range(self._settings.channels)]
        for connection in self._connections:
            if not connection.is_open:
                continue
            expected = sum(published[channel] for channel in self._plan.channels_of(connection.number))
            if connection.delivered < expected:
                self._shard.add(Counter.LOST, expected - connection.delivered)
            elif connection.delivered > expected:
                self._shard.add(Counter.SURPLUS, connection.delivered - expected)


def source_address(number: int) -> str:
    """Loopback source address of a connection: 127.0.10.1 and up, CONNECTIONS_PER_SOURCE connections each."""
    index = number // CONNECTIONS_PER_SOURCE
    return f"127.0.{10 + index // 250}.{index % 250 + 1}"


def describe_os_error(error: OSError) -> str:
    """What went wrong and, where the machine's limits are the cause, what to do."""
    if error.errno == errno.EMFILE:
        return "out of descriptors: use more --processes or raise the hard limit (ulimit -Hn, LimitNOFILE=)"
    if error.errno == errno.EADDRNOTAVAIL:
        return "out of local ports: widen net.ipv4.ip_local_port_range or load from several machines"
    return error.strerror or str(error) or type(error).__name__
