"""Memory and processors, of the machine and of the control group this runs in."""

import os
from dataclasses import dataclass

from centrifast.doctor.finding import Finding, fail, ok, unknown, warn
from centrifast.doctor.machine import Machine
from centrifast.doctor.wording import number, size
from centrifast.limits import KIB, MIB

PROCESS_PER_CONNECTION = 6 * KIB
"""Bytes that a quiet connection takes in the server."""

KERNEL_PER_CONNECTION = 4 * KIB
"""Bytes that its socket takes in the kernel while nothing waits in its buffers."""

BASE = 64 * MIB
"""Bytes of a server without connections."""

NO_LIMIT = 1 << 60
"""A limit of version 1 groups from here on means none."""


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """Bytes and processors; None = no limit, or it can not be read."""

    available: int | None
    group_limit: int | None = None
    group_used: int | None = None
    processors: int = 1
    quota: float | None = None


def read_resources(machine: Machine) -> ResourceFacts:
    """Read what is left for a server on this machine."""
    available = machine.field("proc/meminfo", "MemAvailable")
    limit, used = _read_group_memory(machine)
    return ResourceFacts(
        available=None if available is None else available * KIB,
        group_limit=limit,
        group_used=used,
        processors=len(os.sched_getaffinity(0)),
        quota=_read_quota(machine),
    )


def _read_group_memory(machine: Machine) -> tuple[int | None, int | None]:
    """Return the group's limit that leaves the least, and what is used of it."""
    found: list[tuple[int, int]] = []
    for path, text in machine.cgroup_files("memory", "memory.max", "memory.limit_in_bytes"):
        if text.isdecimal() and int(text) < NO_LIMIT:
            folder = path.rpartition("/")[0]
            name = "memory.current" if path.endswith("memory.max") else "memory.usage_in_bytes"
            found.append((int(text), machine.number(f"{folder}/{name}") or 0))
    if not found:
        return None, None
    return min(found, key=lambda group: group[0] - group[1])


def _read_quota(machine: Machine) -> float | None:
    """Return the number of processors that the group may use, None for all."""
    quotas: list[float] = []
    for path, text in machine.cgroup_files("cpu", "cpu.max", "cpu.cfs_quota_us"):
        words = text.split()
        if path.endswith("cpu.cfs_quota_us"):
            period = machine.number(f"{path.rpartition('/')[0]}/cpu.cfs_period_us")
            words.append(str(period or 0))
        if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def check_memory(facts: ResourceFacts, connections: int, queue_max_size: int) -> Finding:
    """Compare what is left with what the connections take."""
    name = "memory"
    each = PROCESS_PER_CONNECTION + KERNEL_PER_CONNECTION
    need = BASE + connections * each
    needed = (
        f"{size(need)} for {number(connections)} connections: about {size(PROCESS_PER_CONNECTION)} each in the "
        f"server, {size(KERNEL_PER_CONNECTION)} in the kernel; a slow one up to client.queue_max_size = "
        f"{size(queue_max_size)} more"
    )
    free, seen = _free(facts)
    if free is None:
        return unknown(name, "can not be read here", needed)
    if free >= 1.5 * need:
        return ok(name, f"{seen}; {size(need)} needed for {number(connections)} connections")
    if facts.group_limit is None:
        mend = "add memory to the machine, or spread the connections over more machines"
    else:
        mend = f"docker run --memory {need * 2 // MIB}m ...    # Kubernetes: resources.limits.memory"
    return (fail if free < need else warn)(name, seen, needed, mend)


def _free(facts: ResourceFacts) -> tuple[int | None, str]:
    free = facts.available
    seen = f"{size(free)} available" if free is not None else ""
    if facts.group_limit is not None:
        left = max(0, facts.group_limit - (facts.group_used or 0))
        if free is None or left < free:
            free, seen = left, f"{size(left)} left of the control group's limit, {size(facts.group_limit)}"
    return free, seen


def check_processors(facts: ResourceFacts) -> Finding:
    """Less than a whole processor stops the loop for parts of every 100 ms."""
    seen = f"{facts.processors} usable"
    if facts.quota is None or facts.quota >= facts.processors:
        return ok("processors", seen)
    seen += f", quota of the control group {facts.quota:g}"
    if facts.quota >= 1:
        return ok("processors", seen)
    return warn(
        "processors",
        seen,
        "a quota of at least 1: below it the server is stopped for a part of every period, and all clients wait",
        "docker run --cpus 1 ...    # Kubernetes: resources.limits.cpu",
    )
