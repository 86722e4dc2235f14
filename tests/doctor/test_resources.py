"""Memory and processors."""

from pathlib import Path

import pytest

from centrifast.doctor.finding import Level
from centrifast.doctor.machine import Machine
from centrifast.doctor.resources import (
    BASE,
    ResourceFacts,
    check_memory,
    check_processors,
    read_resources,
)
from centrifast.limits import KIB, MIB
from tests.doctor.test_machine import machine_of

NEED = BASE + 100_000 * 10 * KIB


@pytest.mark.parametrize(
    ("facts", "level", "seen"),
    [
        (ResourceFacts(2 * NEED), Level.OK, "available"),
        (ResourceFacts(int(1.2 * NEED)), Level.WARN, "available"),
        (ResourceFacts(NEED - 1), Level.FAIL, "available"),
        (ResourceFacts(None), Level.UNKNOWN, "can not be read"),
        (ResourceFacts(8 * NEED, NEED, 0), Level.WARN, "left of the control group's limit"),
        (ResourceFacts(8 * NEED, 2 * NEED, NEED + 1), Level.FAIL, "left of the control group's limit"),
        (ResourceFacts(None, 4 * NEED, None), Level.OK, "left of the control group's limit"),
    ],
)
def test_memory_is_compared_with_what_connections_take(facts: ResourceFacts, level: Level, seen: str) -> None:
    finding = check_memory(facts, 100_000, MIB)
    assert finding.level is level
    assert seen in finding.seen
    if level in (Level.WARN, Level.FAIL):
        assert "6 KiB each in the server, 4 KiB in the kernel" in finding.needed
        assert ("docker run --memory" in finding.mend[0]) == (facts.group_limit is not None)


@pytest.mark.parametrize(
    ("quota", "level"), [(None, Level.OK), (8.0, Level.OK), (1.5, Level.OK), (0.5, Level.WARN)]
)
def test_less_than_a_processor_is_a_warning(quota: float | None, level: Level) -> None:
    finding = check_processors(ResourceFacts(None, processors=4, quota=quota))
    assert finding.level is level
    assert finding.seen.startswith("4 usable")


def test_version_2_groups_are_read(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "proc/meminfo": "MemAvailable: 100 kB\n",
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "max",
            "sys/fs/cgroup/a/memory.max": "1000",
            "sys/fs/cgroup/a/memory.current": "400",
            "sys/fs/cgroup/a/b/cpu.max": "150000 100000",
            "sys/fs/cgroup/a/cpu.max": "max 100000",
        },
    )
    facts = read_resources(machine)
    assert (facts.available, facts.group_limit, facts.group_used) == (100 * KIB, 1000, 400)
    assert facts.quota == 1.5
    assert facts.processors >= 1


def test_version_1_groups_are_read(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a\n1:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2000",
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "500",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(1 << 63),
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        },
    )
    facts = read_resources(machine)
    assert (facts.group_limit, facts.group_used, facts.quota) == (2000, 500, 0.5)


def test_without_files_there_are_no_limits(tmp_path: Path) -> None:
    facts = read_resources(Machine(tmp_path))
    assert (facts.available, facts.group_limit, facts.group_used, facts.quota) == (None, None, None, None)
