"""CPU time and memory of the server under load: its process and all descendants."""

from dataclasses import dataclass

import psutil

from centrifast_loadgen.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment; CPU is user + system, and lacks what a child that has ended used."""

    cpu_seconds: float = 0.0
    rss_bytes: int = 0


def measure(pid: int) -> Usage:
    """Usage of process *pid* and its descendants; zeros for pid 0. Raises SettingsError when it is gone."""
    if not pid:
        return Usage()
    try:
        server = psutil.Process(pid)
        processes = [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess as error:
        raise SettingsError(f"--pid {pid}: no such process (any more)") from error
    cpu, rss = 0.0, 0
    for process in processes:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu += times.user + times.system
                rss += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # a child that ended since it was listed
    return Usage(cpu, rss)
