"""How much more do two workers deliver than one, each on a core of its own?

On a machine of two cores nobody is left for the clients, so they do not take part: ``hold.c`` keeps 10,000 connections
that subscribe to one channel, and reads nothing while it is measured. What arrives is queued by the kernel, at the
expense of its sender; a few dozen small messages fit every receive buffer. Only some subscribers of each worker are
watched, the last ones among them: subscribers are written to in the order in which they came. When the watched have a
message, the next one is published. What counts is the median time of a message: where something else uses a core for a
moment, that costs two workers more than one. Then everything is read from everybody, and must be there once.

- *One worker* has the first core, the load the other.
- *Two workers* have a core each, about 5,000 connections each; the supervisor, through which publications go from one
  to the other, and the load take from both what little they need.
- *The floor*, a plain C server, in the same way: as one process, and as two that share the clients, which is what this
  machine can gain by its second core.

CPU a delivery is that of the workers only. With ``--burst`` 200 publications come back to back, each when the one
before was answered, and servers may join them; what counts then is the time of all.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from bench import _harness as harness

MESSAGES, BURST_MESSAGES = 40, 200
TIMEOUT = 120  # seconds for everything with one server
# Nobody answers pings, and none may come in between.
QUIET = {"ping_interval": "1h", "pong_timeout": "1m"}
WATCHED_LAST, WATCHED_OTHERS = 4, 4  # of each server's


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent to how many."""

    connections: int
    messages: int
    payload: int
    burst: bool

    @property
    def options(self) -> list[str]:
        """Of ``hold``."""
        options = f"-n {self.connections} -m {self.messages} -t {TIMEOUT}"
        return [*options.split(), *(["-b"] if self.burst else [])]

    def text(self, size: int) -> str:
        """So many characters, and in them the one that ``hold`` counts."""
        return "@" + "x" * (size - 1)


class Holder:
    """A running ``hold``; see there for what is said."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout

    def hear(self) -> harness.Figures:
        """Its next line. Raises BenchError when it has ended instead: it has said why."""
        line = self._from.readline()
        if not line:
            raise harness.BenchError("the load ended early")
        return harness.parse_figures(line)

    def ask(self, line: str) -> harness.Figures:
        """Say something, hear the answer."""
        self._to.write(line.encode() + b"\n")
        self._to.flush()
        return self.hear()


@contextmanager
def holding(servers: Sequence[harness.Running], command: Sequence[str], *, share: bool) -> Iterator[Holder]:
    """Run ``hold`` with these options; with *share* on all cores."""
    program = [str(harness.build_c("hold")), *command, *(str(server.port) for server in servers)]
    place = harness.on_all_cores(program) if share else harness.on_core(harness.CLIENT_CORE, program)
    with subprocess.Popen(place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Holder(process)  # leaving closes its input, which ends it


def pin(pid: int, core: int) -> None:
    """Confine all threads of a process to a core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def clients_of(pid: int) -> set[int]:
    """Remote ports of what is connected to a process."""
    return {one.raddr.port for one in psutil.Process(pid).net_connections("tcp") if one.raddr}


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU that processes have used so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def to_watch(local_ports: Sequence[int], theirs: set[int]) -> list[int]:
    """Some of the clients of one process, in the order in which they came: the last, and others evenly."""
    own = [port for port in local_ports if port in theirs]
    return [*own[:: len(own) // WATCHED_OTHERS][:WATCHED_OTHERS], *own[-WATCHED_LAST:]]


def measure(
    servers: Sequence[harness.Running], pids: Sequence[int], load: Load, options: str, body: str
) -> harness.Figures:
    """Publish to clients of these processes, each on a core of its own."""
    for pid, core in zip(pids, harness.CORES, strict=False):
        pin(pid, core)
    with holding(servers, [*load.options, *options.split(), body], share=len(pids) > 1) as holder:
        ports = holder.hear()["local_ports"]
        clients = [clients_of(pid).intersection(ports) for pid in pids]
        watched = dict.fromkeys(port for theirs in clients for port in to_watch(ports, theirs))
        holder.ask(" ".join(map(str, watched)))
        before = cpu_seconds(pids)
        times = holder.ask("go")
        used = cpu_seconds(pids) - before
        delivered = holder.ask("read")["delivered"]
    expected = load.connections * load.messages
    if delivered != expected:
        raise harness.BenchError(f"{delivered} deliveries instead of {expected}")
    rate = expected / times["seconds"] if load.burst else load.connections / times["message_seconds"]
    return {
        "deliveries_per_s": rate,
        "cpu_us_per_delivery": used / expected * 1e6,
        "largest_share": max(map(len, clients)) / load.connections,
    }


def measure_workers(workers: int, load: Load) -> harness.Figures:
    """One process of centrifast, or a supervisor with several workers."""
    publication = {"channel": "bench", "data": {"p": load.text(load.payload)}}
    with harness.centrifast(QUIET, workers=workers) as server:
        pids = [child.pid for child in psutil.Process(server.pid).children()]
        body = json.dumps(publication, separators=(",", ":"))
        return measure([server], pids or [server.pid], load, f"-k {harness.API_KEY}", body)


def measure_floor(processes: int, load: Load) -> harness.Figures:
    """One plain server, or two."""
    with ExitStack() as stack:
        servers = [stack.enter_context(harness.floor()) for _ in range(processes)]
        body = load.text(load.payload + harness.JSON_OVERHEAD)
        return measure(servers, [server.pid for server in servers], load, "-r -p / -a /", body)


@click.command()
@click.option("--connections", default=10_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of all in turn.")
@click.option("--messages", default=0, type=click.IntRange(0, 400), help="0: 40, or 200 with --burst.")
@click.option("--payload", default=100, show_default=True, type=click.IntRange(1, 1000), help="Bytes.")
@click.option("--burst", is_flag=True, help="Publish back to back.")
def main(connections: int, rounds: int, messages: int, payload: int, burst: bool) -> None:
    """Fan-out of one channel by one worker and by two."""
    if len(harness.CORES) < 2:
        raise harness.BenchError("two workers need two cores")
    load = Load(connections, messages or (BURST_MESSAGES if burst else MESSAGES), payload, burst)
    results = harness.in_turn(
        rounds,
        {
            "one": lambda: measure_workers(1, load),
            "two": lambda: measure_workers(2, load),
            "floor_one": lambda: measure_floor(1, load),
            "floor_two": lambda: measure_floor(2, load),
        },
    )
    one, two, floor_one, floor_two = results.values()
    harness.report(
        "two_workers" + ("_burst" if burst else ""),
        {
            "connections": connections,
            "messages": load.messages,
            "rounds": rounds,
            "deliveries_per_s": harness.median(two, "deliveries_per_s"),
            "one_worker_deliveries_per_s": harness.median(one, "deliveries_per_s"),
            "workers_ratio": harness.ratio(two, one, "deliveries_per_s"),
            "cpu_us_per_delivery": harness.median(two, "cpu_us_per_delivery"),
            "one_worker_cpu_us_per_delivery": harness.median(one, "cpu_us_per_delivery"),
            "largest_share": harness.median(two, "largest_share"),
            "floor_deliveries_per_s": harness.median(floor_one, "deliveries_per_s"),
            "two_floors_deliveries_per_s": harness.median(floor_two, "deliveries_per_s"),
            "floors_ratio": harness.ratio(floor_two, floor_one, "deliveries_per_s"),
            "floor_cpu_us_per_delivery": harness.median(floor_one, "cpu_us_per_delivery"),
            "two_floors_cpu_us_per_delivery": harness.median(floor_two, "cpu_us_per_delivery"),
        },
    )


if __name__ == "__main__":
    main()
