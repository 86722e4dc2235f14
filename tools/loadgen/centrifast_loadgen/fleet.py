"""The coordinator's side of the workers: starts them, gives orders, waits for what their counters say, stops them."""

import gc
import multiprocessing
import socket
import time
from collections import Counter as Tally
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType

from centrifast_loadgen import worker
from centrifast_loadgen._board import Board, Counter, Histogram
from centrifast_loadgen.monitor import Monitor, Progress
from centrifast_loadgen.orders import Open, Order, Stop
from centrifast_loadgen.settings import (
    Settings,
    SettingsError,
    Target,
    choose_processes,
    raise_descriptor_limit,
    usable_cores,
)

LOOK_INTERVAL = 0.1
POLL = 0.005
STOP_TIMEOUT = 30.0


class WorkerDied(RuntimeError):
    """A worker process ended before it was told to."""


def resolve(settings: Settings) -> str:
    """Address of the server under load. Raises SettingsError."""
    target = Target.parse(settings.url, "ws")
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsError(f"{target.host}: {error.strerror}: check the host in --url") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


class Fleet:
    """The workers of one run, and the memory they count in. A context manager: leaving ends whatever still runs."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        limit = raise_descriptor_limit()
        self.settings = settings
        self.workers = choose_processes(settings.connections, settings.processes, limit, usable_cores())
        self.reasons: Tally[str] = Tally()
        self.interrupted = False  # the user wants an end
        self._was_interrupted = False
        self._progress = progress
        self._processes: list[tuple[BaseProcess, Pipe]] = []
        self._due = 0.0

    def __enter__(self) -> "Fleet":
        """Start the workers; they begin to connect at once."""
        address = resolve(self.settings)
        size = Board.size(self.workers, self.settings.channels)
        self._memory = SharedMemory(create=True, size=size)
        assert self._memory.buf is not None
        self.board = Board(self._memory.buf, self.workers, self.settings.channels)
        try:
            self._start(address)
            pids = [process.pid or 0 for process, _ in self._processes]
            self.monitor = Monitor(self.board, self.settings.pid, pids, self._progress)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers and give the memory back."""
        for process, pipe in self._processes:
            if process.is_alive():
                process.kill()
            process.join()
            pipe.close()
        self.board.release()
        gc.collect()  # a shard keeps its view of the memory until it is collected
        self._memory.close()
        self._memory.unlink()

    def _start(self, address: str) -> None:
        # spawn: a forked child would inherit descriptors and, from a caller that has them, threads.
        context = multiprocessing.get_context("spawn")
        share, extra = divmod(self.settings.connections, self.workers)
        first = 0
        for index in range(self.workers):
            count = share + (index < extra)
            task = worker.Task(self.settings, index, self.workers, first, count, address, self._memory.name)
            ours, theirs = context.Pipe()
            process = context.Process(target=worker.main, args=(task, theirs), daemon=True)
            process.start()
            theirs.close()
            self._processes.append((process, ours))
            first += count

    def look(self, text: str) -> None:
        """Check that the workers live and show progress, when it is time.

        Raises WorkerDied, and once KeyboardInterrupt when the run was interrupted.
        """
        if self.interrupted and not self._was_interrupted:
            self._was_interrupted = True
            raise KeyboardInterrupt
        now = time.monotonic()
        if now < self._due:
            return  # called for each publication: looking costs more than the question
        self._due = now + LOOK_INTERVAL
        for process, _ in self._processes:
            if process.exitcode is not None:
                raise WorkerDied(f"worker {process.pid} ended with code {process.exitcode}")
        self.monitor.tick(text)

    def order(self, order: Order) -> None:
        """Tell all workers. Raises WorkerDied."""
        for process, pipe in self._processes:
            try:
                pipe.send(order)
            except OSError as error:
                raise WorkerDied(f"worker {process.pid} is gone") from error

    def open(self, *, resume: bool = False, exact: bool = True) -> None:
        """Let all connections that are not open come back, at the rate of the settings."""
        self.order(Open(self.settings.connect_rate / self.workers, resume, exact))

    def total(self, counter: Counter) -> int:
        """A counter over all workers."""
        return self.board.total(counter)

    def wait(self, done: Callable[[], bool], timeout: float, text: str) -> bool:
        """Wait until *done* says so, at most *timeout* seconds; return whether it did. Raises WorkerDied."""
        end = time.monotonic() + timeout
        while not done():
            if time.monotonic() >= end:
                return False
            self.look(text)
            time.sleep(POLL)
        return True

    def wait_steady(self, value: Callable[[], int], target: int, text: str) -> bool:
        """Wait until *value* reaches *target*, or does not change for stall_timeout; return whether it did."""
        seen, seen_at = -1, time.monotonic()
        while (now_is := value()) < target:
            if now_is != seen:
                seen, seen_at = now_is, time.monotonic()
            if time.monotonic() - seen_at > self.settings.stall_timeout:
                return False
            self.look(text)
            time.sleep(POLL)
        return True

    def hold(self, seconds: float, text: str) -> None:
        """Do nothing for a while."""
        self.wait(lambda: False, seconds, text)

    def connect_histogram(self) -> list[int]:
        """How long connections took so far."""
        return self.board.histogram(Histogram.CONNECT)

    def stop(self) -> None:
        """Let the workers compare and end; then their counters are final. Raises WorkerDied."""
        self.order(Stop())
        for process, pipe in self._processes:
            if not pipe.poll(STOP_TIMEOUT):
                raise WorkerDied(f"worker {process.pid} did not stop within {STOP_TIMEOUT:g} s")
            try:
                self.reasons.update(pipe.recv())
            except (EOFError, OSError) as error:
                raise WorkerDied(f"worker {process.pid} ended without a report") from error
