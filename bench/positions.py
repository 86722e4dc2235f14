"""What does a publication cost before the first send(), and does it depend on how many subscribers are positioned?

The server runs in this process. Its engine reports to a stopwatch that hands on to the node: what is timed is all from
the engine's event to the last array that has the message pending; the sends follow in a later turn of the loop. A turn
publishes several times: the *first* wakes the drain, those *after* it only append.

Positions are the channel's, so positioned subscribers must cost what plain ones do, and 10,000 what 10 do.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import click
import uvloop

from bench import _harness as harness
from centrifast import app, log
from centrifast.config.loader import load
from centrifast.engine.contract import BrokerEvents
from centrifast.engine.memory import MemoryBroker
from centrifast.model import ClientInfo, Publication, StreamPosition
from centrifast.process import raise_descriptor_limit

TURN = 0.1  # seconds in which everything published in a turn is sent
DATA = b'{"p":"' + b"x" * 92 + b'"}'


class Stopwatch:
    """``BrokerEvents`` that notes how many nanoseconds each publication takes the events behind it."""

    def __init__(self, events: BrokerEvents) -> None:
        self._events = events
        self.metrics = events.metrics
        self.taken_ns: list[int] = []

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        began = time.perf_counter_ns()
        self._events.on_publication(channel, publication, position, previous)
        self.taken_ns.append(time.perf_counter_ns() - began)

    def on_join(self, channel: str, info: ClientInfo) -> None:
        self._events.on_join(channel, info)

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        self._events.on_leave(channel, info)

    def on_interrupted(self, channels: Sequence[str]) -> None:
        self._events.on_interrupted(channels)

    def on_rewound(self, channel: str) -> None:
        self._events.on_rewound(channel)


class TimedBroker(MemoryBroker):
    """The memory engine, reporting through a stopwatch."""

    stopwatch: Stopwatch

    async def start(self, events: BrokerEvents) -> None:
        TimedBroker.stopwatch = Stopwatch(events)
        await super().start(TimedBroker.stopwatch)


async def start_server(port: int) -> app.Server:
    """A server with two namespaces: ``plain``, and ``positioned`` with history and recovery."""
    config = harness.config(port)
    access = config["channel"]["without_namespace"]
    config["channel"]["namespaces"] = [
        {"name": "plain", **access},
        {"name": "positioned", **access, **harness.RECOVERABLE},
    ]
    with tempfile.TemporaryDirectory() as folder, patch.object(app, "MemoryBroker", TimedBroker):
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        server = app.Server(load(path, {}, {}).config)
    await server.start()
    return server


async def measure(
    server: app.Server, running: harness.Running, channel: str, subscribers: int, turns: int, per_turn: int
) -> harness.Figures:
    """Medians, in microseconds, with this many subscribers."""
    stack = ExitStack()  # entered and left in a thread: meanwhile this loop serves
    storm = harness.storm(running, "subscribe", subscribers, "-c", channel)
    await asyncio.to_thread(stack.enter_context, storm)
    taken = TimedBroker.stopwatch.taken_ns
    taken.clear()
    try:
        for _ in range(turns):
            for _ in range(per_turn):
                await server.node.publish(channel, DATA)
            await asyncio.sleep(TURN)
    finally:
        await asyncio.to_thread(stack.close)
    if len(taken) != turns * per_turn:
        raise harness.BenchError(f"{len(taken)} events for {turns * per_turn} publications")
    after = [ns for number, ns in enumerate(taken) if number % per_turn]
    return {"first": statistics.median(taken[::per_turn]) / 1000, "after": statistics.median(after) / 1000}


async def compare(few: int, many: int, turns: int, per_turn: int) -> harness.Figures:
    """Both namespaces with few and with many subscribers."""
    port = harness.free_port()
    server = await start_server(port)
    running = harness.Running("centrifast", port, os.getpid())
    results = {}
    for count in (few, many):
        for kind in ("plain", "positioned"):
            channel = f"{kind}:{count}"
            results[kind, count] = await measure(server, running, channel, count, turns, per_turn)
    await server.stop()
    times = {
        f"{kind}_{moment}_us": [round(results[kind, count][moment], 2) for count in (few, many)]
        for kind in ("plain", "positioned")
        for moment in ("first", "after")
    }
    positioned, plain = results["positioned", many], results["plain", many]
    return {
        "subscribers": [few, many],
        "publications": turns * per_turn,
        **times,
        "many_to_few": positioned["after"] / results["positioned", few]["after"],
        "positioned_to_plain": positioned["after"] / plain["after"],
    }


@click.command()
@click.option("--few", default=10, show_default=True, type=harness.STORM_CONNECTIONS, help="Subscribers.")
@click.option(
    "--many", default=10_000, show_default=True, type=harness.STORM_CONNECTIONS, help="Subscribers."
)
@click.option("--turns", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--per-turn", default=10, show_default=True, type=click.IntRange(2, 1000), help="Publications.")
def main(few: int, many: int, turns: int, per_turn: int) -> None:
    """Cost of a publication before it is sent."""
    log.configure("error")
    raise_descriptor_limit()
    os.sched_setaffinity(0, {harness.SERVER_CORE})
    harness.report("positions", uvloop.run(compare(few, many, turns, per_turn)))


if __name__ == "__main__":
    main()
