"""What the questions share: building C, starting servers on a core of their own, loading them, medians.

Only processes started here are ended, each by its own handle.
"""

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from centrifast_loadgen import usage

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
API_KEY = "bench"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0
# One core for the server and one for the load, so that neither is measured with the other.
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
# {"push":{"channel":"bench0","pub":{"data":{"p":"..."}}}} around a payload: the floor gets payloads longer by this.
JSON_OVERHEAD = 53
OFFSET_OVERHEAD = 12  # ,"offset":42 in channels with history
STORM_CONNECTIONS = click.IntRange(1, 19_000)  # one client process, and a descriptor limit of 20,000

Figures = dict[str, Any]

# Options of channels whose subscribers are positioned and recover.
RECOVERABLE: Figures = {"history_size": 100, "history_ttl": "60s", "force_recovery": True}


class BenchError(click.ClickException):
    """Something could not be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server takes WebSocket connections, and publications."""

    socket: str = "/connection/websocket"
    api: str = "/api"
    is_plain: bool = False  # no protocol: a POST of a text sends it to everybody


PLAIN = Endpoint("/", "/", is_plain=True)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    name: str
    port: int
    pid: int
    endpoint: Endpoint = Endpoint()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}{self.endpoint.socket}"

    @property
    def api_url(self) -> str:
        """Where publications are posted."""
        return f"http://127.0.0.1:{self.port}{self.endpoint.api}"

    @property
    def load_options(self) -> list[str]:
        """Options of the load generator that lead to this server."""
        options = ["--pid", str(self.pid), "--url", self.url, "--api-url", self.api_url]
        return [*options, *(["--no-protocol"] if self.endpoint.is_plain else ["--api-key", API_KEY])]


def build_c(name: str) -> Path:
    """Compile ``bench/NAME.c`` unless that has been done since it changed; return the program."""
    source, program = ROOT / "bench" / f"{name}.c", BUILD / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise BenchError("a C compiler is needed: apt-get install gcc")
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def free_port() -> int:
    """A port nobody listens on, below those that outgoing connections are given."""
    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port


def on_core(core: int, command: Sequence[str | Path]) -> list[str]:
    """The command, confined to a core."""
    return ["taskset", "-c", str(core), *map(str, command)]


def on_all_cores(command: Sequence[str | Path]) -> list[str]:
    """The command, free to use every core, also where it would be confined to one."""
    return ["taskset", "-c", ",".join(map(str, CORES)), *map(str, command)]


@contextmanager
def started(
    name: str,
    port: int,
    command: Sequence[str | Path],
    endpoint: Endpoint = Endpoint(),
) -> Iterator[Running]:
    """Run a server on its core until the block ends. *command* must not fork away."""
    process = subprocess.Popen(on_core(SERVER_CORE, command), cwd=ROOT, env=environment())
    try:
        wait_until_healthy(process, port)
        yield Running(name, port, process.pid, endpoint)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], port: int) -> None:
    """Poll ``/health``; servers without one answer any GET with 200."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"the server ended with code {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise BenchError(f"the server did not answer /health within {START_TIMEOUT:g} s")


def environment() -> dict[str, str]:
    """Of child processes: the checkout is importable even when it is not installed."""
    paths = [str(ROOT), str(ROOT / "tools" / "loadgen"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@contextmanager
def floor(*, answers_first: bool = False, reply: str = "") -> Iterator[Running]:
    """The plain C server; it answers a publication when everything is sent, or before, and clients with *reply*."""
    port = free_port()
    options = ["first"] if answers_first else ["reply", reply] if reply else []
    with started("floor", port, [build_c("floor"), str(port), *options], PLAIN) as running:
        yield running


def config(
    port: int,
    client: Figures | None = None,
    websocket: Figures | None = None,
    redis: str = "",
    **channel: Any,
) -> Figures:
    """Configuration of a centrifast under test: its defaults and these options, but access for everybody."""
    return {
        "http_server": {"port": port},
        "engine": {"type": "redis", "redis": {"address": redis}} if redis else {},
        "client": {"allowed_origins": [], "insecure": True, **(client or {})},
        "websocket": websocket or {},
        "http_api": {"key": API_KEY},
        "health": {"enabled": True},
        "log": {"level": "error"},
        "channel": {
            "without_namespace": {
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
                **channel,
            }
        },
    }


@contextmanager
def centrifast(
    client: Figures | None = None,
    websocket: Figures | None = None,
    workers: int = 1,
    redis: str = "",
    **channel: Any,
) -> Iterator[Running]:
    """centrifast from this checkout, with these options of clients, WebSocket and channels.

    Several *workers* are free to use all cores. *redis*: an address of the engine; without, it is in memory.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        settings = config(port, client, websocket, redis, **channel)
        path.write_text(json.dumps({**settings, "workers": workers}))
        command = [sys.executable, "-m", "centrifast", "-c", str(path)]
        with started("centrifast", port, command if workers == 1 else on_all_cores(command)) as running:
            yield running


def load(
    server: Running, connections: int, *options: str, scenario: str = "fanout", all_cores: bool = False
) -> Figures:
    """Run the load generator against a server; a run that lost anything is no measurement."""
    command = [sys.executable, "-m", "centrifast_loadgen", scenario, "--json"]
    command += ["--connections", str(connections), *server.load_options, *options]
    done = subprocess.run(
        on_all_cores(command) if all_cores else on_core(CLIENT_CORE, command),
        stdout=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the load on {server.name} was incomplete: {done.stdout.decode().strip()}")
    return parse_figures(done.stdout)


def http_load(port: int, path: str, body: str, *options: str) -> Figures:
    """Run the C load client against an HTTP server."""
    key = ["-H", f"X-API-Key: {API_KEY}"]
    command = on_core(CLIENT_CORE, [build_c("httpload"), *key, *options, str(port), path, body])
    return parse_figures(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@contextmanager
def storm(server: Running, mode: str, connections: int, *options: str) -> Iterator[Figures]:
    """Let many clients come at once with ``storm.c``; they stay until the block ends.

    Its figures and the CPU that the server used meanwhile. A run that lost anything is no measurement.
    """
    program = [
        str(build_c("storm")),
        "-p",
        server.endpoint.socket,
        "-n",
        str(connections),
        *options,
        mode,
        str(server.port),
    ]
    before = usage.measure(server.pid).cpu_seconds
    with subprocess.Popen(
        on_core(CLIENT_CORE, program), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:  # leaving closes its input, which ends it
        assert process.stdout is not None
        line = process.stdout.readline()
        used = usage.measure(server.pid).cpu_seconds - before
        if not line:
            raise BenchError(f"the storm on {server.name} did not come to an end")
        figures = parse_figures(line)
        if not figures["complete"]:
            raise BenchError(f"the storm on {server.name} was incomplete: {line.decode().strip()}")
        yield {**figures, "server_cpu_seconds": used, "server_cpu_share": used / figures["seconds"]}


def api(server: Running, method: str, **request: Any) -> Figures:
    """Call centrifast's HTTP API; the result. An error is none."""
    answer = _call(server, method, request)
    if "result" not in answer:
        raise BenchError(f"{method} failed: {answer}")
    result: Figures = answer["result"]
    return result


def batch(server: Running, commands: Sequence[Figures]) -> None:
    """Several calls in one; each must succeed."""
    replies = _call(server, "batch", {"commands": commands})["replies"]
    failed = [reply for reply in replies if "error" in reply]
    if failed:
        raise BenchError(f"{len(failed)} of {len(commands)} calls failed: {failed[0]}")


def _call(server: Running, method: str, request: Figures) -> Figures:
    body = json.dumps(request, separators=(",", ":")).encode()
    headers = {"X-API-Key": API_KEY, "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{server.port}/api/{method}"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as response:
        return parse_figures(response.read())


def parse_figures(line: bytes) -> Figures:
    """The JSON line a load client printed."""
    figures = json.loads(line)
    if not isinstance(figures, dict):
        raise BenchError(f"not an object: {line!r}")
    return figures


def in_turn(rounds: int, measures: dict[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """A B A B: each measure once per round."""
    results: dict[str, list[Figures]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            results[name].append(measure())
    return results


def median(results: Sequence[Figures], *path: str) -> float:
    """Median of one figure over the rounds."""
    return statistics.median(_figure(result, path) for result in results)


def total(results: Sequence[Figures], *path: str) -> float:
    """Sum of one figure over the rounds: of what must not happen in any."""
    return sum(_figure(result, path) for result in results)


def ratio(results: Sequence[Figures], limits: Sequence[Figures], *path: str) -> float | None:
    """Median over the rounds of one figure relative to the limit measured in the same round.

    None where a limit is 0: CPU is counted in steps of 10 ms, and few connections can cost less.
    """
    pairs = [
        (_figure(result, path), _figure(limit, path)) for result, limit in zip(results, limits, strict=True)
    ]
    return (
        statistics.median(one / limit for one, limit in pairs) if all(limit for _, limit in pairs) else None
    )


def _figure(figures: Figures, path: Sequence[str]) -> float:
    value: Any = figures
    for key in path:
        value = value[key]
    return float(value)


def report(question: str, figures: Figures) -> None:
    """Print the answer: one JSON line, numbers rounded."""
    rounded = {
        name: round(value, 4 if abs(value) < 1 else 3) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    print(json.dumps({"question": question, **rounded}))
