"""Questions about several processes that are one node: what they gain, what going through the supervisor costs."""

from bench._row import (
    CORES,
    COUNT,
    GIB_OF_MIB,
    MICROSECONDS,
    NONE,
    SECONDS_OF_US,
    Bound,
    Question,
    Row,
)

ONE_PROCESS = "one process"


def _through_workers(name: str, asks: str, *options: str) -> Question:
    what = "`/api/publish` through two workers" + (" with history" if options else "")
    return Question(
        name,
        asks,
        (
            Row(
                f"{what}: requests/s",
                "requests_per_s",
                COUNT,
                "one_process_requests_per_s",
                "ratio_to_one_process",
                ONE_PROCESS,
            ),
            Row(
                "the same: CPU of the workers a request",
                "workers_cpu_us",
                MICROSECONDS,
                "one_process_cpu_us",
                floor_is=ONE_PROCESS,
            ),
            Row("the same: CPU of the supervisor a request", "supervisor_cpu_us", MICROSECONDS),
        ),
        module="bench.workers",
        options=options,
        rounds=3,
        seconds=20,
        quick=("--seconds", "0.5"),
    )


def _by_two(name: str, asks: str, what: str, least: float, *options: str) -> Question:
    return Question(
        name,
        asks,
        (
            Row(
                f"{what} by two workers: deliveries/s",
                "deliveries_per_s",
                COUNT,
                "one_worker_deliveries_per_s",
                "workers_ratio",
                ONE_PROCESS,
                required=Bound(least, of_floor=True) if least else None,
                in_readme=bool(least),
            ),
            Row(
                "the same: CPU of the workers a delivery",
                "cpu_us_per_delivery",
                MICROSECONDS,
                "one_worker_cpu_us_per_delivery",
                floor_is=ONE_PROCESS,
            ),
            Row(
                "the same by two plain C servers: deliveries/s",
                "two_floors_deliveries_per_s",
                COUNT,
                "floor_deliveries_per_s",
                "floors_ratio",
                "one of them",
            ),
        ),
        module="bench.two_workers",
        options=options,
        rounds=3,
        seconds=25,
        quick=("--connections", "1000", "--messages", "10"),
        connections=10_000,
    )


QUESTIONS: tuple[Question, ...] = (
    _through_workers("workers", "publications a second through two workers"),
    _through_workers("workers_history", "the same with history", "--history"),
    _by_two("two_workers", "what a second worker gains", "one message at a time to 10,000", 1.8),
    _by_two(
        "two_workers_burst", "the same back to back", "200 messages back to back to 10,000", 0.0, "--burst"
    ),
    Question(
        "100000-connections",
        "100,000 connections on one node of six workers",
        (
            Row(
                "100,000 connections on six workers: connected",
                "connected",
                required=Bound(100_000),
                in_readme=True,
            ),
            Row("the same: lost of 50 messages to all", "lost", required=NONE, in_readme=True),
            Row(
                "the same: memory in all",
                "rss_mib",
                GIB_OF_MIB,
                required=Bound(1228.8, is_upper=True),
                in_readme=True,
            ),
            Row(
                "the same: idle, pings every 25 s",
                "idle_cores",
                CORES,
                required=Bound(0.15, is_upper=True),
                in_readme=True,
            ),
            Row("the same: deliveries/s, one message at a time", "deliveries_per_s"),
            Row("the same: 99 % have it within", "latency_p99_us", SECONDS_OF_US),
        ),
        module="bench.idle",
        options=(
            *("--connections", "100000", "--workers", "6", "--processes", "7", "--messages", "50"),
            *("--report", "bench/results/100000-connections.html"),
        ),
        seconds=240,
        quick=(
            "--report",
            "",
            "--connections",
            "2000",
            "--workers",
            "2",
            "--processes",
            "2",
            "--messages",
            "5",
            "--seconds",
            "2",
        ),
        connections=17_500,
        runs="alone",
    ),
)
