"""CPU time and memory of processes: the server under load with all its descendants, and our own."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from centrifast_loadgen.settings import SettingsError

# A look for new child processes reads all of /proc.
LOOK_INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment; CPU is user + system, and lacks what a child that has ended used."""

    cpu_seconds: float = 0.0
    rss_bytes: int = 0


def measure(pid: int) -> Usage:
    """Usage of process *pid* and its descendants; zeros for pid 0. Raises SettingsError when it is gone."""
    return _total(_family(pid)) if pid else Usage()


class Meter:
    """Measures one process tree again and again, cheaply. Knows nothing more once the process is gone."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._family: list[psutil.Process] = []
        self._look_at = 0.0
        self._last = Usage()

    def measure(self) -> Usage:
        """Usage now; the last known one when the process has ended."""
        if not self._pid:
            return self._last
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_INTERVAL
            try:
                self._family = _family(self._pid)
            except SettingsError:
                self._family = []
        usage = _total(self._family)
        if usage.rss_bytes:  # else it has ended
            self._last = usage
        return self._last

    def each(self) -> dict[int, float]:
        """CPU seconds of each process by its id, of those `measure` found; what has ended is not there."""
        found = {}
        for process in self._family:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found[process.pid] = times.user + times.system
        return found


def machine_cpu_seconds() -> float:
    """What all cores of this machine have worked so far, for whomever; stolen time is somebody's work as well."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _family(pid: int) -> list[psutil.Process]:
    try:
        server = psutil.Process(pid)
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess as error:
        raise SettingsError(f"--pid {pid}: no such process (any more)") from error


def _total(processes: Iterable[psutil.Process]) -> Usage:
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
