"""How long does the HTTP API wait while a broadcast is being written? p99 during 10,000-way broadcasts, and idle.

Publications to a channel without subscribers come at a fixed rate, timed from when each was due, while the load
generator keeps one broadcast in flight all the time. The C floor, which finishes a broadcast before it reads again,
shows how long one broadcast takes.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import click
from centrifast_loadgen import run
from centrifast_loadgen.settings import Protocol, Settings

from bench import _harness as harness

BODY = '{"channel":"nobody","data":{}}'


def settings_for(server: harness.Running, connections: int, duration: float) -> Settings:
    """Keep one broadcast in flight for *duration*."""
    plain = server.endpoint.is_plain
    return Settings(
        url=server.url,
        api_url=server.api_url,
        api_key=harness.API_KEY,
        protocol=Protocol.RAW if plain else Protocol.JSON,
        connections=connections,
        messages=10**9,
        duration=duration,
        inflight=1,
        payload=100 + (harness.JSON_OVERHEAD if plain else 0),
    )


def measure(server: harness.Running, connections: int, seconds: float, rate: float) -> harness.Figures:
    """Latency of the API without and with broadcasts."""
    options = ["-c", "4", "-s", str(seconds), "-r", str(rate), "-R"]
    path = "/none" if server.endpoint.is_plain else "/api/publish"
    idle = harness.http_load(server.port, path, BODY, *options)
    publishing = threading.Event()

    def progress(line: str) -> None:
        if line.startswith("published"):
            publishing.set()

    with ThreadPoolExecutor(1) as executor:
        load = executor.submit(run.execute, settings_for(server, connections, seconds + 2), progress)
        load.add_done_callback(lambda _: publishing.set())  # also when it failed
        publishing.wait()
        busy = harness.http_load(server.port, path, BODY, *options)
        broadcasts = load.result()
    if not broadcasts.complete:
        raise harness.BenchError(f"the broadcasts on {server.name} were incomplete: {broadcasts.as_dict()}")
    return {"idle": idle, "busy": busy, "broadcasts_per_s": broadcasts.published / broadcasts.seconds}


@click.command()
@click.option("--connections", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of floor and centrifast in turn.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--rate", default=200.0, show_default=True, help="API requests per second.")
def main(connections: int, rounds: int, seconds: float, rate: float) -> None:
    """API latency during broadcasts."""
    os.sched_setaffinity(0, {harness.CLIENT_CORE})  # the load generator runs in this process and its children

    def measure_floor() -> harness.Figures:
        with harness.floor() as server:
            return measure(server, connections, seconds, rate)

    def measure_centrifast() -> harness.Figures:
        with harness.centrifast() as server:
            return measure(server, connections, seconds, rate)

    results = harness.in_turn(rounds, {"floor": measure_floor, "centrifast": measure_centrifast})
    limits, ours = results["floor"], results["centrifast"]
    harness.report(
        "api_latency",
        {
            "connections": connections,
            "rounds": rounds,
            "busy_p50_us": harness.median(ours, "busy", "p50_us"),
            "busy_p99_us": harness.median(ours, "busy", "p99_us"),
            "busy_max_us": harness.median(ours, "busy", "max_us"),
            "idle_p99_us": harness.median(ours, "idle", "p99_us"),
            "floor_busy_p99_us": harness.median(limits, "busy", "p99_us"),
            "busy_p99_ratio": harness.ratio(ours, limits, "busy", "p99_us"),
            "broadcasts_per_s": harness.median(ours, "broadcasts_per_s"),
            "floor_broadcasts_per_s": harness.median(limits, "broadcasts_per_s"),
        },
    )


if __name__ == "__main__":
    main()
