"""One peer against the floor: ``python -m bench.peers NAME`` prints one JSON line."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bench import _harness as harness
from bench.peers import TITLES

FOLDER = Path(__file__).resolve().parent
INSTALLED = harness.ROOT / "build" / "peers"
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SOCKETIFY_PYTHON = INSTALLED / "socketify" / "bin" / "python"
NODE_MODULES = INSTALLED / "node_modules"

Command = list[str | Path]


def needed(path: str | Path | None, what: str) -> str:
    """The path of something that must be there. Raises BenchError where it is not."""
    if path is None or not Path(path).exists():
        raise harness.BenchError(f"{what} is not installed: see bench/peers/README.md")
    return str(path)


def nchan(port: int, folder: Path) -> tuple[Command, str]:
    """Command that runs nginx in the foreground, and its version."""
    program = needed(shutil.which("nginx") or "/usr/sbin/nginx", "nginx")
    needed(NCHAN_MODULE, "nginx's module nchan")
    text = (FOLDER / "nchan.conf").read_text().replace("DIRECTORY", str(folder)).replace("PORT", str(port))
    path = folder / "nchan.conf"
    path.write_text(text)
    version = said(program, "-v").rpartition("/")[2]
    return [program, "-e", "stderr", "-p", "/usr/share/nginx", "-c", path], f"nginx {version}"


def ws(port: int, folder: Path) -> tuple[Command, str]:
    """Command that runs Node.js, and its version."""
    program = needed(shutil.which("node"), "Node.js")
    needed(NODE_MODULES / "ws", "ws")
    version = said(program, "-p", f"require('{NODE_MODULES / 'ws' / 'package.json'}').version")
    command: Command = ["env", f"NODE_PATH={NODE_MODULES}", program, FOLDER / "ws_server.js", str(port)]
    return command, f"ws {version}, Node.js {said(program, '--version')}"


def socketify(port: int, folder: Path) -> tuple[Command, str]:
    """Command that runs it with the Python it is installed for, and its version."""
    program = needed(SOCKETIFY_PYTHON, "socketify")
    version = said(program, "-c", "import importlib.metadata as m; print(m.version('socketify'))")
    return [program, FOLDER / "socketify_server.py", str(port)], f"socketify {version}"


# Where clients connect and publications go: nginx tells by the path, socketify does not share "/".
PEERS: dict[str, tuple[Callable[[int, Path], tuple[Command, str]], harness.Endpoint]] = {
    "nchan": (nchan, harness.Endpoint("/sub", "/pub", is_plain=True)),
    "ws": (ws, harness.PLAIN),
    "socketify": (socketify, harness.Endpoint("/ws", "/publish", is_plain=True)),
}


def said(*command: str) -> str:
    """What a program prints, on one line."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return (done.stdout + done.stderr).strip()


@contextmanager
def running(name: str) -> Iterator[harness.Running]:
    """A peer, until the block ends."""
    start, endpoint = PEERS[name]
    port = harness.free_port()
    with tempfile.TemporaryDirectory() as folder:
        command, _ = start(port, Path(folder))
        with harness.started(name, port, command, endpoint) as server:
            yield server


def version_of(name: str) -> str:
    """Of what is installed. Raises BenchError where it is not."""
    with tempfile.TemporaryDirectory() as folder:
        return PEERS[name][0](0, Path(folder))[1]


@click.command()
@click.argument("name", type=click.Choice(list(TITLES)))
@click.option("--connections", default=10_000, show_default=True, type=harness.STORM_CONNECTIONS)
@click.option("--rounds", default=3, show_default=True, help="Of floor and peer in turn.")
@click.option("--messages", default=30, show_default=True, type=click.IntRange(1))
@click.option("--payload", default=100 + harness.JSON_OVERHEAD, show_default=True, help="Bytes.")
def main(name: str, connections: int, rounds: int, messages: int, payload: int) -> None:
    """Fan-out of another server to many clients."""
    options = ["--inflight", "1", "--messages", str(messages), "--payload", str(payload), "--hold", "1"]
    version = version_of(name)

    def measure_floor() -> harness.Figures:
        with harness.floor() as server:
            return harness.load(server, connections, *options)

    def measure_peer() -> harness.Figures:
        with running(name) as server:
            return harness.load(server, connections, *options)

    results = harness.in_turn(rounds, {"floor": measure_floor, "peer": measure_peer})
    limits, theirs = results["floor"], results["peer"]
    harness.report(
        f"peer-{name}",
        {
            "version": version,
            "connections": connections,
            "rounds": rounds,
            "deliveries_per_s": harness.median(theirs, "deliveries_per_s"),
            "floor_deliveries_per_s": harness.median(limits, "deliveries_per_s"),
            "deliveries_ratio": harness.ratio(theirs, limits, "deliveries_per_s"),
            "cpu_us_per_delivery": harness.median(theirs, "delivery_cpu_us"),
            "floor_cpu_us_per_delivery": harness.median(limits, "delivery_cpu_us"),
            "cpu_ratio": harness.ratio(theirs, limits, "delivery_cpu_us"),
            "latency_p99_us": harness.median(theirs, "latency_us", "p99"),
            "floor_latency_p99_us": harness.median(limits, "latency_us", "p99"),
            "rss_kib_per_connection": harness.median(theirs, "rss_per_connection") / 1024,
            "floor_rss_kib_per_connection": harness.median(limits, "rss_per_connection") / 1024,
            "cpu_us_per_handshake": harness.median(theirs, "connect_cpu_us"),
            "floor_cpu_us_per_handshake": harness.median(limits, "connect_cpu_us"),
            "handshake_ratio": harness.ratio(theirs, limits, "connect_cpu_us"),
            "server_cpu_share": harness.median(theirs, "server_cpu_share"),
        },
    )


if __name__ == "__main__":
    main()
