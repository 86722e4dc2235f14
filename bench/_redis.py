"""A Redis of its own for a measurement, and what ``redis-benchmark`` gets out of it."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import _harness as harness

Word = bytes | str | int


@dataclass(frozen=True, slots=True)
class Redis:
    """A server that answers, by TCP on the loopback and by a Unix socket."""

    pid: int
    port: int
    path: str

    @property
    def address(self) -> str:
        """Of its port, for a configuration."""
        return f"redis://127.0.0.1:{self.port}"


@contextmanager
def redis_server(core: int) -> Iterator[Redis]:
    """An empty Redis without persistence, confined to *core*."""
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        options = [
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--unixsocket",
            path,
            "--save",
            "",
            "--dir",
            folder,
        ]
        command = harness.on_core(core, [_program("redis-server"), *options])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + harness.START_TIMEOUT
            while not Path(path).exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise harness.BenchError("redis-server does not start")
            yield Redis(process.pid, port, path)
        finally:
            process.kill()
            process.wait()


def redis_benchmark(
    server: Redis, core: int, requests: int, command: Sequence[Word], *, pipeline: int = 1
) -> float:
    """Requests per second of ``redis-benchmark`` with 50 connections and this command, confined to *core*."""
    options = ["-p", str(server.port), "-c", "50", "-P", str(pipeline), "-n", str(requests), "--csv"]
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    line: list[str | bytes] = [*harness.on_core(core, [_program("redis-benchmark"), *options]), *words]
    done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
    *_, figures = done.stdout.decode(errors="replace").strip().splitlines()
    # The command itself is the first column, and its payload may hold quotes: columns are counted from the end.
    per_second, *_latencies = figures.rsplit(",", 7)[1:]
    return float(per_second.strip('"'))


def _program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise harness.BenchError(f"{name} is not installed")
    return program
