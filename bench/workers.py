"""How many publications per second do two workers take, and what does each process spend on one?

The memory engine stands in the supervisor, so every request of a worker goes through it: HTTP costs a worker, the
engine's link costs both. Measured in turn, in the same run: the echo server of ``bench/publish.py`` and one process,
each on a core of its own; then a supervisor with workers on all cores, which they share with the load client. CPU is
user and system time in microseconds per request.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil

from bench import _harness as harness
from bench.publish import BODY, echo

WORKERS = 2
ALL_CORES = ",".join(map(str, harness.CORES))


@contextmanager
def supervised(**channel: Any) -> Iterator[harness.Running]:
    """A supervisor with its workers, free to use all cores."""
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps({**harness.config(port, **channel), "workers": WORKERS}))
        command: list[str | Path] = [
            "taskset",
            "-c",
            ALL_CORES,
            sys.executable,
            "-m",
            "centrifast",
            "-c",
            path,
        ]
        with harness.started("workers", port, command) as running:
            yield running


def cpu_seconds(server: harness.Running) -> tuple[float, float]:
    """Of the process that was started, and of its children together."""
    root = psutil.Process(server.pid)
    own, *children = [
        times.user + times.system for times in (one.cpu_times() for one in (root, *root.children()))
    ]
    return own, sum(children)


def measure(server: harness.Running, connections: int, seconds: float) -> harness.Figures:
    """Load a server, and say what it spent per request."""

    def load(duration: float) -> harness.Figures:
        return harness.http_load(
            server.port, "/api/publish", BODY, "-c", str(connections), "-s", str(duration)
        )

    load(0.5)  # warm-up
    before = cpu_seconds(server)
    figures = load(seconds)
    own, children = (now - then for now, then in zip(cpu_seconds(server), before, strict=True))
    requests = figures["requests"]
    return {**figures, "cpu_us": own / requests * 1e6, "workers_cpu_us": children / requests * 1e6}


@click.command()
@click.option("--connections", default=16, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--rounds", default=3, show_default=True, help="Of echo, one process and workers in turn.")
@click.option("--history", is_flag=True, help="Keep publications.")
def main(connections: int, seconds: float, rounds: int, history: bool) -> None:
    """Requests per second of /api/publish through workers."""
    channel = harness.RECOVERABLE if history else {}

    def measure_echo() -> harness.Figures:
        with echo() as server:
            return measure(server, connections, seconds)

    def measure_one() -> harness.Figures:
        with harness.centrifast(**channel) as server:
            return measure(server, connections, seconds)

    def measure_workers() -> harness.Figures:
        with supervised(**channel) as server:
            return measure(server, connections, seconds)

    results = harness.in_turn(rounds, {"echo": measure_echo, "one": measure_one, "workers": measure_workers})
    limits, one, workers = results["echo"], results["one"], results["workers"]
    harness.report(
        "workers_history" if history else "workers",
        {
            "connections": connections,
            "rounds": rounds,
            "workers": WORKERS,
            "requests_per_s": harness.median(workers, "requests_per_s"),
            "one_process_requests_per_s": harness.median(one, "requests_per_s"),
            "echo_requests_per_s": harness.median(limits, "requests_per_s"),
            "ratio": harness.ratio(workers, limits, "requests_per_s"),
            "ratio_to_one_process": harness.ratio(workers, one, "requests_per_s"),
            "latency_p99_us": harness.median(workers, "p99_us"),
            "supervisor_cpu_us": harness.median(workers, "cpu_us"),
            "workers_cpu_us": harness.median(workers, "workers_cpu_us"),
            "one_process_cpu_us": harness.median(one, "cpu_us"),
            "client_cpu_share": harness.median(workers, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
