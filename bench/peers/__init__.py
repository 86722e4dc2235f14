"""Other servers that fan out a text to plain WebSocket clients, measured as centrifast is: their rows."""

from bench._row import FEW, KIB, MICROSECONDS, Question, Row

TITLES = {
    "nchan": "nginx with nchan",
    "ws": "Node.js `ws`",
    "socketify": "socketify (µWebSockets) in Python",
}


def _question(name: str, title: str) -> Question:
    return Question(
        f"peer-{name}",
        f"{title}: one message at a time to 10,000",
        (
            Row(
                f"{title}: deliveries/s",
                "deliveries_per_s",
                floor="floor_deliveries_per_s",
                ratio="deliveries_ratio",
            ),
            Row(
                f"{title}: server CPU a delivery",
                "cpu_us_per_delivery",
                MICROSECONDS,
                "floor_cpu_us_per_delivery",
                "cpu_ratio",
            ),
            Row(
                f"{title}: memory of an idle client",
                "rss_kib_per_connection",
                KIB,
                "floor_rss_kib_per_connection",
            ),
            Row(
                f"{title}: CPU of a handshake",
                "cpu_us_per_handshake",
                MICROSECONDS,
                "floor_cpu_us_per_handshake",
                "handshake_ratio",
            ),
        ),
        module="bench.peers",
        options=(name,),
        rounds=3,
        seconds=20,
        quick=FEW,
        connections=10_000,
        runs="peers",
    )


QUESTIONS = tuple(_question(name, title) for name, title in TITLES.items())
