"""Everybody enters one room that tells all of all: how long until the last join has arrived?

2,000 clients enter a channel with presence and pushed join/leave. Everybody sees the join of everybody who enters
after it, and its own: N (N + 1) / 2 pushes, about 2 million; a C client checks that each came exactly once. There is
no floor: a plain server with one send() per push would need six times the required time for the sends alone.
"""

import click

from bench import _harness as harness

CHANNEL = "bench"


@click.command()
@click.option("--connections", default=2_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--in-flight", default=256, show_default=True, help="Connections being opened at a time.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--timeout", default=60, show_default=True, help="Seconds for all joins to arrive.")
def main(connections: int, in_flight: int, rounds: int, timeout: int) -> None:
    """Many clients enter a channel with presence and join/leave."""

    def measure() -> harness.Figures:
        options = ["-c", CHANNEL, "-f", str(in_flight), "-t", str(timeout)]
        room: harness.Figures = {"presence": True, "join_leave": True, "force_push_join_leave": True}
        with (
            harness.centrifast(**room) as server,
            harness.storm(server, "joins", connections, *options) as figures,
        ):
            present = harness.api(server, "presence_stats", channel=CHANNEL)["num_clients"]
            if present != connections or figures["pushes"]:
                raise harness.BenchError(f"{present} present, {figures['pushes']} other pushes")
            return figures

    results = [measure() for _ in range(rounds)]
    joins = connections * (connections + 1) // 2
    harness.report(
        "presence",
        {
            "connections": connections,
            "rounds": rounds,
            "joins": joins,
            "seconds": harness.median(results, "seconds"),
            "joins_per_s": joins / harness.median(results, "seconds"),
            "server_cpu_seconds": harness.median(results, "server_cpu_seconds"),
            "cpu_us_per_join": 1e6 * harness.median(results, "server_cpu_seconds") / joins,
            "server_cpu_share": harness.median(results, "server_cpu_share"),
            "client_cpu_share": harness.median(results, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
