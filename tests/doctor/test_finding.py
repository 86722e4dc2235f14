"""Findings and the exit status they make."""

import pytest

from centrifast.doctor.finding import Finding, Level, exit_code, fail, ok, unknown, warn


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (ok("a", "seen"), Level.OK),
        (warn("a", "seen", "needed", "x", "y"), Level.WARN),
        (fail("a", "seen", "needed", "x", "y"), Level.FAIL),
        (unknown("a", "seen", "needed", "x", "y"), Level.UNKNOWN),
    ],
)
def test_each_level_has_its_maker(finding: Finding, level: Level) -> None:
    assert (finding.check, finding.level, finding.seen) == ("a", level, "seen")
    if level is not Level.OK:
        assert (finding.needed, finding.mend) == ("needed", ("x", "y"))


def test_only_a_failure_is_one() -> None:
    assert exit_code([ok("a", ""), warn("a", ""), unknown("a", "")]) == 0
    assert exit_code([ok("a", ""), fail("a", "")]) == 1
    assert exit_code([]) == 0
