"""File descriptors: a connection needs one (engines specification 9.2, server specification 12.5)."""

import re
import resource
from dataclasses import dataclass

from centrifast.doctor.finding import Finding, fail, ok, unknown
from centrifast.doctor.machine import Machine
from centrifast.doctor.wording import number

RESERVE = 100
"""Descriptors beside those of connections: 64 that the front door keeps free, listeners, log, engine."""

COMFORTABLE = 65_536
"""What a limit is raised to at least, as in Centrifugo's packages."""

UNLIMITED = 1 << 62
_LIMIT_LINE = re.compile(r"^Max open files\s+(\w+)\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DescriptorFacts:
    """Limits; None = can not be read. *owner* says whose they are."""

    soft: int | None
    hard: int | None
    nr_open: int | None
    file_max: int | None
    allocated: int | None
    owner: str
    in_container: bool = False


def read_descriptors(machine: Machine, server_pid: int | None) -> DescriptorFacts:
    """Read the limits of a running server, or those that a server started from here would have."""
    owner = "started from this shell"
    soft: int | None
    hard: int | None
    soft, hard = (_plain(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if server_pid is not None:
        found = _LIMIT_LINE.search(machine.text(f"proc/{server_pid}/limits") or "")
        owner = f"of the running server, process {server_pid}"
        soft, hard = (_limit(found[1]), _limit(found[2])) if found else (None, None)
    return DescriptorFacts(
        soft=soft,
        hard=hard,
        nr_open=machine.number("proc/sys/fs/nr_open"),
        file_max=machine.number("proc/sys/fs/file-max"),
        allocated=machine.number("proc/sys/fs/file-nr"),
        owner=owner,
        in_container=machine.in_container,
    )


def _plain(limit: int) -> int:
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit


def _limit(word: str) -> int | None:
    return int(word) if word.isdecimal() else UNLIMITED if word == "unlimited" else None


def check_descriptors(facts: DescriptorFacts, connections: int) -> list[Finding]:
    """Compare each limit with what the connections need."""
    needed = connections + RESERVE
    return [_check_process(facts, needed), _check_nr_open(facts, needed), _check_file_max(facts, needed)]


def _check_process(facts: DescriptorFacts, needed: int) -> Finding:
    name = "descriptor limit"
    if facts.soft is None or facts.hard is None:
        return unknown(name, f"the limits {facts.owner} can not be read", f"{number(needed)} descriptors")
    limits = f"soft {_shown(facts.soft)}, hard {_shown(facts.hard)} ({facts.owner})"
    if facts.hard >= needed:
        raised = "; the server raises the soft one to the hard one at start" if facts.soft < needed else ""
        return ok(name, limits + raised)
    return fail(
        name,
        limits,
        f"{number(needed)}: {number(needed - RESERVE)} connections and {RESERVE} for the server itself",
        *_raise_commands(max(needed, COMFORTABLE), facts),
    )


def _raise_commands(target: int, facts: DescriptorFacts) -> list[str]:
    """Return what raises the hard limit, the way that fits this machine first."""
    folder = "/etc/systemd/system/centrifast.service.d"
    systemd = (
        f"mkdir -p {folder}\n"
        f"printf '[Service]\\nLimitNOFILE={target}\\n' > {folder}/limits.conf\n"
        f"systemctl daemon-reload && systemctl restart centrifast"
    )
    docker = f"docker run --ulimit nofile={target}:{target} ...    # compose: ulimits: {{nofile: {target}}}"
    shell = f"ulimit -n {target}    # as root, in the shell that starts the server"
    commands = [docker, systemd, shell] if facts.in_container else [systemd, shell, docker]
    if facts.nr_open is not None and facts.nr_open < target:
        commands.insert(0, f"sysctl -w fs.nr_open={target}    # on the host, first: no limit can be above it")
    return commands


def _check_nr_open(facts: DescriptorFacts, needed: int) -> Finding:
    name = "fs.nr_open"
    if facts.nr_open is None:
        return unknown(name, "can not be read here", f"at least {number(needed)}")
    if facts.nr_open >= needed:
        return ok(name, number(facts.nr_open))
    return fail(
        name,
        number(facts.nr_open),
        f"at least {number(needed)}: the most that one process may be allowed",
        persistent(name, max(needed, 1_048_576)),
    )


def _check_file_max(facts: DescriptorFacts, needed: int) -> Finding:
    name = "fs.file-max"
    if facts.file_max is None:
        return unknown(name, "can not be read here", f"at least {number(needed)} free")
    used = facts.allocated or 0
    seen = f"{_shown(facts.file_max)}, {number(used)} in use on the whole machine"
    if facts.file_max - used >= needed:
        return ok(name, seen)
    return fail(name, seen, f"{number(needed)} free", persistent(name, used + 2 * needed))


def _shown(limit: int) -> str:
    return "unlimited" if limit >= UNLIMITED else number(limit)


def persistent(name: str, value: object) -> str:
    """Return the command that changes a kernel setting, now and after the next start of the machine."""
    return f"echo '{name} = {value}' >> /etc/sysctl.d/90-centrifast.conf && sysctl --system    # as root, on the host"
