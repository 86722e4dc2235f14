"""The whole table, as data: every row that is measured, the question that answers it, what is required.

A question is a module of ``bench/`` with options; it prints one JSON line, whose figures its rows name. Required is
what a release must reach on the machine it is measured on: where there is a floor, relative to that floor.
"""

from bench._over_redis import QUESTIONS as OVER_REDIS
from bench._parts import QUESTIONS as PARTS
from bench._row import (
    CORES,
    COUNT,
    FEW,
    KIB,
    MICROSECONDS,
    MILLISECONDS,
    MILLISECONDS_OF_US,
    NONE,
    SECONDS,
    Bound,
    Question,
    Row,
)
from bench._several import QUESTIONS as SEVERAL

NOBODY_SLOW, ECHO, HANDSHAKE = "nobody slow", "bare httptools echo", "handshake only"


def _at_least(limit: float) -> Bound:
    return Bound(limit)


def _at_most(limit: float) -> Bound:
    return Bound(limit, is_upper=True)


def _of_floor(*, least: float = 0.0, most: float = 0.0) -> Bound:
    return Bound(most, is_upper=True, of_floor=True) if most else Bound(least, of_floor=True)


def _deliveries(text: str, required: Bound, *, in_readme: bool = False) -> Row:
    return Row(
        f"{text}: deliveries/s",
        "deliveries_per_s",
        floor="floor_deliveries_per_s",
        ratio="deliveries_ratio",
        required=required,
        in_readme=in_readme,
    )


def _cpu_per_delivery(text: str, most: float | None, *, in_readme: bool = False) -> Row:
    return Row(
        f"{text}: server CPU a delivery",
        "cpu_us_per_delivery",
        MICROSECONDS,
        "floor_cpu_us_per_delivery",
        "cpu_ratio",
        required=_of_floor(most=most) if most else None,
        in_readme=in_readme,
    )


def _connecting(text: str, *, in_readme: bool = False) -> Row:
    return Row(
        text,
        "cpu_us_per_connection",
        MICROSECONDS,
        "floor_cpu_us_per_handshake",
        "cpu_ratio",
        HANDSHAKE,
        _at_most(130),
        in_readme,
    )


def _requests(text: str, least: float, *, in_readme: bool = False) -> Row:
    return Row(
        text, "requests_per_s", COUNT, "echo_requests_per_s", "ratio", ECHO, _at_least(least), in_readme
    )


ONE_BY_ONE = "one message at a time to 10,000"

QUESTIONS: tuple[Question, ...] = (
    Question(
        "fanout",
        "one message at a time to 10,000 subscribers",
        (
            _deliveries(ONE_BY_ONE, _of_floor(least=0.92), in_readme=True),
            _cpu_per_delivery(ONE_BY_ONE, 1.10, in_readme=True),
            Row(
                f"{ONE_BY_ONE}: 99 % have it within",
                "latency_p99_us",
                MILLISECONDS_OF_US,
                "floor_latency_p99_us",
                "latency_p99_ratio",
                required=_of_floor(most=1.1),
                in_readme=True,
            ),
        ),
        rounds=5,
        seconds=18,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "fanout_history",
        "one message at a time to 10,000 positioned subscribers",
        (
            _deliveries("the same with history and recovery", _of_floor(least=0.88)),
            _cpu_per_delivery("the same with history and recovery", None),
        ),
        module="bench.fanout",
        options=("--history",),
        rounds=3,
        seconds=18,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "fanout_burst",
        "200 messages back to back to 10,000 subscribers",
        (_deliveries("200 messages back to back to 10,000", _at_least(3_000_000), in_readme=True),),
        module="bench.fanout",
        options=("--burst",),
        rounds=3,
        seconds=17,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "memory",
        "what 10,000 idle connections cost",
        (
            Row(
                "memory of a connected, subscribed, idle client",
                "rss_kib_per_connection",
                KIB,
                "floor_rss_kib_per_connection",
                required=_at_most(10),
                in_readme=True,
            ),
            _connecting("CPU to connect and subscribe", in_readme=True),
        ),
        rounds=3,
        seconds=14,
        quick=(*FEW, "--hold", "1"),
        connections=10_000,
    ),
    Question(
        "memory_protobuf",
        "the same in Protobuf",
        (_connecting("the same in Protobuf"),),
        module="bench.memory",
        options=("--protocol", "protobuf"),
        rounds=3,
        seconds=14,
        quick=(*FEW, "--hold", "1"),
        connections=10_000,
    ),
    Question(
        "publish",
        "publications a second over HTTP",
        (_requests("`/api/publish`, 16 connections: requests/s", 45_000, in_readme=True),),
        rounds=3,
        seconds=13,
        quick=("--seconds", "0.5"),
    ),
    Question(
        "publish_history",
        "the same with history",
        (_requests("the same with history", 35_000),),
        module="bench.publish",
        options=("--history",),
        rounds=3,
        seconds=13,
        quick=("--seconds", "0.5"),
    ),
    Question(
        "recover",
        "10,000 clients come back at once and have missed 50 publications",
        (
            Row(
                "10,000 clients come back at once, 50 missed publications each",
                "seconds",
                SECONDS,
                "floor_seconds",
                "ratio",
                required=_at_most(2.0),
                in_readme=True,
            ),
            Row("the same: server CPU a client", "cpu_us_per_client", MICROSECONDS),
        ),
        rounds=3,
        seconds=6,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "recover_live",
        "the same while publications go on",
        (Row("the same while 40 more are published, nothing lost", "seconds", SECONDS, "floor_seconds"),),
        module="bench.recover",
        options=("--live", "40"),
        rounds=3,
        seconds=8,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "presence",
        "2,000 clients enter one channel that tells all of all",
        (
            Row(
                "2,000 clients enter a channel with presence and join/leave (2 million joins)",
                "seconds",
                SECONDS,
                required=_at_most(2.5),
                in_readme=True,
            ),
            Row("the same: server CPU a join", "cpu_us_per_join", MICROSECONDS),
        ),
        rounds=3,
        seconds=3,
        quick=("--connections", "300"),
        connections=2_000,
    ),
    Question(
        "idle",
        "19,000 connections that only answer pings",
        (
            Row(
                "cores for 100,000 idle connections, pings every 25 s (19,000 measured)",
                "idle_cores_per_100000",
                CORES,
                required=_at_most(0.15),
                in_readme=True,
            ),
        ),
        seconds=75,
        quick=(*FEW, "--seconds", "2"),
        connections=19_000,
    ),
    Question(
        "api_latency",
        "the API while 10,000-way broadcasts are written",
        (
            Row(
                "API p99 while 10,000 are written to",
                "busy_p99_us",
                MILLISECONDS_OF_US,
                "floor_busy_p99_us",
                "busy_p99_ratio",
                required=_at_most(5000),
                in_readme=True,
            ),
        ),
        rounds=3,
        seconds=38,
        quick=(*FEW, "--seconds", "1"),
        connections=10_000,
    ),
    Question(
        "pause",
        "the longest pause of the loop with 19,000 connections",
        (
            Row(
                "longest pause of the loop, 19,000 connected",
                "longest_pause_ms.connected",
                MILLISECONDS,
                required=_at_most(20),
                in_readme=True,
            ),
            Row("the same while all 19,000 come", "longest_pause_ms.connecting", MILLISECONDS),
            Row("the same while all 19,000 hang up in one moment", "longest_pause_ms.leaving", MILLISECONDS),
        ),
        seconds=30,
        quick=FEW,
        connections=19_000,
    ),
    Question(
        "storm",
        "19,000 clients drop at once and come back",
        (
            Row("19,000 clients drop at once: all are back after", "seconds", SECONDS, in_readme=True),
            Row("the same: longest publication meanwhile", "worst_publish_max_ms", MILLISECONDS),
        ),
        rounds=3,
        seconds=35,
        quick=FEW,
        connections=19_000,
    ),
    Question(
        "channels",
        "10,000 connections with 10 of 1,000 channels each, 10,000 publications",
        (
            Row(
                "10,000 clients in 10 of 1,000 channels, 10,000 publications: lost",
                "lost",
                required=NONE,
                in_readme=True,
            ),
            _cpu_per_delivery("the same", None),
        ),
        rounds=2,
        seconds=28,
        quick=(*FEW, "--channels", "50", "--messages", "500"),
        connections=10_000,
    ),
    Question(
        "slow",
        "a tenth of the clients does not read",
        (
            Row("a tenth of 1,000 clients does not read: lost by the others", "lost", required=NONE),
            Row(
                "the same: 99 % of the others have it within",
                "latency_p99_us",
                MILLISECONDS_OF_US,
                "none_slow_latency_p99_us",
                "latency_p99_ratio",
                NOBODY_SLOW,
            ),
        ),
        rounds=2,
        seconds=28,
        quick=("--connections", "100", "--messages", "100"),
        connections=1_000,
    ),
    *SEVERAL,
    *OVER_REDIS,
    *PARTS,
)
