"""Globs as Centrifugo understands them, for origins and names of channels (server specification 2.4).

    *  any run of characters, dots and slashes too      [abc] [a-z] [!a]  one character in, or not in, a set
    ?  one character                                    {a,b}             alternatives, which may be nested
    \\  takes away the meaning of the next character

Braces are written out into several patterns first. What is left has only stars that may try several lengths,
and each star settles for the first place where the text up to the next star fits: earlier is never worse. So
nothing is tried twice, whatever a stranger sends as ``Origin``.
"""

import re

ALTERNATIVES_LIMIT = 256
"""Patterns that the braces of one glob may stand for."""


class GlobError(ValueError):
    """The pattern is malformed; the text says how."""


class Glob:
    """A compiled pattern. Raises ``GlobError``."""

    __slots__ = ("_matches",)

    def __init__(self, pattern: str) -> None:
        parts = [_translate(tokens) for tokens in _expand(_tokenize(pattern))]
        self._matches = re.compile("|".join(parts), re.DOTALL).fullmatch

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        return self._matches(text) is not None


def _tokenize(pattern: str) -> list[str]:
    """Regular expressions of single characters, and ``*``, ``{``, ``}``, ``,`` where they mean something."""
    tokens: list[str] = []
    depth = position = 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if sign == "\\":
            if position == len(pattern):
                raise GlobError("nothing follows the backslash")
            tokens.append(_literal(pattern[position]))
            position += 1
        elif sign == "[":
            token, position = _read_set(pattern, position)
            tokens.append(token)
        elif sign == "{" or (sign in "}," and depth):
            depth += {"{": 1, "}": -1, ",": 0}[sign]
            tokens.append(sign)
        elif sign == "*":
            tokens.append(sign)
        else:
            tokens.append("." if sign == "?" else _literal(sign))
    if depth:
        raise GlobError("a { is never closed")
    return tokens


def _literal(sign: str) -> str:
    return f"[{sign}]" if sign in ".,*{}" else re.escape(sign)  # never equal to a sign with a meaning


def _read_set(pattern: str, position: int) -> tuple[str, int]:
    """The set that begins behind a ``[``, as a regular expression, and where it ends."""
    inverted = pattern.startswith("!", position)
    position += inverted
    signs: list[str] = []
    while True:
        if position >= len(pattern):
            raise GlobError("a [ is never closed")
        sign = pattern[position]
        position += 1
        if sign == "]":
            break
        if sign == "\\":
            if position >= len(pattern):
                raise GlobError("nothing follows the backslash")
            sign = pattern[position]
            position += 1
        if pattern.startswith("-", position) and position + 1 < len(pattern) and pattern[position + 1] != "]":
            last = pattern[position + 1]
            if last < sign:
                raise GlobError(f"the range {sign}-{last} is empty")
            signs.append(f"{re.escape(sign)}-{re.escape(last)}")
            position += 2
        else:
            signs.append(re.escape(sign))
    if not signs:
        raise GlobError("a set is empty")
    return f"[{'^' if inverted else ''}{''.join(signs)}]", position


def _expand(tokens: list[str]) -> list[list[str]]:
    """Every pattern without braces that the tokens stand for."""
    expanded, rest = _expand_until(tokens, 0, "")
    assert rest == len(tokens)
    return expanded


def _expand_until(tokens: list[str], position: int, stops: str) -> tuple[list[list[str]], int]:
    """Expand up to a token in *stops* or the end: what it stands for, and where it stopped."""
    prefixes: list[list[str]] = [[]]
    while position < len(tokens) and tokens[position] not in tuple(stops):
        token = tokens[position]
        position += 1
        if token != "{":
            for prefix in prefixes:
                prefix.append(token)
            continue
        choices: list[list[str]] = []
        while True:
            choice, position = _expand_until(tokens, position, ",}")
            choices.extend(choice)
            position += 1
            if tokens[position - 1] == "}":
                break
        if len(prefixes) * len(choices) > ALTERNATIVES_LIMIT:
            raise GlobError(f"more than {ALTERNATIVES_LIMIT} alternatives")
        prefixes = [prefix + choice for prefix in prefixes for choice in choices]
    return prefixes, position


def _translate(tokens: list[str]) -> str:
    """A regular expression in which no star is ever tried twice."""
    segments: list[str] = [""]
    for token in tokens:
        if token == "*":
            segments.append("")
        else:
            segments[-1] += token
    if len(segments) == 1:
        return segments[0]
    first, *middle, last = segments
    return first + "".join(f"(?>.*?{segment})" for segment in middle if segment) + ".*" + last
