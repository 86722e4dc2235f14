"""Findings as text for people and as values for JSON."""

import textwrap
from collections.abc import Iterator, Sequence

from centrifast.doctor.finding import Finding, Level

WIDTH = 110
"""Columns of a line; commands are never broken."""

NAME_WIDTH = 30


def lines_of(finding: Finding) -> Iterator[str]:
    """Give the lines of one finding: what was seen, what is needed, what mends it."""
    begin = f"{finding.level.value:<8}{finding.check:<{NAME_WIDTH}}"
    yield from wrapped(finding.seen, begin)
    indent = " " * 8
    if finding.needed:
        yield from wrapped(finding.needed, f"{indent}needed: ")
    for command in finding.mend:
        for index, line in enumerate(command.splitlines()):
            yield f"{indent}{'mend:   ' if index == 0 else '        '}{line}"


def wrapped(text: str, begin: str) -> list[str]:
    """Break a text behind its begin."""
    indent = " " * len(begin)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=begin,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [begin.rstrip()]


def summary(findings: Sequence[Finding]) -> str:
    """Count the findings by level, worst first."""
    names = {Level.FAIL: "failed", Level.WARN: "warnings", Level.UNKNOWN: "unknown", Level.OK: "fine"}
    counts = {level: sum(finding.level is level for finding in findings) for level in names}
    return ", ".join(f"{counts[level]} {name}" for level, name in names.items())


def value_of(finding: Finding) -> dict[str, object]:
    """Return a finding as an object for JSON."""
    return {
        "check": finding.check,
        "level": finding.level.value,
        "seen": finding.seen,
        "needed": finding.needed,
        "mend": list(finding.mend),
    }
