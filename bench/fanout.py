"""What does one delivery cost? Deliveries per second and server CPU, one message at a time, against the floor.

With ``--burst`` 200 publications come back to back: the floor still sends each by itself, so the ratio shows what
joining many messages into one send() gains.

With ``--history`` the channel keeps its publications and all subscribers are positioned and recoverable, which must
cost next to nothing: a publication is compared with the channel's position once, not once per subscriber.

centrifast answers the publisher before it writes, so that the API stays quick; the floor answers last, which leaves
the receivers' core to them alone. The same C program answering first shows what that order itself costs.

``server_cpu_share`` tells which side was saturated. Where both servers stay well below 1, something else kept their
core busy: then only the CPU figures mean anything.
"""

import click

from bench import _harness as harness


@click.command()
@click.option("--connections", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of floor and centrifast in turn.")
@click.option("--messages", default=0, help="0: 30, or 200 with --burst.")
@click.option("--payload", default=100, show_default=True, help="Bytes; frames are 53 longer.")
@click.option("--burst", is_flag=True, help="Publish back to back.")
@click.option("--history", is_flag=True, help="Keep publications; subscribers are positioned.")
def main(connections: int, rounds: int, messages: int, payload: int, burst: bool, history: bool) -> None:
    """Fan-out of one channel to many subscribers."""
    overhead = harness.JSON_OVERHEAD + (harness.OFFSET_OVERHEAD if history else 0)
    channel = harness.RECOVERABLE if history else {}

    def measure_floor(*, answers_first: bool = False) -> harness.Figures:
        options = ["--inflight", "1", "--messages", "30", "--payload", str(payload + overhead)]
        with harness.floor(answers_first=answers_first) as server:
            return harness.load(server, connections, *options)

    def measure_centrifast() -> harness.Figures:
        count = messages or (200 if burst else 30)
        options = ["--inflight", "0" if burst else "1", "--messages", str(count), "--payload", str(payload)]
        with harness.centrifast(**channel) as server:
            return harness.load(server, connections, *options)

    results = harness.in_turn(
        rounds,
        {
            "floor": measure_floor,
            "centrifast": measure_centrifast,
            "floor_first": lambda: measure_floor(answers_first=True),
        },
    )
    limits, ours, firsts = results["floor"], results["centrifast"], results["floor_first"]
    harness.report(
        "fanout" + ("_history" if history else "") + ("_burst" if burst else ""),
        {
            "connections": connections,
            "rounds": rounds,
            "deliveries_per_s": harness.median(ours, "deliveries_per_s"),
            "floor_deliveries_per_s": harness.median(limits, "deliveries_per_s"),
            "deliveries_ratio": harness.ratio(ours, limits, "deliveries_per_s"),
            "cpu_us_per_delivery": harness.median(ours, "delivery_cpu_us"),
            "floor_cpu_us_per_delivery": harness.median(limits, "delivery_cpu_us"),
            "cpu_ratio": harness.ratio(ours, limits, "delivery_cpu_us"),
            "deliveries_ratio_to_floor_that_answers_first": harness.ratio(ours, firsts, "deliveries_per_s"),
            "cpu_ratio_to_floor_that_answers_first": harness.ratio(ours, firsts, "delivery_cpu_us"),
            "latency_p99_us": harness.median(ours, "latency_us", "p99"),
            "floor_latency_p99_us": harness.median(limits, "latency_us", "p99"),
            "latency_p99_ratio": harness.ratio(ours, limits, "latency_us", "p99"),
            "server_cpu_share": harness.median(ours, "server_cpu_share"),
            "floor_server_cpu_share": harness.median(limits, "server_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
