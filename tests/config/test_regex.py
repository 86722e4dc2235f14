"""RE2 patterns on Python's engine."""

import pytest

from centrifast.config.regex import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "found", "absent"),
    [
        (r"^[a-z]+$", "abc", "abc\n"),
        (r"^\w+$", "ab_1", "é"),
        (r"^a\z", "a", "a\n"),
        (r"^\$$", "$", "a"),
        (r"^[a$]$", "$", "b"),
        (r"^[]$]+$", "]$", "a"),
        (r"^[^]$]+$", "a", "$"),
        (r"^[a\]]+$", "a]", "b"),
        (r"^[[a]+$", "[a", "b"),
        (r"^[[:alpha:]_]+$", "ab_", "a1"),
        (r"^[:alpha:]+$", ":alph", "z"),
        (r"^[[:punct:]]$", "`", "a"),
        (r"^\Qa.b$\E$", "a.b$", "axb$"),
        (r"^\Qa.b", "a.b", "axb"),
        (r"^\x{41}$", "A", "B"),
        (r"^(?<year>\d+)$", "2020", "x"),
        (r"^(?P<year>\d+)$", "2020", "x"),
        (r"(?i)^abc$", "ABC", "abd"),
        (r"(?m)^b$", "a\nb\nc", "a\nbc"),
        (r"^[(?<a]+$", "(?<a", "b"),
        (r"^(?:a|b)$", "b", "ab"),
    ],
)
def test_a_pattern_means_what_it_means_in_re2(pattern: str, found: str, absent: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.search(found)
    assert not compiled.search(absent)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a", "not a valid pattern"),
        ("(", "not a valid pattern"),
        (r"\pL", "Unicode classes"),
        (r"\P{Greek}", "Unicode classes"),
        ("[[:nope:]]", "not a known class"),
        (r"\x{110000}", "beyond the last code point"),
        ("a\\", "not a valid pattern"),
    ],
)
def test_what_cannot_be_translated_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_pattern(pattern)
