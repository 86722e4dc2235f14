"""What does counting cost? Nanoseconds for what stands beside commands and publications, and a scrape.

``tally``, ``observe`` (with quantiles) and ``observe_since`` are called from Python, without what the loop around them
costs. ``broadcast`` is the whole of it, to 10 and to 10,000 subscribers, the counting included; nothing is written.
``scrape`` and ``snapshot`` read everything once; they ask for numbers of clients, never for clients.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from timeit import Timer

import click

from bench import _harness as harness
from centrifast._channel import Channel
from centrifast._core import Drain, Sink
from centrifast._framing import Variant
from centrifast._metrics import FRAME_TYPES, Histogram, Tally, now
from centrifast._wheel import TimingWheel
from centrifast.clock import Clock, SystemClock
from centrifast.metrics.collector import Collector, Population
from centrifast.metrics.exposition import write
from centrifast.metrics.metrics import HTTP, Metrics
from centrifast.metrics.registry import COMMAND_BOUNDS

CALLS = 10_000
MESSAGES = 1000
DATA = b'{"push":{"channel":"bench0","pub":{"data":{"p":"' + b"x" * 92 + b'"}}}}'
PUBLICATION = FRAME_TYPES.index("push_publication")


class Nothing:
    """Owner and transport of a sink that never writes."""

    def on_sink_failed(self, reason: int) -> None:
        pass

    def on_sink_wake(self) -> None:
        pass

    def write(self, data: bytes | memoryview) -> None:
        pass


def nanoseconds(statement: str, **names: object) -> float:
    """Of one call, without the loop."""
    spent, empty = (min(Timer(text, globals=names).repeat(50, CALLS)) for text in (statement, "pass"))
    return 1e9 * (spent - empty) / CALLS


def measure_calls() -> harness.Figures:
    """Instruments, one call each."""
    windowed, plain = Histogram(COMMAND_BOUNDS, windowed=True), Histogram(COMMAND_BOUNDS)
    return {
        "tally_ns": nanoseconds("tally.add()", tally=Tally()),
        "observe_ns": nanoseconds("histogram.observe(2e-5)", histogram=windowed),
        "observe_plain_ns": nanoseconds("histogram.observe(2e-5)", histogram=plain),
        "observe_since_ns": nanoseconds("histogram.observe_since(0.0)", histogram=windowed),
        "now_ns": nanoseconds("now()", now=now),
    }


def measure_broadcast(subscribers: int) -> harness.Figures:
    """One broadcast to many sinks that are closed before anything is written."""
    drain = Drain(lambda _: None, 1 << 30)
    wheel, variant = TimingWheel(time.monotonic()), Variant("json", 1, b"\n", b"{}", b"{}")
    channel, nothing = Channel("bench", drain), Nothing()
    sinks = [Sink(drain, wheel, variant, nothing, nothing, number, False) for number in range(subscribers)]
    with ExitStack() as stack:
        for sink in sinks:
            channel.join(sink)
            stack.callback(sink.close)
            stack.callback(channel.leave, sink, False)
        broadcast = channel.arrays[0].broadcast
        began = time.perf_counter()
        for _ in range(MESSAGES):
            broadcast(DATA, False, PUBLICATION)
        spent = time.perf_counter() - began
        if variant.counted()[PUBLICATION][0] != MESSAGES * subscribers:
            raise harness.BenchError("broadcasts were miscounted")
    return {f"broadcast_{subscribers}_ns": 1e9 * spent / MESSAGES}


def measure_reading(clock: Clock) -> harness.Figures:
    """A scrape and a snapshot of a node on which everything has happened."""
    metrics = Metrics(recovered_publications=True)
    for histogram in metrics.commands:
        histogram.observe(1e-4)
    for method in range(14):
        metrics.api_calls[HTTP][str(method)].observe(1e-4)
    variant = Variant("json", 1, b"\n", b"{}", b"{}")
    for kind in range(len(FRAME_TYPES)):
        variant.count_received(kind, 100)
    collector = Collector(metrics, [variant], Drain(lambda _: None, 1 << 20), Population, clock)

    def scrape() -> bytes:
        return write(collector.collect())

    return {
        "scrape_ms": milliseconds(scrape),
        "scrape_lines": scrape().count(b"\n"),
        "snapshot_ms": milliseconds(lambda: collector.snapshot("uid", "name")),
    }


def milliseconds(call: Callable[[], object]) -> float:
    """Of the fastest of some calls."""
    return 1e3 * min(Timer(call).repeat(20, 1))


@click.command()
@click.option("--rounds", default=5, show_default=True)
def main(rounds: int) -> None:
    """Cost of counting."""
    clock = SystemClock(None)  # type: ignore[arg-type]  # no timers are set
    questions: dict[str, Callable[[], harness.Figures]] = {
        "calls": measure_calls,
        "broadcast_10": partial(measure_broadcast, 10),
        "broadcast_10000": partial(measure_broadcast, 10_000),
        "reading": partial(measure_reading, clock),
    }
    figures: harness.Figures = {"rounds": rounds}
    for measured in harness.in_turn(rounds, questions).values():
        for key in measured[0]:
            figures[key] = harness.median(measured, key)
    harness.report("metrics", figures)


if __name__ == "__main__":
    main()
