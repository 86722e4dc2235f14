"""What scenarios are made of: connecting everybody, publishing while CPU is measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from centrifast_loadgen._board import Counter
from centrifast_loadgen.feed import Feed
from centrifast_loadgen.fleet import Fleet
from centrifast_loadgen.monitor import Shares, warnings
from centrifast_loadgen.report import Report
from centrifast_loadgen.settings import Settings
from centrifast_loadgen.usage import Usage, measure


class Stage:
    """One run under way."""

    def __init__(self, settings: Settings, fleet: Fleet, report: Report, before: Usage) -> None:
        self.settings = settings
        self.fleet = fleet
        self.report = report
        self.feed = Feed(settings, fleet.board, self.look)
        self._before = before  # of the server, before anybody connected

    def look(self, text: str) -> None:
        """Called often while something is waited for."""
        self.fleet.monitor.published = self.feed.published
        self.fleet.look(text)

    def connect(self) -> int:
        """Wait until all are ready or have failed, and hold; measure the server. Return how many are ready."""
        settings, report, fleet = self.settings, self.report, self.fleet
        started = done_at = time.monotonic()
        done = 0

        def finished() -> bool:
            nonlocal started, done, done_at
            now_done = fleet.total(Counter.READY) + fleet.total(Counter.FAILED)
            if fleet.total(Counter.CONNECTED) == 0 and fleet.total(Counter.FAILED) == 0:
                started = time.monotonic()  # starting the processes is not the server's time
            if now_done != done:
                done, done_at = now_done, time.monotonic()
            return done >= settings.connections

        mark = fleet.monitor.mark()
        try:
            fleet.wait(finished, float("inf"), "connecting")
        finally:
            ready = fleet.total(Counter.READY)
            report.connect_seconds = max(done_at - started, 0.0)
            report.connects_per_s = ready / report.connect_seconds if report.connect_seconds > 0 else 0.0
        self._note_cpu(fleet.monitor.since(mark))
        after = measure(settings.pid)
        fleet.hold(settings.hold, "holding")
        held = measure(settings.pid)
        if settings.pid and ready:
            report.connect_cpu_us = (after.cpu_seconds - self._before.cpu_seconds) / ready * 1e6
            report.rss = held.rss_bytes
            report.rss_per_connection = (held.rss_bytes - self._before.rss_bytes) / ready
        return ready

    @contextmanager
    def measured(self) -> Iterator[None]:
        """The part of the run that CPU and time of deliveries are about."""
        fleet, report = self.fleet, self.report
        before = fleet.total(Counter.DELIVERED)
        started = time.monotonic_ns()
        mark = fleet.monitor.mark()
        try:
            yield
        finally:
            shares = fleet.monitor.since(mark)
            last = fleet.board.largest(Counter.LAST_NS)
            report.seconds = max(0.0, (last - started) / 1e9)
            delivered = fleet.total(Counter.DELIVERED) - before
            report.deliveries_per_s = delivered / report.seconds if report.seconds else 0.0
            report.warnings = []  # those of connecting are about something else
            if delivered and report.seconds:
                self._note_deliveries(shares, delivered)
            else:
                self._note_cpu(shares)

    def _note_deliveries(self, shares: Shares, delivered: int) -> None:
        """CPU per delivery, and per second from the first publication to the last delivery."""
        report = self.report
        stretch = shares.seconds / report.seconds  # waiting for deliveries that do not come costs nothing
        if shares.server is not None:
            report.delivery_cpu_us = shares.server * shares.seconds / delivered * 1e6
        self._note_cpu(shares, stretch)

    def _note_cpu(self, shares: Shares, stretch: float = 1.0) -> None:
        report = self.report
        stretched = Shares(
            shares.seconds / stretch,
            None if shares.server is None else shares.server * stretch,
            shares.coordinator * stretch,
            tuple(share * stretch for share in shares.workers),
            shares.busiest * stretch,
            shares.machine,
        )
        report.client_cpu_share = stretched.loadgen
        report.worker_cpu_shares = list(stretched.workers)
        if stretched.server is not None:
            report.server_cpu_share = stretched.server
        report.warnings += warnings(stretched)
