"""Looks at a run from the coordinator: samples over time, the progress line, CPU of everybody, warnings."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from centrifast_loadgen._board import HISTOGRAM_BUCKETS, Board, Counter
from centrifast_loadgen.histogram import quantile
from centrifast_loadgen.series import Sample, Series, merge
from centrifast_loadgen.settings import usable_cores
from centrifast_loadgen.usage import Meter, machine_cpu_seconds

FIRST_INTERVAL = 0.25  # seconds between samples, doubled whenever the series is halved
SATURATED = 0.9  # of a core: a process that uses more has no time to spare
OTHERS = 0.1  # of the machine: what others may use without a word

Progress = Callable[[str], None]
Cpu = tuple[list[float], list[float], list[float]]  # seconds: server, coordinator, workers


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, and what CPU had been used by then."""

    at: float
    cpu: Cpu
    server: dict[int, float]  # CPU seconds of each of the server's processes
    machine: float  # CPU seconds of everything that runs here


@dataclass(frozen=True, slots=True)
class Shares:
    """CPU seconds per second of a phase."""

    seconds: float = 0.0
    server: float | None = None  # all its processes together; None: not measured
    coordinator: float = 0.0
    workers: tuple[float, ...] = ()
    busiest: float = 0.0  # of the server's processes
    machine: float = 0.0  # of everything that runs here

    @property
    def loadgen(self) -> float:
        """All processes of the load generator together."""
        return self.coordinator + sum(self.workers)


class Monitor:
    """Belongs to one run; `tick` is called often and does something now and then."""

    def __init__(self, board: Board, pid: int, workers: Sequence[int], progress: Progress) -> None:
        self.series = Series()
        self.published = 0
        self._board = board
        self._progress = progress
        self._server = Meter(pid) if pid else None
        self._meters = [Meter(worker) for worker in workers]
        self._began = time.monotonic()
        self._interval = FIRST_INTERVAL
        self._due = 0.0
        self._histogram = [0] * HISTOGRAM_BUCKETS

    def tick(self, text: str = "", *, force: bool = False) -> None:
        """Take a sample and show progress, beginning with *text*, when it is time."""
        now = time.monotonic()
        if now < self._due and not force:
            return
        self._due = now + self._interval
        self._add(self._sample(now))
        self._progress(describe(self.series, text))

    def _add(self, sample: Sample) -> None:
        samples = self.series.samples
        if samples and sample.seconds - samples[-1].seconds < self._interval / 2:
            samples[-1] = merge(samples[-1], sample)  # rates over a few milliseconds say nothing
        elif self.series.append(sample):
            self._interval *= 2

    def mark(self) -> Mark:
        """A moment to measure CPU from."""
        cpu = self._cpu()  # looks for the server's processes
        each = self._server.each() if self._server else {}
        return Mark(time.monotonic(), cpu, each, machine_cpu_seconds())

    def since(self, mark: Mark) -> Shares:
        """CPU since a moment."""
        seconds = max(time.monotonic() - mark.at, 1e-9)
        server, own, workers = (
            [now - before for now, before in zip(after, earlier, strict=True)]
            for after, earlier in zip(self._cpu(), mark.cpu, strict=True)
        )
        each = self._server.each() if self._server else {}
        return Shares(
            seconds,
            server[0] / seconds if self._server else None,
            own[0] / seconds,
            tuple(used / seconds for used in workers),
            max((used - mark.server.get(pid, used) for pid, used in each.items()), default=0.0) / seconds,
            (machine_cpu_seconds() - mark.machine) / seconds,
        )

    def _cpu(self) -> Cpu:
        own = os.times()
        server = self._server.measure().cpu_seconds if self._server else 0.0
        return [server], [own.user + own.system], [meter.measure().cpu_seconds for meter in self._meters]

    def _sample(self, now: float) -> Sample:
        board = self._board
        histogram = board.histogram()
        fresh = [count - before for count, before in zip(histogram, self._histogram, strict=True)]
        self._histogram = histogram
        server, own, workers = self._cpu()
        return Sample(
            seconds=now - self._began,
            connections=board.total(Counter.OPEN),
            published=self.published,
            delivered=board.total(Counter.DELIVERED),
            missing=board.total(Counter.MISSING),
            closed=board.total(Counter.CLOSED),
            p50_us=quantile(fresh, 0.5),
            p99_us=quantile(fresh, 0.99),
            server_cpu_seconds=server[0],
            loadgen_cpu_seconds=own[0] + sum(workers),
            rss_bytes=self._server.measure().rss_bytes if self._server else 0,
        )


def describe(series: Series, text: str) -> str:
    """The progress line: what is going on, and the figures of the last interval."""
    last = series.samples[-1]
    before = series.samples[-2] if len(series) > 1 else last
    passed = last.seconds - before.seconds or 1.0
    parts = [
        text,
        f"{last.connections:,} connected",
        f"{(last.connections - before.connections) / passed:+,.0f}/s"
        * (last.connections != before.connections),
        f"{(last.delivered - before.delivered) / passed:,.0f} deliveries/s" * bool(last.delivered),
        f"p50 {last.p50_us / 1000:,.1f} p99 {last.p99_us / 1000:,.1f} ms" * bool(last.p99_us),
        f"{last.missing:,} missing" * bool(last.delivered),
        f"{last.closed:,} closed" * bool(last.closed),
        f"server {last.rss_bytes / (1 << 20):,.0f} MiB" * bool(last.rss_bytes),
    ]
    return " · ".join(filter(None, parts))


def warnings(shares: Shares, cores: int | None = None) -> list[str]:
    """Whether the load generator may have been the limit, not the server."""
    cores = cores or usable_cores()
    found = []
    server_is_limit = shares.busiest >= SATURATED
    busy = [share for share in shares.workers if share >= SATURATED]
    if busy and not server_is_limit:
        found.append(
            f"{len(busy)} of {len(shares.workers)} workers used {max(busy):.0%} of a core: the load generator "
            "was the limit, not the server. Use more --processes on more cores, or another machine"
        )
    elif shares.coordinator >= SATURATED and not server_is_limit:
        found.append(
            f"publishing used {shares.coordinator:.0%} of a core: the load generator could not publish faster"
        )
    elif shares.loadgen >= SATURATED * cores and not server_is_limit:
        found.append(
            f"the load generator used {shares.loadgen:.2f} of its {cores} cores: it was the limit, not the server"
        )
    return found + _crowding(shares, os.cpu_count() or 1)


def _crowding(shares: Shares, cores: int) -> list[str]:
    """Whether everything on this machine together left no time."""
    both = (shares.server or 0.0) + shares.loadgen
    if shares.server is not None and both >= SATURATED * cores:
        return [
            f"server and load generator used {both:.2f} of this machine's {cores} cores: each took from the other. "
            "Load from another machine"
        ]
    if shares.machine >= SATURATED * cores and shares.machine - both >= OTHERS * cores:
        known = "the load generator" if shares.server is None else "server and load generator"
        return [
            f"this machine was busy: of its {cores} cores {known} used {both:.2f}, others "
            f"{shares.machine - both:.2f}. The figures suffer from that"
        ]
    return []
