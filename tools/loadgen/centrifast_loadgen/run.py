"""One run: start the workers, connect, hold, publish, wait for the deliveries, stop, report."""

import gc
import multiprocessing
import os
import socket
import time
from collections import Counter as Tally
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from multiprocessing.shared_memory import SharedMemory

from centrifast_loadgen import wire, worker
from centrifast_loadgen._client import HISTOGRAM_BUCKETS, Board, Counter, histogram_bucket
from centrifast_loadgen.histogram import quantile
from centrifast_loadgen.publisher import Publisher, PublishError
from centrifast_loadgen.report import Latency, Report
from centrifast_loadgen.settings import (
    Protocol,
    Settings,
    SettingsError,
    Target,
    choose_processes,
    raise_descriptor_limit,
    usable_cores,
)
from centrifast_loadgen.usage import Usage, measure

PROGRESS_INTERVAL = 0.25
# How often a waiting loop comes back to look after progress and workers.
WAIT_SLICE = 0.1
CONNECT_POLL = 0.005
STOP_TIMEOUT = 30.0

Progress = Callable[[str], None]


class WorkerDied(RuntimeError):
    """A worker process ended before it was told to."""


def resolve(settings: Settings) -> str:
    """Address of the server under load. Raises SettingsError."""
    target = Target.parse(settings.url, "ws")
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsError(f"{target.host}: {error.strerror}") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


class Run:
    """The state of one run; `execute` is the only way in."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        limit = raise_descriptor_limit()
        self._workers = choose_processes(settings.connections, settings.processes, limit, usable_cores())
        self._report = Report(connections=settings.connections, processes=self._workers)
        self._reasons: Tally[str] = Tally()
        self._processes: list[tuple[BaseProcess, Pipe]] = []
        self._next_progress = 0.0
        self._expected = 0
        self._api_latency = [0] * HISTOGRAM_BUCKETS

    def execute(self) -> Report:
        """Do everything. Raises SettingsError and WorkerDied."""
        before = measure(self._settings.pid)
        address = resolve(self._settings)
        memory = SharedMemory(create=True, size=Board.size(self._workers, self._settings.channels))
        assert memory.buf is not None
        board = Board(memory.buf, self._workers, self._settings.channels)
        try:
            self._start_workers(memory.name, address)
            connected = self._connect(board, before)
            if connected and self._settings.messages:
                self._publish(board)
            self._stop_workers()
            self._collect(board)
        finally:
            for process, _ in self._processes:
                if process.is_alive():
                    process.kill()
                process.join()
            board.release()
            gc.collect()  # a shard keeps its view of the memory until it is collected
            memory.close()
            memory.unlink()
        return self._report

    def _start_workers(self, memory: str, address: str) -> None:
        # spawn: a forked child would inherit descriptors and, from a caller that has them, threads.
        context = multiprocessing.get_context("spawn")
        share, extra = divmod(self._settings.connections, self._workers)
        first = 0
        for index in range(self._workers):
            count = share + (index < extra)
            task = worker.Task(self._settings, index, self._workers, first, count, address, memory)
            ours, theirs = context.Pipe()
            process = context.Process(target=worker.main, args=(task, theirs), daemon=True)
            process.start()
            theirs.close()
            self._processes.append((process, ours))
            first += count

    def _connect(self, board: Board, before: Usage) -> int:
        """Wait until all are ready or have failed; measure the server. Return how many are ready."""
        settings, report = self._settings, self._report
        started = done_at = time.monotonic()
        done = 0
        while done < settings.connections:
            time.sleep(CONNECT_POLL)
            self._check_workers()
            now_done = board.total(Counter.READY) + board.total(Counter.FAILED)
            if board.total(Counter.CONNECTED) == 0 and board.total(Counter.FAILED) == 0:
                started = time.monotonic()  # starting the processes is not the server's time
            if now_done != done:
                done, done_at = now_done, time.monotonic()
            self._show(f"connected {board.total(Counter.READY):,} of {settings.connections:,}")
        ready = board.total(Counter.READY)
        report.connect_seconds = done_at - started
        report.connects_per_s = ready / report.connect_seconds if report.connect_seconds > 0 else 0.0
        after = measure(settings.pid)
        self._hold(board)
        held = measure(settings.pid)
        if settings.pid and ready:
            report.connect_cpu_us = (after.cpu_seconds - before.cpu_seconds) / ready * 1e6
            report.rss = held.rss_bytes
            report.rss_per_connection = (held.rss_bytes - before.rss_bytes) / ready
        return ready

    def _hold(self, board: Board) -> None:
        until = time.monotonic() + self._settings.hold
        while (left := until - time.monotonic()) > 0:
            self._check_workers()
            self._show(f"holding, {left:.0f} s left, {board.total(Counter.CLOSED):,} closed")
            time.sleep(min(left, WAIT_SLICE))

    def _publish(self, board: Board) -> None:
        settings, report = self._settings, self._report
        publisher = self._publisher()
        server, client = measure(settings.pid), measure(os.getpid())
        started = time.monotonic_ns()
        for message in range(settings.messages):
            if settings.rate:
                time.sleep(max(0.0, started / 1e9 + message / settings.rate - time.monotonic()))
            if settings.duration and time.monotonic_ns() - started >= settings.duration * 1e9:
                break
            channel = message % settings.channels
            subscribers = board.subscribers(channel)
            if not self._publish_one(publisher, settings.channel(channel)):
                continue
            board.count_published(channel)
            report.published += 1
            self._expected += subscribers
            if settings.inflight and report.published >= settings.inflight:
                self._wait(board, self._expected - (settings.inflight - 1) * subscribers)
            self._show_published(board)
        self._wait(board, self._expected)
        publisher.close()
        report.seconds = max(0.0, (board.largest(Counter.LAST_NS) - started) / 1e9)
        delivered = board.total(Counter.DELIVERED)
        if not delivered:
            return
        report.client_cpu_share = (measure(os.getpid()).cpu_seconds - client.cpu_seconds) / report.seconds
        if settings.pid:
            used = measure(settings.pid).cpu_seconds - server.cpu_seconds
            report.delivery_cpu_us = used / delivered * 1e6
            report.server_cpu_share = used / report.seconds

    def _publisher(self) -> Publisher:
        settings = self._settings
        target = Target.parse(settings.api_url, "http")
        if settings.protocol is Protocol.RAW:
            return Publisher(target, {"Content-Type": "text/plain"})
        target = Target(target.host, target.port, f"{target.path.rstrip('/')}/publish")
        headers = {"Content-Type": "application/json"}
        if settings.api_key:
            headers["X-API-Key"] = settings.api_key
        return Publisher(target, headers)

    def _publish_one(self, publisher: Publisher, channel: str) -> bool:
        now_ns = time.monotonic_ns()
        try:
            status, body = publisher.post(wire.publication_body(self._settings, channel, now_ns))
            error = (
                wire.api_error(body)
                if status == 200
                else f"HTTP {status} {body[:200].decode(errors='replace')}"
            )
        except PublishError as failure:
            error = str(failure)
        self._api_latency[histogram_bucket((time.monotonic_ns() - now_ns) // 1000)] += 1
        if error is not None:
            self._report.publish_errors += 1
            self._reasons[f"publish: {error}"] += 1
        return error is None

    def _wait(self, board: Board, target: int) -> None:
        """Wait for *target* deliveries, until nothing has come for stall_timeout."""
        seen, seen_at = -1, time.monotonic()
        while not board.wait_delivered(target, WAIT_SLICE):
            self._check_workers()
            self._show_published(board)
            delivered = board.total(Counter.DELIVERED)
            if delivered != seen:
                seen, seen_at = delivered, time.monotonic()
            # What a closed connection misses will never come: one quiet second tells that the rest is here.
            patience = 1.0 if board.total(Counter.CLOSED) else self._settings.stall_timeout
            if time.monotonic() - seen_at > patience:
                return

    def _stop_workers(self) -> None:
        for _, pipe in self._processes:
            pipe.send(None)
        for process, pipe in self._processes:
            if not pipe.poll(STOP_TIMEOUT):
                raise WorkerDied(f"worker {process.pid} did not stop within {STOP_TIMEOUT:g} s")
            try:
                self._reasons.update(pipe.recv())
            except EOFError as error:
                raise WorkerDied(f"worker {process.pid} ended without a report") from error

    def _collect(self, board: Board) -> None:
        report = self._report
        report.connected = board.total(Counter.READY)
        report.failed = board.total(Counter.FAILED)
        report.closed = board.total(Counter.CLOSED)
        report.delivered = board.total(Counter.DELIVERED)
        report.expected = self._expected
        report.lost = board.total(Counter.LOST)
        report.surplus = board.total(Counter.SURPLUS)
        report.websocket_messages = board.total(Counter.MESSAGES)
        report.pings = board.total(Counter.PINGS)
        report.deliveries_per_s = report.delivered / report.seconds if report.seconds else 0.0
        report.latency_us = Latency.of(board.histogram(), board.largest(Counter.MAX_US))
        report.api_p50_us = quantile(self._api_latency, 0.5)
        report.api_p99_us = quantile(self._api_latency, 0.99)
        report.reasons = dict(self._reasons)

    def _check_workers(self) -> None:
        for process, _ in self._processes:
            if process.exitcode is not None:
                raise WorkerDied(f"worker {process.pid} ended with code {process.exitcode}")

    def _show_published(self, board: Board) -> None:
        if time.monotonic() < self._next_progress:
            return  # called for each publication: the text costs more than the question
        published, delivered = self._report.published, board.total(Counter.DELIVERED)
        self._show(f"published {published:,}, delivered {delivered:,} of {self._expected:,}")

    def _show(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_INTERVAL
            self._progress(text)


def execute(settings: Settings, progress: Progress) -> Report:
    """Run once; *progress* is given a line of text now and then. Raises SettingsError and WorkerDied."""
    return Run(settings, progress).execute()
