"""Reading of what the kernel tells, from made-up files."""

from pathlib import Path

import pytest

from centrifast.doctor.machine import Machine


def machine_of(root: Path, files: dict[str, str]) -> Machine:
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return Machine(root)


def test_numbers_of_settings(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, {"proc/sys/net/ipv4/tcp_mem": "1\t2\t3\n", "proc/sys/fs/file-nr": "x"})
    assert machine.sysctl("net.ipv4.tcp_mem") == (1, 2, 3)
    assert machine.number("proc/sys/net/ipv4/tcp_mem") == 1
    assert machine.number("/proc/sys/net/ipv4/tcp_mem") == 1


def test_what_can_not_be_read_is_none(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, {"proc/sys/fs/file-nr": "x"})
    assert machine.text("proc/absent") is None
    assert machine.numbers("proc/sys/fs/file-nr") == ()
    assert machine.number("proc/sys/fs") is None
    assert machine.field("proc/meminfo", "MemAvailable") is None


def test_fields_of_a_table(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path, {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    5 kB\nOdd: x\nEmpty:\n"}
    )
    assert machine.field("proc/meminfo", "MemAvailable") == 5
    assert machine.field("proc/meminfo", "Odd") is None
    assert machine.field("proc/meminfo", "Empty") is None


@pytest.mark.parametrize(
    ("files", "inside"),
    [
        ({}, False),
        ({".dockerenv": ""}, True),
        ({"run/.containerenv": ""}, True),
        ({"proc/1/environ": "a=b\0container=lxc\0"}, True),
    ],
)
def test_containers_are_recognised(files: dict[str, str], inside: bool, tmp_path: Path) -> None:
    assert machine_of(tmp_path, files).in_container is inside


def test_groups_of_both_versions_are_found_up_to_the_root(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpuset:/\n4:cpu,memory:/a\n0::/b/c\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "100",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "200",
            "sys/fs/cgroup/b/memory.max": "max",
        },
    )
    assert list(machine.cgroup_files("memory", "memory.max", "memory.limit_in_bytes")) == [
        ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "200"),
        ("sys/fs/cgroup/b/memory.max", "max"),
    ]
    assert list(Machine(tmp_path / "absent").cgroup_files("cpu", "cpu.max", "x")) == []
