"""All clients drop in one moment and come back at once: what does a publisher notice meanwhile?

``/api/publish`` is called many times a second on one connection, into a channel that nobody has, from before the first
client comes until all are back. The longest of these calls is the longest pause of a loop, as somebody outside sees it:
while they connect, when they hang up, while they come back.
"""

import http.client
import json
import os
import threading
import time
from contextlib import suppress

import click

from bench import _harness as harness

BODY = json.dumps({"channel": "elsewhere", "data": {}})
PRIORITY = -20
HEADERS = {"X-API-Key": harness.API_KEY, "Content-Type": "application/json"}


class Publisher(threading.Thread):
    """Publishes *rate* times a second until it is stopped; ``latencies`` in seconds."""

    def __init__(self, server: harness.Running, rate: float) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._interval = 1 / rate
        self._stopped = threading.Event()

    def run(self) -> None:
        with suppress(PermissionError):  # else its own turn on a busy core is waited for as well
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PRIORITY)
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._interval, time.monotonic())
            before = time.monotonic()
            self._connection.request("POST", "/api/publish", BODY, HEADERS)
            answer = self._connection.getresponse()
            answer.read()
            self.latencies.append(time.monotonic() - before)
            if answer.status != 200:
                raise harness.BenchError(f"a publication was answered with {answer.status}")

    def stop(self) -> list[float]:
        """The latencies, in order of size."""
        self._stopped.set()
        self.join()
        self._connection.close()
        return sorted(self.latencies)


def measure(connections: int, workers: int, rate: float) -> harness.Figures:
    """One storm."""
    with harness.centrifast(workers=workers) as server:
        publisher = Publisher(server, rate)
        publisher.start()
        try:
            storm = harness.load(
                server,
                connections,
                "--waves",
                "1",
                "--messages",
                "1",
                scenario="storm",
                all_cores=workers > 1,
            )
        finally:
            latencies = publisher.stop()
    wave = storm["storm"]["waves"][0]
    return {
        "seconds": wave["seconds"],
        "retried": wave["retried"],
        "timeouts": wave["timeouts"],
        "published": len(latencies),
        "publish_p50_ms": 1000 * latencies[len(latencies) // 2],
        "publish_p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
        "publish_max_ms": 1000 * latencies[-1],
        "server_cpu_share": storm["server_cpu_share"],
    }


@click.command()
@click.option("--connections", default=19_000, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=50.0, show_default=True, help="Publications a second.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
def main(connections: int, workers: int, rate: float, rounds: int) -> None:
    """API latency in a storm."""
    results = [measure(connections, workers, rate) for _ in range(rounds)]
    figures = {name: harness.median(results, name) for name in results[0]}
    figures["worst_publish_max_ms"] = max(result["publish_max_ms"] for result in results)
    harness.report("storm", {"connections": connections, "workers": workers, "rounds": rounds, **figures})


if __name__ == "__main__":
    main()
