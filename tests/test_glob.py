import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centrifast.glob import Glob, GlobError


@pytest.mark.parametrize(
    ("pattern", "fits", "misses"),
    [
        ("", [""], ["a"]),
        (
            "https://*.example.com",
            ["https://a.b.example.com"],
            ["https://example.com", "https://a.example.com/"],
        ),
        ("*", ["", "a", "a/b\nc"], []),
        ("**a", ["a", "bba"], ["ab"]),
        ("a?c", ["abc", "a.c", "a\nc"], ["ac", "abbc"]),
        ("[abc]x", ["ax", "cx"], ["dx", "x"]),
        ("[a-c]x", ["bx"], ["dx", "-x"]),
        ("[!a-c]x", ["dx"], ["bx", "x"]),
        ("[a-cx-z]", ["b", "y"], ["d", "-"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[a-]", ["-", "a"], ["b"]),
        (r"[\]^]", ["]", "^"], ["\\"]),
        ("{a,b}c", ["ac", "bc"], ["c", "{a,b}c"]),
        ("{a,{b,c}d}e", ["ae", "bde", "cde"], ["be", "de"]),
        ("x{,-old}", ["x", "x-old"], ["xx"]),
        ("{a*,b}c", ["axxc", "bc"], ["bxc"]),
        ("*{bcd,c}*d", ["bcd"], ["bc"]),
        (r"a\*b", ["a*b"], ["axb"]),
        (r"{a\,b,c}", ["a,b", "c"], ["a", "b"]),
        ("a,b}", ["a,b}"], ["a"]),
        ("a.b$", ["a.b$"], ["axb$", "a.b"]),
        ("news:*", ["news:a:b"], ["new:a"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], misses: list[str]) -> None:
    glob = Glob(pattern)
    assert [text for text in fits if not glob.matches(text)] == []
    assert [text for text in misses if glob.matches(text)] == []


@pytest.mark.parametrize(
    "pattern", ["[a", "[", "[]", "[!]", "[b-a]", "{a", "{a,{b}", "\\", "[\\", "{a,b}" * 9]
)
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(GlobError):
        Glob(pattern)


@given(pattern=st.text("ab*?", max_size=8), text=st.text("ab", max_size=12))
def test_stars_match_as_if_every_length_was_tried(pattern: str, text: str) -> None:
    backtracking = pattern.replace("*", ".*").replace("?", ".")
    assert Glob(pattern).matches(text) == bool(re.fullmatch(backtracking, text))


def test_a_long_text_is_matched_in_linear_time() -> None:
    started = time.process_time()
    assert not Glob("*a*a*a*a*a*b").matches("a" * 16_000)
    assert time.process_time() - started < 5  # trying every length would take years
