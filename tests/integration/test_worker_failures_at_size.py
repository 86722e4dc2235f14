"""Thousands of clients whose workers, and whose supervisor, are killed while publications pour in.

The clients are the load generator's: each compares every offset and every number with the one before, over all the
connections it has had, and adds what is wrong to a counter.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType

import psutil
from centrifast_loadgen._board import Counter
from centrifast_loadgen.feed import Feed
from centrifast_loadgen.fleet import Fleet
from centrifast_loadgen.settings import Scenario, Settings

from tests.integration.daemon import eventually
from tests.integration.test_recovery_burst import CONFIG
from tests.integration.workers import WorkersDaemon, gone, is_free

CLIENTS, CHANNELS = 5_000, 10
EACH = CLIENTS // CHANNELS
"""Subscribers of a channel."""

RATE = 100
"""Publications a second, over all channels."""

PATIENCE = 60.0
"""Seconds after which something is wrong; it takes a few."""

FAULTS = (
    Counter.FAILED,
    Counter.MISSING,
    Counter.LOST,
    Counter.DOUBLED,
    Counter.STRAY,
    Counter.DISORDERED,
    Counter.OFFSET_GAPS,
    Counter.OFFSET_REPEATS,
    Counter.UNRECOVERED,
    Counter.UNSUBSCRIBED,
)


class Load:
    """Clients that come back whenever they lose their connection, and a publisher."""

    def __init__(self, server: WorkersDaemon) -> None:
        self._server = server
        base = f"127.0.0.1:{server.port}"
        settings = Settings(
            scenario=Scenario.SOAK,  # whose clients come back and recover
            duration=PATIENCE,
            url=f"ws://{base}/connection/websocket",
            api_url=f"http://{base}/api",
            api_key="key",
            connections=CLIENTS,
            channels=CHANNELS,
            channel_prefix="stream:",
            retry=PATIENCE,
        )
        self._fleet = Fleet(settings, lambda text: None)
        self.total = self._fleet.total

    def __enter__(self) -> "Load":
        """Connect everybody."""
        fleet = self._fleet.__enter__()
        self._feed = Feed(fleet.settings, fleet.board, fleet.look)
        try:
            assert fleet.wait(self.is_whole, PATIENCE, "connecting")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.close()
        self._fleet.__exit__(kind, error, trace)

    def is_whole(self) -> bool:
        """Whether everybody is connected and subscribed."""
        return self.total(Counter.OPEN) == CLIENTS

    def publish(self, count: int) -> None:
        """To all channels in turn, at the rate; whoever is away is to recover it."""
        self._feed.publish(count, rate=RATE, everybody=EACH)

    def publish_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE * RATE) // CHANNELS):
            if condition():
                return
            self.publish(CHANNELS)
        raise AssertionError("published in vain")

    def all_has_come(self) -> bool:
        """Wait until as much was delivered as should be; whether it was."""
        return self._fleet.wait_steady(lambda: self.total(Counter.DELIVERED), self._feed.expected, "the rest")

    def compare(self) -> dict[str, int]:
        """What clients found wrong, and what they lack. They do nothing more then."""
        self._fleet.stop()
        found = {counter.name: self.total(counter) for counter in FAULTS}
        surplus = self.total(Counter.DELIVERED) - self._feed.expected
        return {
            name: count
            for name, count in {**found, "surplus": surplus, "errors": self._feed.errors}.items()
            if count
        }

    def worker_without_publisher(self) -> int:
        """The process id of a worker whose death does not leave a publication in doubt."""
        (publisher,) = (
            one for one in psutil.Process().net_connections("tcp") if is_to(one.raddr, self._server.port)
        )
        with socket.socket(fileno=os.dup(publisher.fd)) as connected:
            its_worker = self._server.pid_of(Held(connected))
        return next(pid for pid in self._server.pids() if pid != its_worker)


class Held:
    """``Connected``."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected


def is_to(address: object, port: int) -> bool:
    return getattr(address, "port", 0) == port


def has_more_workers(server: WorkersDaemon, than: int) -> bool:
    """Whether more have come to serve since the start."""
    return len(server.events("worker serves")) > than


def test_when_workers_are_killed_thousands_of_clients_get_everything_once(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, CONFIG) as server, Load(server) as load:
        for workers_so_far in (3, 4):
            load.publish(RATE // 2)
            os.kill(load.worker_without_publisher(), signal.SIGKILL)
            load.publish_until(partial(has_more_workers, server, than=workers_so_far))
            load.publish_until(load.is_whole)
        load.publish(RATE // 2)
        assert load.all_has_come()
        assert load.compare() == {}
        assert load.total(Counter.RECOVERIES) >= load.total(Counter.CLOSED) > CLIENTS // 4
        deaths_told = server.events("worker ended, another one is started")
        assert [event["reason"] for event in deaths_told] == ["SIGKILL", "SIGKILL"]
        assert "Traceback" not in server.log()


@contextmanager
def publishing(load: Load) -> Iterator[None]:
    """Publish in the background."""
    is_over = threading.Event()
    thread = threading.Thread(target=load.publish_until, args=[is_over.is_set])
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(PATIENCE)


def test_without_a_supervisor_workers_with_thousands_of_clients_end(tmp_path: Path) -> None:
    with WorkersDaemon(tmp_path, CONFIG) as server, Load(server) as load, publishing(load):
        eventually(lambda: load.total(Counter.DELIVERED) >= CLIENTS, "deliveries")
        pids = server.pids()
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: gone(pids), "the end of the workers")
        eventually(lambda: is_free(server.port), "the port")
        assert server.wait() == -signal.SIGKILL
        eventually(lambda: load.total(Counter.CLOSED) == CLIENTS, "all clients to hear of it")
