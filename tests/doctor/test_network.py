"""Kernel settings of the network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from centrifast.doctor.finding import Finding, Level
from centrifast.doctor.network import NetworkFacts, check_network, read_network
from tests.doctor.test_machine import machine_of

GOOD = NetworkFacts(
    somaxconn=(65_535,),
    tcp_max_syn_backlog=(8192,),
    nf_conntrack_max=(262_144,),
    nf_conntrack_count=(100,),
    ip_local_port_range=(1024, 65_535),
    tcp_mem=(100_000, 200_000, 400_000),
    tcp_rmem=(4096, 131_072, 6_291_456),
    tcp_wmem=(4096, 16_384, 4_194_304),
)


def check(name: str = "", value: tuple[int, ...] = ()) -> dict[str, Finding]:
    changes: dict[str, Any] = {name: value} if name else {}
    return {finding.check: finding for finding in check_network(replace(GOOD, **changes), 50_000)}


def test_good_settings_are_fine() -> None:
    assert {finding.level for finding in check().values()} == {Level.OK}
    assert check()["net.ipv4.tcp_mem"].seen == "100000 200000 400000 pages: pressure from 781.2 MiB on"


@pytest.mark.parametrize(
    ("name", "field", "value", "level", "mend"),
    [
        ("net.core.somaxconn", "somaxconn", (128,), Level.WARN, "net.core.somaxconn = 4096"),
        (
            "net.ipv4.tcp_max_syn_backlog",
            "tcp_max_syn_backlog",
            (512,),
            Level.WARN,
            "tcp_max_syn_backlog = 4096",
        ),
        ("nf_conntrack_max", "nf_conntrack_max", (40_000,), Level.FAIL, "nf_conntrack_max = 262144"),
        ("nf_conntrack_max", "nf_conntrack_max", (60_000,), Level.WARN, "nf_conntrack_max = 262144"),
        ("nf_conntrack_max", "nf_conntrack_count", (250_000,), Level.WARN, "nf_conntrack_max = 262144"),
        (
            "net.ipv4.ip_local_port_range",
            "ip_local_port_range",
            (32_768, 60_999),
            Level.WARN,
            "ip_local_port_range = 1024 65535",
        ),
        ("net.ipv4.tcp_mem", "tcp_mem", (1, 40_000, 90_000), Level.WARN, "tcp_mem = 100000 150000 200000"),
        ("net.ipv4.tcp_mem", "tcp_mem", (1, 2, 3), Level.FAIL, "tcp_mem = 100000 150000 200000"),
        ("net.ipv4.tcp_rmem", "tcp_rmem", (1, 2, 3), Level.WARN, "tcp_rmem = 4096 131072 6291456"),
        ("net.ipv4.tcp_wmem", "tcp_wmem", (1, 2, 3), Level.WARN, "tcp_wmem = 4096 16384 4194304"),
    ],
)
def test_a_bad_setting_comes_with_its_command(
    name: str, field: str, value: tuple[int, ...], level: Level, mend: str
) -> None:
    finding = check(field, value)[name]
    assert finding.level is level
    assert finding.needed
    assert mend in finding.mend[0]


def test_what_can_not_be_read_is_unknown() -> None:
    findings = check_network(NetworkFacts(), 1)
    assert {finding.level for finding in findings} == {Level.UNKNOWN, Level.OK}
    assert [finding.check for finding in findings if finding.level is Level.OK] == ["nf_conntrack_max"]
    assert check("nf_conntrack_count")["nf_conntrack_max"].level is Level.OK


def test_settings_are_read_by_their_names(tmp_path: Path) -> None:
    machine = machine_of(
        tmp_path,
        {
            "proc/sys/net/core/somaxconn": "4096",
            "proc/sys/net/ipv4/ip_local_port_range": "1\t2",
            "proc/sys/net/netfilter/nf_conntrack_max": "7",
        },
    )
    assert read_network(machine, 16_384) == NetworkFacts(
        somaxconn=(4096,), ip_local_port_range=(1, 2), nf_conntrack_max=(7,), page_size=16_384
    )
