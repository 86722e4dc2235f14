"""Questions about the Redis engine: what it takes, measured by what Redis itself can take, and what it costs."""

from bench._row import COUNT, FEW, MICROSECONDS, Bound, Question, Row

BENCHMARK, MEMORY = "redis-benchmark", "memory engine"


def _per_second(text: str, measure: str, least: float = 0.0, *, in_readme: bool = False) -> Row:
    return Row(
        text,
        f"{measure}_per_s",
        COUNT,
        "benchmark_per_s",
        f"{measure}_ratio",
        BENCHMARK,
        Bound(least, of_floor=True) if least else None,
        in_readme,
    )


def _publishing(name: str, asks: str, what: str, *options: str) -> Question:
    return Question(
        name,
        asks,
        (
            _per_second(f"{what}, 100 at once: publications/s", "engine_100", 0.5, in_readme=True),
            _per_second("the same, 1,000 at once", "engine_1000", 0.5),
            Row("the same, 100 at once: CPU of the node", "engine_100_cpu_us", MICROSECONDS),
            _per_second("the same by `/api/publish`, 16 connections: requests/s", "http_16"),
            _per_second("the same by `/api/publish`, 64 connections: requests/s", "http_64"),
            Row("the same: CPU of the node a request", "http_64_cpu_us", MICROSECONDS),
            _per_second("the same by `redis-benchmark -P 16`", "pipelined"),
        ),
        module="bench.redis",
        options=options,
        rounds=3,
        seconds=20,
        quick=("--publications", "10000", "--seconds", "0.5"),
    )


QUESTIONS: tuple[Question, ...] = (
    _publishing("redis", "publications a second through one Redis", "published to one Redis"),
    _publishing("redis_history", "the same with history", "published to one Redis with history", "--history"),
    Question(
        "redis_fanout",
        "one message at a time to 10,000 subscribers through Redis",
        (
            Row(
                "one message at a time through Redis to 10,000: deliveries/s",
                "deliveries_per_s",
                COUNT,
                "memory_deliveries_per_s",
                "deliveries_ratio",
                MEMORY,
                Bound(0.95, of_floor=True),
                in_readme=True,
            ),
            Row(
                "the same: server CPU a delivery",
                "cpu_us_per_delivery",
                MICROSECONDS,
                "memory_cpu_us_per_delivery",
                "cpu_ratio",
                MEMORY,
            ),
            Row(
                "the same: deliveries/s, against the plain C server",
                "deliveries_per_s",
                COUNT,
                "floor_deliveries_per_s",
                "deliveries_ratio_to_floor",
            ),
        ),
        rounds=3,
        seconds=18,
        quick=FEW,
        connections=10_000,
    ),
)
