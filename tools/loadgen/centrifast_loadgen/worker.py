"""One worker process: opens its share of the connections and does with them what the coordinator orders."""

import asyncio
import errno
import logging
import os
import random
import signal
import socket
import time
from collections import Counter as Tally
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.shared_memory import SharedMemory

import picows
import uvloop

from centrifast_loadgen import deflate, orders, tokens, wire
from centrifast_loadgen._board import Board, Counter
from centrifast_loadgen._client import Connection, Encoding, Plan
from centrifast_loadgen.messages import Unsubscribed
from centrifast_loadgen.settings import (
    CONNECTIONS_PER_SOURCE,
    Protocol,
    Scenario,
    Settings,
    Target,
    raise_descriptor_limit,
)

# Read buffer of a connection. With 4 KiB the load generator was the saturated side when a server joins many small
# messages into one send (5.2 million deliveries/s against 6.0 with this); it costs 27 KiB of RSS per connection.
READ_BUFFER_SIZE = 16 << 10
MAX_FRAME_SIZE = 64 << 20
ENCODINGS = {Protocol.JSON: Encoding.JSON, Protocol.PROTOBUF: Encoding.PROTOBUF, Protocol.RAW: Encoding.RAW}
# Linux: bind the address now, choose the port at connect, so that each source address has a whole range of
# ports per destination. The socket module names it from Python 3.12.
IP_BIND_ADDRESS_NO_PORT = 24
REASONS_KEPT = 5
MOST_REASONS = 1000  # different ones that are told apart: a server may put anything into its texts
# Receive buffer of a connection that does not read: with megabytes in the kernel the server would not notice.
SLOW_RECEIVE_BUFFER = 4096
# Between attempts of a connection, as SDKs do: a random time up to a limit that doubles, in seconds.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 20.0
RESUBSCRIBE_FROM = 2500  # unsubscribe codes: clients subscribe again


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


@dataclass(frozen=True, slots=True)
class Job:
    """A connection to open."""

    client: Connection
    resume: bool
    exact: bool
    until: float  # try again until then, by the loop's clock
    attempt: int = 0


def main(task: Task, pipe: Pipe) -> None:
    """Entry point of the process. It ends when it is ordered to, or when *pipe* ends.

    Before it ends it sends why connections failed or closed: a dict of reason to number. Its connections stay until
    the coordinator has heard that of all workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinator, which wants the counts
    raise_descriptor_limit()
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # failures are counted and reported, not logged
    memory = SharedMemory(task.memory)
    assert memory.buf is not None
    worker = Worker(task, Board(memory.buf, task.workers, task.settings.channels))
    try:
        uvloop.run(worker.run(pipe))
    except (EOFError, OSError):
        pass  # orphaned: there is nobody to report to
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
        self._shard = board.shard(task.worker)
        settings = task.settings
        self._plan = Plan(
            self._shard,
            ENCODINGS[settings.protocol],
            settings.channels,
            settings.channels_per_connection,
            wire.DECODERS[settings.protocol],
            self,
        )
        self._plan.track_joins = settings.scenario is Scenario.PRESENCE
        self._clients = [Connection(self._plan, task.first + index) for index in range(task.count)]
        for client in self._clients:
            client.slow = settings.is_slow(client.number)
        self._names = {settings.channel(index): index for index in range(settings.channels)}
        self._headers = self._handshake_headers()
        self._pace = 0.0  # seconds between connections; 0: no limit
        self._next_open = 0.0
        self._churn: asyncio.Task[None] | None = None

    async def run(self, pipe: Pipe) -> None:
        """Connect, obey, and at the end compare what each connection got with what it should have."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._loop.add_reader(pipe.fileno(), self._on_orders, pipe)
        self._open(orders.Open(self._settings.connect_rate / self._task.workers))
        connectors = [
            asyncio.create_task(self._connect_all())
            for _ in range(min(self._settings.handshakes, max(self._task.count, 1)))
        ]
        await self._stop.wait()
        self._loop.remove_reader(pipe.fileno())
        for task in [*connectors, *([self._churn] if self._churn else [])]:
            task.cancel()
        await asyncio.gather(*connectors, return_exceptions=True)
        self._plan.stopping = True
        self._compare()
        os.set_blocking(pipe.fileno(), True)  # the loop's reader changed that
        pipe.send(dict(self.reasons.most_common(REASONS_KEPT)))
        pipe.recv()  # block until all have counted: others would see these connections leave

    # ---------------------------------------------------------------- orders

    def _on_orders(self, pipe: Pipe) -> None:
        try:
            order = pipe.recv()
        except (EOFError, OSError):
            order = orders.Stop()  # the coordinator is gone
        match order:
            case orders.Open():
                self._open(order)
            case orders.Drop(first, end, graceful):
                for client in self._clients[
                    max(first - self._task.first, 0) : max(end - self._task.first, 0)
                ]:
                    client.drop(graceful)
            case orders.Churn(rate):
                self._set_churn(rate)
            case orders.Pause() | orders.Resume():
                for client in self._clients:
                    if client.slow:
                        client.pause() if isinstance(order, orders.Pause) else client.resume()
            case _:
                self._stop.set()

    def _open(self, order: orders.Open) -> None:
        self._pace = 1 / order.rate if order.rate else 0.0
        self._next_open = self._loop.time()
        for client in self._clients:
            if not client.is_open:
                self._enqueue(client, order.resume, order.exact)

    def _enqueue(self, client: Connection, resume: bool, exact: bool) -> None:
        until = self._loop.time() + self._settings.retry
        self._jobs.put_nowait(Job(client, resume and client.was_ready, exact, until))

    def _set_churn(self, rate: float) -> None:
        if self._churn is not None:
            self._churn.cancel()
            self._churn = None
        if rate:
            self._pace = 0.0
            self._churn = asyncio.create_task(self._drop_now_and_then(rate))

    async def _drop_now_and_then(self, rate: float) -> None:
        start = self._loop.time()
        number = 0
        while True:
            number += 1
            await asyncio.sleep(start + number / rate - self._loop.time())
            client = random.choice(self._clients)
            if client.is_open:
                client.drop(graceful=random.random() < 0.5)
                self._enqueue(client, resume=True, exact=False)

    # ---------------------------------------------------------------- connecting

    async def _connect_all(self) -> None:
        """Open one connection after another; wait for each to be subscribed before the next."""
        while True:
            job = await self._jobs.get()
            if self._pace:
                due = max(self._next_open, self._loop.time())
                self._next_open = due + self._pace
                await asyncio.sleep(due - self._loop.time())
            reason = await self._connect(job)
            if reason is None:
                continue
            delay = random.random() * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**job.attempt)
            if self._loop.time() + delay < job.until:
                self._shard.add(Counter.RETRIED)
                self._note(f"retried: {reason}")
                again = Job(job.client, job.resume, job.exact, job.until, job.attempt + 1)
                self._loop.call_later(delay, self._jobs.put_nowait, again)
            else:
                self._shard.add(Counter.FAILED)
                self._note(reason)

    def _commands(self, client: Connection, resume: bool) -> list[bytes]:
        settings = self._settings
        channels = [settings.channel(index) for index in self._plan.channels_of(client.number)]
        token = ""
        if settings.token_secret:
            token = tokens.sign(tokens.user_of(client.number, settings.users), settings.token_secret)
        recoveries = [client.position(slot) if resume else None for slot in range(len(channels))]
        return wire.commands(settings, channels, token, recoveries)

    async def _connect(self, job: Job) -> str | None:
        """Open and subscribe one connection; return why that failed."""
        client = job.client
        ready: asyncio.Future[str | None] = self._loop.create_future()
        resume = job.resume and client.position(0) is not None
        client.prepare(self._commands(client, resume), ready, resume, job.exact)
        self._shard.add(Counter.ATTEMPTS)
        transport, began = None, time.monotonic()
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                transport, _ = await picows.ws_connect(
                    lambda request, response: client,
                    f"ws://{self._target.netloc}{self._target.path}",
                    socket_factory=lambda url: self._open_socket(client),
                    extra_headers=self._headers,
                    websocket_handshake_timeout=None,  # connect_timeout covers it
                    read_buffer_init_size=READ_BUFFER_SIZE,
                    max_frame_size=MAX_FRAME_SIZE,
                    use_aiofastnet=False,
                )
                # picows takes a connection that ends before the answer for one that was made, and tells nobody.
                reason = await ready if transport.response is not None else "connection lost"
        except TimeoutError:
            self._shard.add(Counter.TIMEOUTS)
            reason = f"no answer within {self._settings.connect_timeout:g} s"
        except OSError as error:
            reason = describe_os_error(error)
        except picows.WSError as error:
            reason = describe_refusal(error)
        if reason is None:
            self._shard.record_connect(int((time.monotonic() - began) * 1e6))
        elif transport is not None:
            transport.disconnect(graceful=False)
        return reason

    def _handshake_headers(self) -> dict[str, str]:
        headers = {
            "Sec-WebSocket-Protocol": wire.SUBPROTOCOL.get(self._settings.protocol, ""),
            "Sec-WebSocket-Extensions": deflate.OFFER if self._settings.deflate else "",
            "Origin": self._settings.origin,
        }
        return {name: value for name, value in headers.items() if value}

    async def _open_socket(self, client: Connection) -> socket.socket:
        """A connected socket, from a source address of its own range when the server is on loopback."""
        address = self._task.address
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            sock.setblocking(False)
            if client.slow:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BUFFER)
            if address.startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source_address(client.number), 0))
            await self._loop.sock_connect(sock, (address, self._target.port))
        except BaseException:
            sock.close()
            raise
        return sock

    # ---------------------------------------------------------------- what happens to ready connections

    def on_closed(self, connection: Connection, reason: str) -> None:
        """The server closed a ready connection, or its socket broke."""
        self._note(reason)
        if self._settings.comes_back:
            self._enqueue(connection, resume=True, exact=False)

    def slot_of(self, connection: Connection, channel: str) -> int:
        """Which of the connection's subscriptions a channel is; -1: none."""
        index = self._names.get(channel)
        channels = self._plan.channels_of(connection.number)
        return channels.index(index) if index in channels else -1

    def on_unsubscribed(self, connection: Connection, slot: int, ended: Unsubscribed) -> None:
        """The server ended a subscription: subscribe again where a client would."""
        self._note(f"unsubscribed by the server: {ended.code} {ended.reason}")
        if slot >= 0 and ended.code >= RESUBSCRIBE_FROM:
            channel = self._settings.channel(self._plan.channels_of(connection.number)[slot])
            connection.send(wire.subscribe(self._settings, slot, channel, connection.position(slot)))

    def _note(self, reason: str) -> None:
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MOST_REASONS else "others"] += 1

    def _compare(self) -> None:
        """Add up what clients lack."""
        for client in self._clients:
            lost = client.lost()
            if not client.slow:
                self._shard.add(Counter.LOST, lost)
            elif client.is_open:
                self._shard.add(Counter.SLOW_LOST if lost else Counter.SLOW_LEVEL, lost or 1)
            if self._plan.track_joins and client.is_open and not client.saw_itself:
                self._shard.add(Counter.UNSEEN)


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
    if error.errno:
        return os.strerror(error.errno)  # the loop's own texts hold addresses, and would be a reason each
    return str(error) or type(error).__name__


def describe_refusal(error: picows.WSError) -> str:
    """Why a handshake failed, with the status the server answered."""
    response = getattr(error, "response", None)
    if response is None:
        return str(error) or type(error).__name__
    return f"the handshake was refused: HTTP {int(response.status)} {response.status.phrase}"
