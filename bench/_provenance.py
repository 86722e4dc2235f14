"""Where and when something was measured, and of what: date, machine, commit."""

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import _harness as harness
from centrifast.doctor.finding import Level
from centrifast.doctor.runtime import check_runtime, read_runtime

CPU_FILE = Path("/proc/cpuinfo")
# What a run writes itself does not make the tree another one.
WRITTEN = ("bench/results", "README.md")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of one run; JSON types only."""

    date: str  # UTC, ISO 8601
    commit: str  # "" outside a checkout
    is_clean: bool | None  # nothing uncommitted; None outside a checkout
    machine: dict[str, Any]


def look() -> Provenance:
    """Of this moment and this machine."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changes = _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in WRITTEN))
    return Provenance(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=commit or "",
        is_clean=None if changes is None else not changes,
        machine=machine(),
    )


def machine() -> dict[str, Any]:
    """What of this machine figures depend on."""
    runtime = read_runtime()
    return {
        "cores": len(harness.CORES),
        "cpu": cpu_model(CPU_FILE.read_text() if CPU_FILE.exists() else ""),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": runtime.version,
        "python_is_optimized": check_runtime(runtime)[0].level is Level.OK,  # built with profiles
        "uvloop": runtime.uvloop,
    }


def cpu_model(cpuinfo: str) -> str:
    """Name of the first processor in the text of ``/proc/cpuinfo``; "" where it has none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return ""


def _git(*arguments: str) -> str | None:
    """What git says; None when it does not know."""
    try:
        command = ["git", "-C", str(harness.ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
