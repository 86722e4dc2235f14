"""What do connections cost that only answer pings? Cores for 100,000 of them, from 19,000 on one process.

Everybody is connected and subscribed; then the server's CPU is read twice, with a number of ping intervals (25 s)
between. There is no floor: a plain server has no pings.

With ``--workers`` and ``--processes`` many more can be held than one process has descriptors for. Server and load
generator share all cores then, so times say little, but nothing may be lost: ``--messages`` go to all of them.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import click
from centrifast_loadgen import usage

from bench import _harness as harness

SETTLE = 3.0  # seconds after the last connection: what came with it is done then
LOOK_INTERVAL = 0.2
SPARE = 8.0  # seconds that the load generator idles longer than needed


def wait_until_connected(server: harness.Running, connections: int, load: Future[harness.Figures]) -> None:
    """Until all are there. Raises what the load generator raised if it ended before."""
    there = 0
    while there < connections:
        if load.done():
            raise harness.BenchError(f"the load generator ended before all were connected: {load.result()}")
        time.sleep(LOOK_INTERVAL)
        with suppress(OSError):  # busy with connecting: asked again
            there = sum(node["num_clients"] for node in harness.api(server, "info")["nodes"])


def measure(
    connections: int, workers: int, processes: int, seconds: float, messages: int, page: str
) -> harness.Figures:
    """Hold the connections, look, and publish; *page* is where the load generator reports, if anywhere."""
    hold = SETTLE + seconds + SPARE
    options = ["--hold", str(hold), "--messages", str(messages), "--inflight", "1"]
    options += ["--processes", str(processes), "--connect-timeout", "60", "--stall-timeout", "60"]
    options += ["--report", page] if page else []
    with harness.centrifast(workers=workers) as server, ThreadPoolExecutor(1) as executor:
        load = executor.submit(harness.load, server, connections, *options, all_cores=workers > 1)
        wait_until_connected(server, connections, load)
        time.sleep(SETTLE)
        before = usage.measure(server.pid).cpu_seconds
        began = time.monotonic()
        time.sleep(seconds)
        cores = (usage.measure(server.pid).cpu_seconds - before) / (time.monotonic() - began)
        if load.done():
            raise harness.BenchError("the load generator ended while the CPU of idling was read")
        return {**load.result(), "idle_cores": cores}


@click.command()
@click.option("--connections", default=19_000, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Of the server.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1), help="Of the load.")
@click.option("--seconds", default=50.0, show_default=True, type=click.FloatRange(1), help="Of idling.")
@click.option("--messages", default=0, show_default=True, type=click.IntRange(0), help="Published after it.")
@click.option("--report", "page", default="", help="Where the load generator writes its page.")
def main(connections: int, workers: int, processes: int, seconds: float, messages: int, page: str) -> None:
    """CPU of idle connections."""
    figures = measure(connections, workers, processes, seconds, messages, page)
    names = ["connect_seconds", "connects_per_s", "published", "delivered", "lost", "surplus", "disordered"]
    harness.report(
        "idle" if workers == 1 else f"{connections}-connections",
        {
            "connections": connections,
            "workers": workers,
            "processes": processes,
            "idle_seconds": seconds,
            "idle_cores": figures["idle_cores"],
            "idle_cores_per_100000": figures["idle_cores"] * 100_000 / connections,
            "connected": figures["connected"],
            "rss_mib": figures["rss"] / (1 << 20),
            "rss_kib_per_connection": figures["rss_per_connection"] / 1024,
            "cpu_us_per_connection": figures["connect_cpu_us"],
            **{name: figures[name] for name in names},
            "deliveries_per_s": figures["deliveries_per_s"],
            "cpu_us_per_delivery": figures["delivery_cpu_us"],
            "latency_p50_us": figures["latency_us"]["p50"],
            "latency_p99_us": figures["latency_us"]["p99"],
        },
    )


if __name__ == "__main__":
    main()
