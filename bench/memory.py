"""What does a connection cost that does nothing? RSS, and CPU to establish and subscribe it, beside the floor's."""

import click

from bench import _harness as harness


@click.command()
@click.option("--connections", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of floor and centrifast in turn.")
@click.option("--hold", default=3.0, show_default=True, help="Idle seconds before the memory is read.")
@click.option("--protocol", default="json", type=click.Choice(["json", "protobuf"]))
def main(connections: int, rounds: int, hold: float, protocol: str) -> None:
    """Idle connections, connected and subscribed to one channel."""
    options = ["--messages", "0", "--hold", str(hold)]

    def measure_floor() -> harness.Figures:
        with harness.floor() as server:
            return harness.load(server, connections, *options)

    def measure_centrifast() -> harness.Figures:
        with harness.centrifast() as server:
            return harness.load(server, connections, *options, "--protocol", protocol)

    results = harness.in_turn(rounds, {"floor": measure_floor, "centrifast": measure_centrifast})
    limits, ours = results["floor"], results["centrifast"]
    harness.report(
        "memory",
        {
            "connections": connections,
            "rounds": rounds,
            "rss_kib_per_connection": harness.median(ours, "rss_per_connection") / 1024,
            "floor_rss_kib_per_connection": harness.median(limits, "rss_per_connection") / 1024,
            "cpu_us_per_connection": harness.median(ours, "connect_cpu_us"),
            "floor_cpu_us_per_handshake": harness.median(limits, "connect_cpu_us"),
            "cpu_ratio": harness.ratio(ours, limits, "connect_cpu_us"),
            "connects_per_s": harness.median(ours, "connects_per_s"),
        },
    )


if __name__ == "__main__":
    main()
