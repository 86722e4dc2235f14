"""Questions about parts of the server: what one mechanism costs. Nothing is required but that it stays as it is."""

from bench._row import COUNT, FEW, MICROSECONDS, MILLISECONDS, NANOSECONDS, SECONDS, TIMES, Question, Row

QUESTIONS: tuple[Question, ...] = (
    Question(
        "burst",
        "1,000 clients subscribe with recovery during 5,000 publications a second",
        (
            Row(
                "1,000 clients subscribe with recovery during 5,000 publications/s: deliveries/s, nothing lost",
                "deliveries_per_s",
            ),
        ),
        rounds=3,
        seconds=5,
        quick=("--connections", "200", "--publications", "2000"),
        connections=1_000,
    ),
    Question(
        "deflate",
        "permessage-deflate for 10,000 subscribers",
        (
            Row(
                "1,000 bytes to 10,000 who agreed on permessage-deflate: server CPU a delivery",
                "cpu_us_per_delivery",
                MICROSECONDS,
                "plain_cpu_us_per_delivery",
                "cpu_ratio",
                "without",
            ),
            Row("the same: bytes", "bytes_per_delivery", COUNT, "plain_bytes_per_delivery", "", "without"),
        ),
        rounds=2,
        seconds=22,
        quick=FEW,
        connections=10_000,
    ),
    Question(
        "delta",
        "a patch between two JSON documents",
        (
            Row(
                "a patch between documents of 5 KiB",
                "us_5k",
                MICROSECONDS,
                "model_us_5k",
                "",
                "plain Python",
            ),
        ),
        rounds=3,
        seconds=2,
        quick=("--seconds", "0.1"),
    ),
    Question(
        "positions",
        "a publication before its sends, with 10 and with 10,000 positioned subscribers",
        (
            Row(
                "a publication before its sends: 10,000 positioned subscribers against 10",
                "many_to_few",
                TIMES,
            ),
        ),
        seconds=30,
        quick=("--many", "500", "--turns", "5"),
        connections=10_000,
    ),
    Question(
        "metrics",
        "what counting costs",
        (
            Row(
                "one broadcast to 10,000 with its counting, before the sends",
                "broadcast_10000_ns",
                NANOSECONDS,
            ),
            Row("one scrape of all metrics", "scrape_ms", MILLISECONDS),
        ),
        rounds=2,
        seconds=8,
    ),
    Question(
        "redis_connection",
        "requests to Redis and messages from it, without broker and hub",
        (
            Row(
                "a script called in Redis, 200 at once: CPU of the caller", "cpu_us_per_request", MICROSECONDS
            ),
            Row("a message of Redis heard: CPU", "cpu_us_per_message", MICROSECONDS),
            Row("100,000 Redis channels subscribed to again", "subscribe_seconds", SECONDS),
        ),
        rounds=3,
        seconds=10,
        quick=("--requests", "5000", "--messages", "5000", "--channels", "5000"),
    ),
)
