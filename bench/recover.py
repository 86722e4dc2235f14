"""Everybody comes back at once and has missed something: how long until all are level, and what does it cost?

10,000 clients connect, and each subscribes with the position before the last 50 publications; a C client checks that
every reply holds each of them once and in order. The floor answers every client with one prebuilt frame of the same
content, so the ratio shows what sessions, history and encoding add to handshakes and bytes. Its seconds are the C
client's own limit: there the client is the busier one.

With ``--live`` publications go on meanwhile; each must reach everybody once and in order, in the reply or after it.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import click

from bench import _harness as harness

CHANNEL = "bench"
KEPT: harness.Figures = {"history_size": 1000, "history_ttl": "300s", "force_recovery": True}
RECOVERABLE_LIMIT = 300  # client.recovery_max_publication_limit
LIVE_INTERVAL = 0.02  # seconds between publications while clients come back


def payload(size: int) -> dict[str, str]:
    """Data of one publication: *size* bytes of JSON."""
    return {"p": "x" * (size - len('{"p":""}'))}


def replies(missed: int, size: int) -> str:
    """What the floor answers: a connect reply and a subscribe reply, as a client gets them from centrifast."""
    publications = [{"data": payload(size), "offset": 2 + number} for number in range(missed)]
    connected = {"client": "00000000-0000-4000-8000-000000000000", "version": "0", "ping": 25, "pong": True}
    subscribed = {
        "recoverable": True,
        "epoch": "abcdefgh",
        "publications": publications,
        "recovered": True,
        "offset": 1,
        "positioned": True,
        "was_recovering": True,
    }
    lines = ({"id": 1, "connect": connected}, {"id": 2, "subscribe": subscribed})
    return "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)


def publish(server: harness.Running, size: int, count: int, interval: float = 0) -> None:
    """Publish *count* times through the HTTP API."""
    for _ in range(count):
        harness.api(server, "publish", channel=CHANNEL, data=payload(size))
        time.sleep(interval)


@click.command()
@click.option("--connections", default=10_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--in-flight", default=256, show_default=True, help="Connections being opened at a time.")
@click.option("--missed", default=50, show_default=True, type=click.IntRange(0), help="By every client.")
@click.option(
    "--payload", "size", default=100, show_default=True, type=click.IntRange(8, 1024), help="Bytes."
)
@click.option("--live", default=0, show_default=True, type=click.IntRange(0), help="Published meanwhile.")
@click.option("--rounds", default=3, show_default=True, help="Of floor and centrifast in turn.")
@click.option("--timeout", default=60, show_default=True, help="Seconds for all to be level.")
def main(
    connections: int, in_flight: int, missed: int, size: int, live: int, rounds: int, timeout: int
) -> None:
    """Recovery of many clients at once."""
    if missed + live > RECOVERABLE_LIMIT:
        raise click.UsageError(f"a client recovers at most {RECOVERABLE_LIMIT}: lower --missed or --live")

    def storm(server: harness.Running, offset: int, epoch: str, *more: str) -> harness.Figures:
        options = ["-c", CHANNEL, "-o", str(offset), "-e", epoch, "-m", str(missed)]
        options += ["-f", str(in_flight), "-t", str(timeout), *more]
        with harness.storm(server, "recover", connections, *options) as figures:
            return figures

    def measure_floor() -> harness.Figures:
        with harness.floor(reply=replies(missed, size)) as server:
            return storm(server, 1, "abcdefgh")

    def measure_centrifast() -> harness.Figures:
        with harness.centrifast(**KEPT) as server, ThreadPoolExecutor(1) as publisher:
            known = harness.api(server, "publish", channel=CHANNEL, data=payload(size))
            publish(server, size, missed)
            publishing = publisher.submit(publish, server, size, live, LIVE_INTERVAL)
            figures = storm(server, known["offset"], known["epoch"], "-l", str(live))
            publishing.result()
            return figures

    results = harness.in_turn(rounds, {"floor": measure_floor, "centrifast": measure_centrifast})
    limits, ours = results["floor"], results["centrifast"]
    harness.report(
        "recover_live" if live else "recover",
        {
            "connections": connections,
            "missed": missed,
            "live": live,
            "rounds": rounds,
            "seconds": harness.median(ours, "seconds"),
            "floor_seconds": harness.median(limits, "seconds"),
            "ratio": harness.ratio(ours, limits, "seconds"),
            "server_cpu_seconds": harness.median(ours, "server_cpu_seconds"),
            "floor_server_cpu_seconds": harness.median(limits, "server_cpu_seconds"),
            "cpu_us_per_client": 1e6 * harness.median(ours, "server_cpu_seconds") / connections,
            "server_cpu_share": harness.median(ours, "server_cpu_share"),
            "client_cpu_share": harness.median(ours, "client_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
