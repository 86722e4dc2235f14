"""How long does the loop stand still? The longest pause while many clients connect, idle and leave.

The server runs in this process with two watchers: the collector's own callbacks, and a timer that should fire every
few milliseconds and notes how late it is. The lateness holds everything: collections, slices of the drain, commands,
and on a machine that is busy with something else also that. So it is noted a second time without the time in which this
thread could run and got no processor.
"""

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import uvloop

from bench import _harness as harness
from centrifast import log
from centrifast.app import Server
from centrifast.config.loader import load
from centrifast.process import raise_descriptor_limit

TICK = 0.002
HOLD = 5
PHASES = ("connecting", "connected", "leaving")


class Watch:
    """Notes the longest collection and, by phase, the longest lateness of a timer, in milliseconds.

    *own* lateness is without waits for a processor.
    """

    def __init__(self, server: Server, connections: int) -> None:
        self._server = server
        self._connections = connections
        self.collection_ms = 0.0
        self.lateness_ms = dict.fromkeys(PHASES, 0.0)
        self.own_lateness_ms = dict.fromkeys(PHASES, 0.0)
        self.collections = [0, 0, 0]
        self._began = 0.0

    def on_collection(self, phase: str, info: dict[str, int]) -> None:
        """For ``gc.callbacks``."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.collections[info["generation"]] += 1
            self.collection_ms = max(self.collection_ms, 1000 * (time.perf_counter() - self._began))

    async def watch_timer(self) -> None:
        """Until cancelled. The load generator's clients leave all at once, when it ends."""
        phase = "connecting"
        while True:
            before, waited_before = time.perf_counter(), waited_ms()
            await asyncio.sleep(TICK)
            late = 1000 * (time.perf_counter() - before - TICK)
            own_late = late - (waited_ms() - waited_before)
            clients = len(self._server.node.hub.clients)
            if phase == "connected" and clients < self._connections:
                phase = "leaving"
            self.lateness_ms[phase] = max(self.lateness_ms[phase], late)
            self.own_lateness_ms[phase] = max(self.own_lateness_ms[phase], own_late)
            if phase == "connecting" and clients == self._connections:
                phase = "connected"


def waited_ms() -> float:
    """How long this thread has waited for a processor so far (Linux, Documentation/scheduler/sched-stats)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e6


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """With two decimals."""
    return {name: round(value, 2) for name, value in figures.items()}


async def measure(connections: int) -> dict[str, Any]:
    """Start the server, let the load generator come and go; what was noticed."""
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(harness.config(port)))
        server = Server(load(path, {}, {}).config)
    await server.start()
    watch = Watch(server, connections)
    gc.callbacks.append(watch.on_collection)
    timer = asyncio.create_task(watch.watch_timer())
    command = [
        sys.executable, "-m", "centrifast_loadgen", "--json", "--connections", str(connections),
        "--messages", "10", "--hold", str(HOLD), *harness.Running("centrifast", port, os.getpid()).load_options,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *harness.on_core(harness.CLIENT_CORE, command),
        stdout=asyncio.subprocess.DEVNULL,
        env=harness.environment(),
    )
    code = await process.wait()
    timer.cancel()
    await server.stop()
    return {
        "connections": connections,
        "complete": code == 0,
        "longest_collection_ms": round(watch.collection_ms, 2),
        "collections": watch.collections,
        "longest_pause_ms": rounded(watch.lateness_ms),
        "longest_own_pause_ms": rounded(watch.own_lateness_ms),
    }


@click.command()
@click.option("--connections", default=19_000, show_default=True)
def main(connections: int) -> None:
    """Longest pause of the loop."""
    log.configure("error")
    raise_descriptor_limit()
    harness.report("pause", uvloop.run(measure(connections)))


if __name__ == "__main__":
    main()
