"""Descriptor limits."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from centrifast.doctor.descriptors import (
    UNLIMITED,
    DescriptorFacts,
    check_descriptors,
    persistent,
    read_descriptors,
)
from centrifast.doctor.finding import Level
from centrifast.doctor.machine import Machine
from tests.doctor.test_machine import machine_of

GOOD = DescriptorFacts(65_536, 65_536, 1_048_576, 3_000_000, 1000, "started from this shell")


def levels(facts: DescriptorFacts, connections: int = 10_000) -> list[Level]:
    return [finding.level for finding in check_descriptors(facts, connections)]


def test_enough_is_fine() -> None:
    assert levels(GOOD) == [Level.OK] * 3
    assert levels(replace(GOOD, soft=UNLIMITED, hard=UNLIMITED)) == [Level.OK] * 3


def test_a_low_soft_limit_is_raised_by_the_server() -> None:
    finding = check_descriptors(replace(GOOD, soft=1024), 10_000)[0]
    assert finding.level is Level.OK
    assert finding.seen == (
        "soft 1,024, hard 65,536 (started from this shell); the server raises the soft one to the hard one at start"
    )


def test_a_limit_of_1024_comes_with_all_the_commands() -> None:
    finding = check_descriptors(replace(GOOD, soft=1024, hard=1024), 10_000)[0]
    assert finding.level is Level.FAIL
    assert finding.needed.startswith("10,100: 10,000 connections and 100")
    systemd, shell, docker = finding.mend
    assert (
        r"printf '[Service]\nLimitNOFILE=65536\n' > /etc/systemd/system/centrifast.service.d/limits.conf"
        in systemd
    )
    assert shell.startswith("ulimit -n 65536")
    assert docker.startswith("docker run --ulimit nofile=65536:65536")


def test_in_a_container_its_own_command_comes_first() -> None:
    finding = check_descriptors(replace(GOOD, hard=1024, in_container=True), 10_000)[0]
    assert finding.mend[0].startswith("docker run --ulimit")


def test_a_limit_can_not_be_above_that_of_the_kernel() -> None:
    process, kernel, _ = check_descriptors(replace(GOOD, hard=1024, nr_open=5000), 10_000)
    assert process.mend[0].startswith("sysctl -w fs.nr_open=65536")
    assert kernel.level is Level.FAIL
    assert "fs.nr_open = 1048576" in kernel.mend[0]


def test_the_whole_machine_must_have_room() -> None:
    finding = check_descriptors(replace(GOOD, file_max=10_000, allocated=9000), 5000)[2]
    assert finding.level is Level.FAIL
    assert finding.seen == "10,000, 9,000 in use on the whole machine"
    assert "fs.file-max = 19200" in finding.mend[0]


def test_what_can_not_be_read_is_unknown() -> None:
    assert levels(DescriptorFacts(None, None, None, None, None, "x")) == [Level.UNKNOWN] * 3
    assert levels(replace(GOOD, allocated=None))[2] is Level.OK


def test_the_shell_is_read(tmp_path: Path) -> None:
    facts = read_descriptors(machine_of(tmp_path, {"proc/sys/fs/file-nr": "800\t0\t900"}), None)
    assert facts.soft
    assert facts.hard
    assert (facts.nr_open, facts.file_max, facts.allocated) == (None, None, 800)
    assert facts.owner == "started from this shell"


@pytest.mark.parametrize(
    ("line", "soft", "hard"),
    [
        ("Max open files            1024                 4096                 files", 1024, 4096),
        ("Max open files            1024                 unlimited            files", 1024, UNLIMITED),
        ("Max processes             1                    1                    processes", None, None),
    ],
)
def test_a_running_server_is_read(line: str, soft: int | None, hard: int | None, tmp_path: Path) -> None:
    facts = read_descriptors(machine_of(tmp_path, {"proc/7/limits": f"Limit ...\n{line}\n"}), 7)
    assert (facts.soft, facts.hard) == (soft, hard)
    assert facts.owner == "of the running server, process 7"


def test_this_very_process_is_read() -> None:
    here = read_descriptors(Machine(), None)
    there = read_descriptors(Machine(), os.getpid())
    assert (here.soft, here.hard) == (there.soft, there.hard)


def test_settings_are_kept_after_a_start_of_the_machine() -> None:
    assert persistent("a.b", 1).startswith(
        "echo 'a.b = 1' >> /etc/sysctl.d/90-centrifast.conf && sysctl --system"
    )
