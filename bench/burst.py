"""Clients subscribe with recovery while publications pour in: does each get every one, once and in order?

1,000 clients come, a few at a time, and ask for everything since one position, while the HTTP API publishes 5,000 a
second. What a client finds in its reply and what comes after it must join without gap or repeat; a C client checks that
for each. ``rate_per_s`` is what was really published, ``deliveries_per_s`` what arrived, replies included.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import click

from bench import _harness as harness

CHANNEL = "bench"
INTERVAL = 0.01  # seconds between two calls of the API, each a batch


def publish(server: harness.Running, count: int, rate: int) -> float:
    """Publish *count* at *rate* a second, as far as the server keeps up; the seconds it took."""
    size = max(1, int(rate * INTERVAL))
    begun = time.monotonic()
    for start in range(0, count, size):
        commands = [
            {"publish": {"channel": CHANNEL, "data": {"n": number}}}
            for number in range(start, min(start + size, count))
        ]
        harness.batch(server, commands)
        time.sleep(max(0.0, begun + (start + size) / rate - time.monotonic()))
    return time.monotonic() - begun


@click.command()
@click.option("--connections", default=1_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--in-flight", default=4, show_default=True, help="Connections being opened at a time.")
@click.option("--publications", default=10_000, show_default=True, type=click.IntRange(1, 50_000))
@click.option("--rate", default=5_000, show_default=True, help="Publications a second.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--timeout", default=60, show_default=True, help="Seconds for all to be level.")
def main(connections: int, in_flight: int, publications: int, rate: int, rounds: int, timeout: int) -> None:
    """Subscribe with recovery during a burst of publications."""
    kept: harness.Figures = {"history_size": publications + 1, "history_ttl": "300s", "force_recovery": True}
    client = {"recovery_max_publication_limit": publications + 1, "queue_max_size": 64 << 20}

    def measure() -> harness.Figures:
        with harness.centrifast(client=client, **kept) as server, ThreadPoolExecutor(1) as publisher:
            known = harness.api(server, "publish", channel=CHANNEL, data={"n": -1})
            publishing = publisher.submit(publish, server, publications, rate)
            options = ["-c", CHANNEL, "-o", str(known["offset"]), "-e", known["epoch"], "-m", "0"]
            options += ["-f", str(in_flight), "-t", str(timeout), "-l", str(publications)]
            with harness.storm(server, "recover", connections, *options) as figures:
                return {**figures, "rate_per_s": publications / publishing.result()}

    results = [measure() for _ in range(rounds)]
    seconds = harness.median(results, "seconds")
    harness.report(
        "burst",
        {
            "connections": connections,
            "publications": publications,
            "rounds": rounds,
            "rate_per_s": harness.median(results, "rate_per_s"),
            "seconds": seconds,
            "deliveries_per_s": connections * publications / seconds,
            "server_cpu_seconds": harness.median(results, "server_cpu_seconds"),
            "server_cpu_share": harness.median(results, "server_cpu_share"),
            "client_cpu_share": harness.median(results, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
