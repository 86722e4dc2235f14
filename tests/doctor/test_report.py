"""Findings as text and as values."""

from centrifast.doctor.finding import fail, ok, unknown, warn
from centrifast.doctor.report import WIDTH, lines_of, summary, value_of


def test_a_good_finding_is_one_line() -> None:
    assert list(lines_of(ok("cpu", "4 cores"))) == ["OK      cpu                           4 cores"]


def test_a_bad_finding_says_what_is_needed_and_what_mends_it() -> None:
    lines = list(lines_of(fail("descriptors", "1,024", "10,100", "ulimit -n 10100", "a {\n    b\n}")))
    assert lines == [
        "FAIL    descriptors                   1,024",
        "        needed: 10,100",
        "        mend:   ulimit -n 10100",
        "        mend:   a {",
        "                    b",
        "                }",
    ]


def test_long_texts_are_broken_and_commands_are_not() -> None:
    command = "x" * 200
    *texts, last = lines_of(warn("a", "word " * 60, "word " * 60, command))
    assert last.endswith(command)
    assert len(texts) > 4
    assert all(len(line) <= WIDTH for line in texts)


def test_the_summary_counts_the_worst_first() -> None:
    findings = [ok("a", ""), ok("b", ""), fail("c", ""), unknown("d", "")]
    assert summary(findings) == "1 failed, 0 warnings, 1 unknown, 2 fine"


def test_values_are_plain() -> None:
    assert value_of(warn("a", "b", "c", "d")) == {
        "check": "a",
        "level": "WARN",
        "seen": "b",
        "needed": "c",
        "mend": ["d"],
    }
