"""One thing that was looked at: how it is, how it should be, and what mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is; an UNKNOWN could not be looked at, which is common in containers."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Finding:
    """*mend* holds commands or lines of configuration to copy, in the order of preference."""

    check: str
    level: Level
    seen: str
    needed: str = ""
    mend: tuple[str, ...] = ()


def ok(check: str, seen: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Level.OK, seen)


def warn(check: str, seen: str, needed: str = "", *mend: str) -> Finding:
    """Return a finding that may hurt later."""
    return Finding(check, Level.WARN, seen, needed, mend)


def fail(check: str, seen: str, needed: str = "", *mend: str) -> Finding:
    """Return a finding that hurts."""
    return Finding(check, Level.FAIL, seen, needed, mend)


def unknown(check: str, seen: str, needed: str = "", *mend: str) -> Finding:
    """Return a finding about something that could not be looked at."""
    return Finding(check, Level.UNKNOWN, seen, needed, mend)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit status for scripts: 1 if something fails, else 0."""
    return int(any(finding.level is Level.FAIL for finding in findings))
