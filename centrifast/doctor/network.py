"""Kernel settings of the network, against the number of connections (engines specification 9.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from centrifast.doctor.descriptors import persistent
from centrifast.doctor.finding import Finding, fail, ok, unknown, warn
from centrifast.doctor.machine import Machine
from centrifast.doctor.wording import number, size
from centrifast.server.listeners import BACKLOG

SMALLEST_BUFFER = 65_536
"""Bytes; what a socket buffer may grow to, so that a message of the largest size fits."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Kernel settings as their numbers; empty = can not be read."""

    somaxconn: tuple[int, ...] = ()
    tcp_max_syn_backlog: tuple[int, ...] = ()
    nf_conntrack_max: tuple[int, ...] = ()
    nf_conntrack_count: tuple[int, ...] = ()
    ip_local_port_range: tuple[int, ...] = ()
    tcp_mem: tuple[int, ...] = ()
    tcp_rmem: tuple[int, ...] = ()
    tcp_wmem: tuple[int, ...] = ()
    page_size: int = 4096


def read_network(machine: Machine, page_size: int) -> NetworkFacts:
    """Read the settings of this network namespace."""
    return NetworkFacts(
        somaxconn=machine.sysctl("net.core.somaxconn"),
        tcp_max_syn_backlog=machine.sysctl("net.ipv4.tcp_max_syn_backlog"),
        nf_conntrack_max=machine.sysctl("net.netfilter.nf_conntrack_max"),
        nf_conntrack_count=machine.sysctl("net.netfilter.nf_conntrack_count"),
        ip_local_port_range=machine.sysctl("net.ipv4.ip_local_port_range"),
        tcp_mem=machine.sysctl("net.ipv4.tcp_mem"),
        tcp_rmem=machine.sysctl("net.ipv4.tcp_rmem"),
        tcp_wmem=machine.sysctl("net.ipv4.tcp_wmem"),
        page_size=page_size,
    )


def check_network(facts: NetworkFacts, connections: int) -> list[Finding]:
    """Compare all of them with what the connections need."""
    return [
        _check_queue("net.core.somaxconn", facts.somaxconn),
        _check_queue("net.ipv4.tcp_max_syn_backlog", facts.tcp_max_syn_backlog),
        _check_conntrack(facts, connections),
        _check_ports(facts.ip_local_port_range, connections),
        _check_tcp_mem(facts, connections),
        *_check_buffers(facts),
    ]


def _unreadable(name: str, needed: str) -> Finding:
    return unknown(name, "can not be read here; look on the host", needed, f"sysctl {name}")


def _check_queue(name: str, found: tuple[int, ...]) -> Finding:
    needed = f"at least {number(BACKLOG)}, the server's backlog, for clients that all come back at once"
    if not found:
        return _unreadable(name, needed)
    if found[0] >= BACKLOG:
        return ok(name, number(found[0]))
    return warn(name, number(found[0]), needed, persistent(name, BACKLOG))


def _check_conntrack(facts: NetworkFacts, connections: int) -> Finding:
    name = "nf_conntrack_max"
    if not facts.nf_conntrack_max:
        return ok(name, "connections are not tracked in this network namespace")
    limit = facts.nf_conntrack_max[0]
    used = facts.nf_conntrack_count[0] if facts.nf_conntrack_count else 0
    seen = f"{number(limit)}, {number(used)} in use"
    mend = persistent("net.netfilter.nf_conntrack_max", max(2 * connections, 262_144))
    if limit < connections:
        needed = f"at least {number(connections)}: what does not fit is dropped without an answer"
        return fail(name, seen, needed, mend)
    if used > 0.8 * limit or limit < 1.5 * connections:
        return warn(name, seen, f"room for {number(connections)} connections and everything else", mend)
    return ok(name, seen)


def _check_ports(found: tuple[int, ...], connections: int) -> Finding:
    name = "net.ipv4.ip_local_port_range"
    if len(found) != 2:
        return _unreadable(name, f"{number(connections)} ports, on a proxy in front of the server")
    low, high = found
    count = max(0, high - low + 1)
    seen = f"{low} to {high}: {number(count)} outgoing connections to one address and port"
    if count >= connections:
        return ok(name, seen)
    return warn(
        name,
        seen,
        f"{number(connections)}, if a proxy on this machine is in front of the server; "
        "clients that come directly need none. Else give the proxy several addresses to connect to",
        persistent(name, "1024 65535"),
    )


def _check_tcp_mem(facts: NetworkFacts, connections: int) -> Finding:
    name = "net.ipv4.tcp_mem"
    needed = f"{number(connections)} pages: a message on its way to each connection takes at least one each"
    if len(facts.tcp_mem) != 3:
        return _unreadable(name, needed)
    low, pressure, high = facts.tcp_mem
    seen = f"{low} {pressure} {high} pages: pressure from {size(pressure * facts.page_size)} on"
    mend = persistent(name, f"{2 * connections} {3 * connections} {4 * connections}")
    if high < connections:
        return fail(name, seen, needed, mend)
    if pressure < connections:
        return warn(name, seen, needed, mend)
    return ok(name, seen)


def _check_buffers(facts: NetworkFacts) -> Iterator[Finding]:
    for name, found, default in (
        ("net.ipv4.tcp_rmem", facts.tcp_rmem, "4096 131072 6291456"),
        ("net.ipv4.tcp_wmem", facts.tcp_wmem, "4096 16384 4194304"),
    ):
        needed = f"a maximum of at least {size(SMALLEST_BUFFER)}, better the kernel's default, {default}"
        if len(found) != 3:
            yield _unreadable(name, needed)
        elif found[2] < SMALLEST_BUFFER:
            yield warn(name, " ".join(map(str, found)), needed, persistent(name, default))
        else:
            yield ok(name, " ".join(map(str, found)) + ", grown by the kernel as needed")
