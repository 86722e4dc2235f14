"""Patterns in RE2 syntax, as operators write them for Centrifugo, on Python's ``re``.

RE2 has no look-around and no back-references; what both engines know mostly means the same. What does not is
translated here: the end of text, named groups, POSIX classes, literal spans and code points. Unicode classes
(``\\pL``) have no counterpart and are refused.
"""

import re

POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
MULTILINE = re.compile(r"\(\?[a-zA-Z]*m")
TOKEN = re.compile(
    r"""\\Q(?P<literal>.*?)(?:\\E|\Z)
    | \\x\{(?P<code>[0-9A-Fa-f]+)\}
    | \\(?P<escape>.)
    | \[:(?P<posix>[a-z]+):\]
    | (?P<named>\(\?<(?=[A-Za-z_]))
    | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile an RE2 pattern; raise :exc:`ValueError` for one that cannot be.

    Match with ``search``: RE2 patterns are not anchored. Classes such as ``\\w`` are ASCII, as in RE2.
    """
    try:
        return re.compile(translate(pattern), re.ASCII)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a valid pattern: {error}") from None


def translate(pattern: str) -> str:
    """Write an RE2 pattern in Python's syntax, without checking it."""
    end = "$" if MULTILINE.search(pattern) else r"\Z"
    result = []
    class_length = 0  # tokens since "[", 0 outside; a "]" or "^" right behind it is not special
    for token in TOKEN.finditer(pattern):
        text = token[0]
        result.append(translate_token(token, inside=class_length > 0, end=end))
        if class_length:
            first = class_length == 1 or (class_length == 2 and result[-2] == "^")
            class_length = 0 if text == "]" and not first else class_length + 1
        elif text == "[":
            class_length = 1
    return "".join(result)


def translate_token(token: re.Match[str], *, inside: bool, end: str) -> str:
    """Translate one token; *inside* a class, *end* is what ``$`` becomes."""
    if token["literal"] is not None:
        return re.escape(token["literal"])
    if token["code"] is not None:
        return escape_code(token["code"])
    if token["escape"] is not None:
        return translate_escape(token["escape"])
    if token["posix"] is not None:
        return translate_posix(token["posix"], inside=inside)
    if token["named"] is not None and not inside:
        return "(?P<"
    if inside:
        return r"\[" if token[0] == "[" else token[0]
    return end if token[0] == "$" else token[0]


def escape_code(digits: str) -> str:
    """Translate a code point."""
    code = int(digits, 16)
    if code > 0x10FFFF:
        raise ValueError(f"\\x{{{digits}}} is beyond the last code point")
    return re.escape(chr(code))


def translate_escape(letter: str) -> str:
    """Translate a backslash and what follows it."""
    if letter in "pP":
        raise ValueError(f"Unicode classes (\\{letter}) are not supported; list the characters instead")
    return r"\Z" if letter == "z" else "\\" + letter


def translate_posix(name: str, *, inside: bool) -> str:
    """Translate ``[:name:]``, which is a class only inside of another one."""
    if not inside:
        return f"[:{name}:]"
    if name not in POSIX:
        raise ValueError(f"[:{name}:] is not a known class")
    return POSIX[name]
