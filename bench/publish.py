"""How many publications per second does the HTTP API take? No subscribers, 16 keep-alive connections.

The limit is an echo server of httptools on uvloop, measured in turn. ``client_cpu_share`` near 1 would mean that
the load client was the bottleneck; then the figure is a lower bound. The client repeats its head as backends do that
add no trace to it, so that is read once (``protocol/known_heads.py``). With ``--history`` every publication gets an
offset and is kept for a while.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bench import _harness as harness

BODY = json.dumps({"channel": "bench", "data": {"text": "x" * 100}}, separators=(",", ":"))


@contextmanager
def echo() -> Iterator[harness.Running]:
    """The echo server."""
    port = harness.free_port()
    with harness.started("echo", port, [sys.executable, "-m", "bench._echo", str(port)]) as running:
        yield running


@click.command()
@click.option("--connections", default=16, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--rounds", default=3, show_default=True, help="Of echo and centrifast in turn.")
@click.option("--history", is_flag=True, help="Keep publications.")
def main(connections: int, seconds: float, rounds: int, history: bool) -> None:
    """Requests per second of /api/publish."""
    channel = harness.RECOVERABLE if history else {}

    def measure(server: harness.Running) -> harness.Figures:
        options = ["-c", str(connections), "-s", str(seconds)]
        harness.http_load(server.port, "/api/publish", BODY, "-c", str(connections), "-s", "0.5")  # warm-up
        return harness.http_load(server.port, "/api/publish", BODY, *options)

    def measure_echo() -> harness.Figures:
        with echo() as server:
            return measure(server)

    def measure_centrifast() -> harness.Figures:
        with harness.centrifast(**channel) as server:
            return measure(server)

    results = harness.in_turn(rounds, {"echo": measure_echo, "centrifast": measure_centrifast})
    limits, ours = results["echo"], results["centrifast"]
    harness.report(
        "publish_history" if history else "publish",
        {
            "connections": connections,
            "rounds": rounds,
            "requests_per_s": harness.median(ours, "requests_per_s"),
            "echo_requests_per_s": harness.median(limits, "requests_per_s"),
            "ratio": harness.ratio(ours, limits, "requests_per_s"),
            "latency_p99_us": harness.median(ours, "p99_us"),
            "client_cpu_share": harness.median(ours, "client_cpu_share"),
            "echo_client_cpu_share": harness.median(limits, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
