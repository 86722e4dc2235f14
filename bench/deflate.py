"""What does permessage-deflate cost, and what does it save? Server CPU a delivery, bytes on the wire, memory.

A publication is deflated once for all subscribers, so with 10,000 of them its share of a delivery must be next to
nothing, and a connection owns no window, so it must cost no more memory. The load generator's payload, which is filled
with one letter, gets far smaller than any real one; ``documents`` tells what JSON of some sizes becomes, and what
deflating it once takes.
"""

import json
import time

import click

from bench import _harness as harness
from bench.delta import document
from centrifast._framing import Variant
from centrifast.protocol.deflate import Deflater

SIZES = (150, 500, 5000, 50_000)
SECONDS = 0.5


def measure_document(size: int, level: int) -> harness.Figures:
    """A JSON document as a push: bytes of its frame, plain and deflated, and microseconds to make the latter."""
    rows = json.loads(document(size, 0))
    push = {"push": {"channel": "scores", "pub": {"data": rows, "offset": 17}}}
    message = json.dumps(push, separators=(",", ":")).encode()
    plain = Variant("json", 1, b"\n", b"{}", b"{}")
    deflating = plain.deflating(Deflater(level, 0, 15))
    made, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < SECONDS:
        frame = deflating.frame([message])
        made += 1
    return {
        "bytes": len(plain.frame([message])),
        "deflated_bytes": len(frame),
        "us": round(1e6 * spent / made, 1),
    }


@click.command()
@click.option("--connections", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of off and on in turn.")
@click.option("--messages", default=30, show_default=True)
@click.option("--payload", default=1000, show_default=True, help="Bytes of each publication.")
@click.option("--level", default=1, show_default=True, help="websocket.compression_level")
def main(connections: int, rounds: int, messages: int, payload: int, level: int) -> None:
    """Fan-out of one channel to many subscribers who agreed on permessage-deflate, and to others."""
    options = ["--inflight", "1", "--messages", str(messages), "--payload", str(payload), "--hold", "2"]

    def measure(*, is_on: bool) -> harness.Figures:
        websocket = {"compression": is_on, "compression_level": level}
        with harness.centrifast(websocket=websocket) as server:
            figures = harness.load(server, connections, *options, "--deflate")
        if figures["deflated"] != (connections if is_on else 0):
            raise harness.BenchError(f"{figures['deflated']} of {connections} connections agreed to deflate")
        return {**figures, "bytes_per_delivery": figures["wire_bytes"] / figures["delivered"]}

    results = harness.in_turn(
        rounds, {"off": lambda: measure(is_on=False), "on": lambda: measure(is_on=True)}
    )
    off, on = results["off"], results["on"]
    memory, plain_memory = (harness.median(each, "rss_per_connection") / 1024 for each in (on, off))
    harness.report(
        "deflate",
        {
            "connections": connections,
            "rounds": rounds,
            "level": level,
            "cpu_us_per_delivery": harness.median(on, "delivery_cpu_us"),
            "plain_cpu_us_per_delivery": harness.median(off, "delivery_cpu_us"),
            "cpu_ratio": harness.ratio(on, off, "delivery_cpu_us"),
            "bytes_per_delivery": harness.median(on, "bytes_per_delivery"),
            "plain_bytes_per_delivery": harness.median(off, "bytes_per_delivery"),
            "rss_kib_per_connection": memory,
            "plain_rss_kib_per_connection": plain_memory,
            "rss_kib_more": memory - plain_memory,
            "cpu_us_per_connection": harness.median(on, "connect_cpu_us"),
            "plain_cpu_us_per_connection": harness.median(off, "connect_cpu_us"),
            "documents": [measure_document(size, level) for size in SIZES],
        },
    )


if __name__ == "__main__":
    main()
