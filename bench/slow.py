"""A tenth of the clients does not read: do the others notice, and is anybody's loss silent?

1,000 clients of one channel, at a rate that leaves the server air. Each slow client has a small receive buffer and
reads nothing until all is published, which is more than a client's queue may hold. It must have been disconnected by
then, or get everything once it reads; the others must get everything, in any case. The limit is the same load with
nobody slow, measured in turn.
"""

import click

from bench import _harness as harness

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option("--connections", default=1_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--share", default=0.1, show_default=True, type=SHARE, help="Of slow clients.")
@click.option("--messages", default=600, show_default=True, type=click.IntRange(1))
@click.option("--payload", default=10_000, show_default=True, help="Bytes; frames are 53 longer.")
@click.option("--rate", default=50.0, show_default=True, help="Publications a second.")
@click.option("--rounds", default=3, show_default=True, help="Of nobody and some slow in turn.")
def main(connections: int, share: float, messages: int, payload: int, rate: float, rounds: int) -> None:
    """Fan-out while some clients do not read."""
    options = ["--messages", str(messages), "--payload", str(payload), "--rate", str(rate)]

    def measure_none() -> harness.Figures:
        with harness.centrifast() as server:
            return harness.load(server, connections, *options)

    def measure_some() -> harness.Figures:
        with harness.centrifast() as server:
            return harness.load(server, connections, *options, "--slow", str(share), scenario="slow")

    results = harness.in_turn(rounds, {"none": measure_none, "some": measure_some})
    none, some = results["none"], results["some"]
    harness.report(
        "slow",
        {
            "connections": connections,
            "slow": int(harness.median(some, "slow", "slow")),
            "disconnected": int(harness.median(some, "slow", "disconnected")),
            "caught_up": int(harness.median(some, "slow", "caught_up")),
            "rounds": rounds,
            "published": messages,
            "lost": int(harness.total(some, "lost")),
            "latency_p50_us": harness.median(some, "latency_us", "p50"),
            "none_slow_latency_p50_us": harness.median(none, "latency_us", "p50"),
            "latency_p99_us": harness.median(some, "latency_us", "p99"),
            "none_slow_latency_p99_us": harness.median(none, "latency_us", "p99"),
            "latency_p99_ratio": harness.ratio(some, none, "latency_us", "p99"),
            "cpu_us_per_delivery": harness.median(some, "delivery_cpu_us"),
            "none_slow_cpu_us_per_delivery": harness.median(none, "delivery_cpu_us"),
            "server_cpu_share": harness.median(some, "server_cpu_share"),
            "client_cpu_share": harness.median(some, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
