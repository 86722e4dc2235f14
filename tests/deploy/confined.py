"""Runs a program as confined as a unit of systemd would: ``python confined.py UNIT PROGRAM [ARGUMENT ...]``.

Applies SystemCallFilter=, MemoryDenyWriteExecute= and NoNewPrivileges= with the calls that systemd uses, so that they
can be tried where no systemd runs. The groups of system calls are those of the installed systemd.
"""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 38, 65, 1  # linux/prctl.h
SCMP_ACT_ALLOW = 0x7FFF0000  # seccomp.h
SCMP_ACT_ERRNO = 0x00050000


def settings_of(unit: Path, name: str) -> list[str]:
    """All values of a setting, in order."""
    lines = unit.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def groups() -> dict[str, list[str]]:
    """Groups of system calls by name; members may be groups."""
    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter"], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    found: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if line.startswith("@"):
            members = found.setdefault(line, [])
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.append(line.strip())
    return found


def allowed_calls(values: list[str]) -> set[str]:
    """What a list of SystemCallFilter= leaves (systemd.exec(5)); the first value is what is allowed."""
    known = groups()

    def expand(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        return set().union(*(expand(member) for member in known[name]))

    allowed: set[str] = set()
    for value in values:
        names = set().union(*(expand(name) for name in value.removeprefix("~").split()))
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


def allow_only(calls: set[str]) -> None:
    """Let every other system call fail with EPERM, in this process and what it becomes."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO | errno.EPERM)))
    for name in calls:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else not on this architecture
            assert library.seccomp_rule_add(context, ctypes.c_uint32(SCMP_ACT_ALLOW), number, 0) == 0, name
    assert library.seccomp_load(context) == 0


def deny_executable_memory() -> None:
    """As MemoryDenyWriteExecute= does since systemd 254; kernels before 6.3 do not know it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        assert ctypes.get_errno() == errno.EINVAL, os.strerror(ctypes.get_errno())


def main() -> None:
    """Confine this process and become the program."""
    unit, *command = sys.argv[1:]
    calls = allowed_calls(settings_of(Path(unit), "SystemCallFilter"))
    assert ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if settings_of(Path(unit), "MemoryDenyWriteExecute") == ["yes"]:
        deny_executable_memory()
    allow_only(calls)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
