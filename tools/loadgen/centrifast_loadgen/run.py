"""One run: start the workers, play the scenario, stop, report."""

import signal
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from centrifast_loadgen import scenarios
from centrifast_loadgen._board import Counter, Histogram
from centrifast_loadgen.fleet import Fleet, WorkerDied
from centrifast_loadgen.report import Latency, Report
from centrifast_loadgen.series import Series
from centrifast_loadgen.settings import Scenario, Settings
from centrifast_loadgen.stage import Stage
from centrifast_loadgen.usage import measure

__all__ = ["Outcome", "Progress", "WorkerDied", "execute", "perform"]

# After Ctrl-C: what is on its way is waited for until nothing has come for so long.
INTERRUPTED_PATIENCE = 2.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that is known about a run."""

    settings: Settings
    report: Report
    series: Series = field(default_factory=Series)
    latency_histogram: list[int] = field(default_factory=list)
    connect_histogram: list[int] = field(default_factory=list)
    began: float = 0.0  # Unix time


def execute(settings: Settings, progress: Progress) -> Report:
    """Run once; *progress* is given a line of text now and then. Raises SettingsError and WorkerDied."""
    return perform(settings, progress).report


def perform(settings: Settings, progress: Progress) -> Outcome:
    """As `execute`, with what happened over time. Ctrl-C and SIGTERM end it early, with what was measured."""
    began = time.time()
    before = measure(settings.pid)
    with Fleet(settings, progress) as fleet:
        report = Report(
            connections=settings.connections, processes=fleet.workers, scenario=settings.scenario.value
        )
        stage = Stage(settings, fleet, report, before)
        play = scenarios.on(stage)
        with _interruptible(fleet):
            try:
                play.play()
            except KeyboardInterrupt:
                report.interrupted = True
                stage.feed.wait(patience=INTERRUPTED_PATIENCE)
        fleet.monitor.tick("ending", force=True)
        stage.feed.close()
        fleet.stop()
        _collect(stage)
        report.details = play.details()
        histograms = fleet.board.histogram(), fleet.connect_histogram()
        return Outcome(settings, report, fleet.monitor.series, *histograms, began)


@contextmanager
def _interruptible(fleet: Fleet) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the scenario where it looks around: between publications, not within; twice, at once.

    In another thread than the main one signals are the caller's.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if fleet.interrupted:
            raise KeyboardInterrupt
        fleet.interrupted = True

    try:
        previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _collect(stage: Stage) -> None:
    """Fill the report from the counters, which are final."""
    report, fleet, feed, settings = stage.report, stage.fleet, stage.feed, stage.settings
    board, total = fleet.board, fleet.total
    report.connected = total(Counter.READY) - total(Counter.REOPENED)
    report.failed, report.closed = total(Counter.FAILED), total(Counter.CLOSED)
    report.connect_us = Latency.of(board.histogram(Histogram.CONNECT), board.largest(Counter.MAX_CONNECT_US))
    report.published, report.publish_errors = feed.published, feed.errors
    report.delivered, report.lost = total(Counter.DELIVERED), total(Counter.LOST)
    report.surplus = total(Counter.DOUBLED) + total(Counter.STRAY)
    report.expected = feed.expected
    if (
        settings.scenario is Scenario.SOAK
    ):  # who was there is known only by what came: what was not skipped was due
        report.expected = report.delivered - report.surplus + report.lost
    report.disordered = total(Counter.DISORDERED)
    report.offset_gaps, report.offset_repeats = total(Counter.OFFSET_GAPS), total(Counter.OFFSET_REPEATS)
    report.unsubscribed = total(Counter.UNSUBSCRIBED)
    report.websocket_messages, report.pings = total(Counter.MESSAGES), total(Counter.PINGS)
    report.latency_us = Latency.of(board.histogram(), board.largest(Counter.MAX_US))
    report.api_p50_us, report.api_p99_us = feed.latency_us(0.5), feed.latency_us(0.99)
    report.deflated = total(Counter.DEFLATED) if settings.deflate else None
    report.handshakes = total(Counter.CONNECTED)
    report.wire_bytes, report.message_bytes = total(Counter.WIRE_BYTES), total(Counter.BYTES)
    report.reasons = dict(Tally(fleet.reasons) + feed.reasons)
