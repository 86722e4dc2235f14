"""What does a delivery cost when publications come through Redis? One message at a time, against the memory engine.

The subscribers are this node's, and what is delivered to them is the same, so the engine must not show in it: a
publication goes to Redis and comes back once, however many wait for it. The floor is the plain C server of
``bench/fanout.py``. Redis shares the core of the clients.
"""

import click

from bench import _harness as harness
from bench._redis import redis_server


@click.command()
@click.option("--connections", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of floor, memory and Redis in turn.")
@click.option("--messages", default=30, show_default=True)
@click.option("--payload", default=100, show_default=True, help="Bytes; frames are 53 longer.")
def main(connections: int, rounds: int, messages: int, payload: int) -> None:
    """Fan-out of one channel to many subscribers, by engine."""

    def measure(server: harness.Running, size: int = payload) -> harness.Figures:
        options = ("--inflight", "1", "--messages", str(messages), "--payload", str(size))
        return harness.load(server, connections, *options)

    def measure_floor() -> harness.Figures:
        with harness.floor() as server:
            return measure(server, payload + harness.JSON_OVERHEAD)

    def measure_memory() -> harness.Figures:
        with harness.centrifast() as server:
            return measure(server)

    def measure_redis() -> harness.Figures:
        with (
            redis_server(harness.CLIENT_CORE) as redis,
            harness.centrifast(redis=redis.address) as server,
        ):
            return measure(server)

    measures = {"floor": measure_floor, "memory": measure_memory, "redis": measure_redis}
    results = harness.in_turn(rounds, measures)
    ours, memory, limits = results["redis"], results["memory"], results["floor"]
    harness.report(
        "redis_fanout",
        {
            "connections": connections,
            "rounds": rounds,
            "deliveries_per_s": harness.median(ours, "deliveries_per_s"),
            "memory_deliveries_per_s": harness.median(memory, "deliveries_per_s"),
            "floor_deliveries_per_s": harness.median(limits, "deliveries_per_s"),
            "deliveries_ratio": harness.ratio(ours, memory, "deliveries_per_s"),
            "deliveries_ratio_to_floor": harness.ratio(ours, limits, "deliveries_per_s"),
            "cpu_us_per_delivery": harness.median(ours, "delivery_cpu_us"),
            "memory_cpu_us_per_delivery": harness.median(memory, "delivery_cpu_us"),
            "floor_cpu_us_per_delivery": harness.median(limits, "delivery_cpu_us"),
            "cpu_ratio": harness.ratio(ours, memory, "delivery_cpu_us"),
            "cpu_ratio_to_floor": harness.ratio(ours, limits, "delivery_cpu_us"),
            "latency_p99_us": harness.median(ours, "latency_us", "p99"),
            "memory_latency_p99_us": harness.median(memory, "latency_us", "p99"),
            "server_cpu_share": harness.median(ours, "server_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
