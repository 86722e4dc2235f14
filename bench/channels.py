"""Many small channels: what does one delivery cost there, and does everybody get exactly what is theirs?

10,000 connections with 10 subscriptions each, 1,000 channels of 100 subscribers, 10,000 publications that go to the
channels in turn, back to back: a million deliveries, and hardly two of a channel near enough to leave together. The
floor sends as many publications to as many clients as one channel has: one send() for each delivery, without channels.
"""

import click

from bench import _harness as harness


@click.command()
@click.option("--connections", default=10_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--channels", default=1_000, show_default=True, type=click.IntRange(1))
@click.option("--each", default=10, show_default=True, type=click.IntRange(1), help="Subscriptions.")
@click.option("--messages", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--payload", default=100, show_default=True, help="Bytes; frames are 53 longer.")
@click.option("--rounds", default=3, show_default=True, help="Of floor and centrifast in turn.")
def main(connections: int, channels: int, each: int, messages: int, payload: int, rounds: int) -> None:
    """Publications spread over many channels."""
    subscribers = connections * each // channels
    if not subscribers:
        raise click.UsageError("some channels would have no subscriber: lower --channels")

    def measure_floor() -> harness.Figures:
        options = ["--messages", str(messages), "--payload", str(payload + harness.JSON_OVERHEAD)]
        with harness.floor() as server:
            return harness.load(server, subscribers, *options)

    def measure_centrifast() -> harness.Figures:
        options = ["--channels", str(channels), "--channels-per-connection", str(each)]
        options += ["--messages", str(messages), "--payload", str(payload)]
        with harness.centrifast() as server:
            return harness.load(server, connections, *options, scenario="channels")

    results = harness.in_turn(rounds, {"floor": measure_floor, "centrifast": measure_centrifast})
    limits, ours = results["floor"], results["centrifast"]
    harness.report(
        "channels",
        {
            "connections": connections,
            "channels": channels,
            "channels_per_connection": each,
            "rounds": rounds,
            "published": messages,
            "delivered": int(harness.median(ours, "delivered")),
            "lost": int(harness.total(ours, "lost")),
            "deliveries_per_s": harness.median(ours, "deliveries_per_s"),
            "floor_deliveries_per_s": harness.median(limits, "deliveries_per_s"),
            "deliveries_ratio": harness.ratio(ours, limits, "deliveries_per_s"),
            "cpu_us_per_delivery": harness.median(ours, "delivery_cpu_us"),
            "floor_cpu_us_per_delivery": harness.median(limits, "delivery_cpu_us"),
            "cpu_ratio": harness.ratio(ours, limits, "delivery_cpu_us"),
            "latency_p99_us": harness.median(ours, "latency_us", "p99"),
            "rss_kib_per_connection": harness.median(ours, "rss_per_connection") / 1024,
            "server_cpu_share": harness.median(ours, "server_cpu_share"),
            "client_cpu_share": harness.median(ours, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
