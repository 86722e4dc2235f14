"""``centrifast restart``: have the workers of a running server replaced one by one."""

import os
import signal
from pathlib import Path

import click

from centrifast.cli.command import config_option, fail, read_config


@click.command()
@config_option
@click.option("--pid", type=click.IntRange(min=1), help="Process id; default: the one in `pid_file`.")
def restart(config: str, pid: int | None) -> None:
    """Replace the workers of a running server one by one; its port stays open."""
    target = pid or pid_of(read_config(config).config.pid_file)
    reason = why_not(target)
    if reason:
        fail(f"error: process {target} {reason}")
    try:
        os.kill(target, signal.SIGUSR2)
    except OSError as error:
        fail(f"error: process {target} can not be told: {error.strerror}")
    click.echo(f"told process {target} to replace its workers; its log says how it goes")


def pid_of(pid_file: str) -> int:
    """Return the process id in the file; end the command if there is none."""
    if not pid_file:
        fail("error: pid_file is not set; set it or give --pid")
    try:
        return int(Path(pid_file).read_text())
    except FileNotFoundError:
        fail(f"error: {pid_file} is not there: no server with this configuration runs")
    except (OSError, ValueError) as error:
        fail(f"error: {pid_file} has no process id: {error}")


def why_not(pid: int, root: Path = Path("/proc")) -> str:
    """Say why the signal is of no use, or would do harm: a process that does not expect it is ended by it."""
    try:
        status = (root / str(pid) / "status").read_text()
    except OSError:
        return "is not there"
    masks = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Sig"))
    bit = 1 << (signal.SIGUSR2 - 1)
    if int(masks.get("SigCgt", "0"), 16) & bit:
        return ""
    if int(masks.get("SigIgn", "0"), 16) & bit:
        return "has no workers to replace: it runs with workers = 1"
    return "is no server that has workers"
