"""URL of a key set: a template, filled from claims that nobody has verified yet (server specification 5.3).

Who sends a token chooses those claims, and with them where this server looks for the key of that very token. So
what a placeholder can become is bounded by the operator: by patterns that only list texts.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
CLASSES = re.compile(r"\[|\\[dDwWsSpP]")
TOKEN = re.compile(
    r"""\\Q.*?(?:\\E|\Z)                    # a literal span
    | \(\?P?<(?P<name>\w+)>                  # a named group
    | (?P<open>\((?:\?:|(?!\?)))             # a group without name
    | (?P<close>\))
    | (?P<free>\\[a-zA-Z0-9] | \(\? | [.*+?{^$])
    | \\. | .""",
    re.DOTALL | re.VERBOSE,
)


def check_template(template: str, patterns: Mapping[str, str], *, allow_free_groups: bool) -> Iterator[str]:
    """Give a sentence for each rule that is broken; *patterns* are the ``*_regex`` options by name.

    A placeholder that no pattern defines is not noticed: the patterns may be told later than the URL.
    """
    if not template.startswith(("http://", "https://")):
        yield "jwks_public_endpoint must begin with http:// or https://"
    names = frozenset(PLACEHOLDER.findall(template))
    if not names or allow_free_groups:
        return
    for option, pattern in patterns.items():
        if CLASSES.search(pattern):
            yield (
                f"{option}: classes of characters ([...], \\d, \\w, \\s, \\p) can not be used "
                "together with placeholders in jwks_public_endpoint"
            )
        for name in sorted(names & free_groups(pattern)):
            yield (
                f"{option}: group {name} fills jwks_public_endpoint, so it may only list texts, "
                f"such as (?P<{name}>a|b)"
            )


def free_groups(pattern: str) -> frozenset[str]:
    """Return the named groups that match more than a list of texts. The pattern is valid and has no ``[``."""
    free: set[str] = set()
    around: list[str] = []  # names of the groups that are open, "" for one without
    for token in TOKEN.finditer(pattern):
        if token["name"] or token["open"]:
            around.append(token["name"] or "")
        elif token["close"]:
            if around:
                around.pop()
        elif token["free"]:
            free.update(around)
            if token[0] == "(?":  # flags or an unknown kind of group: its end will be looked for
                around.append("")
    return frozenset(free - {""})


def resolve(template: str, variables: Mapping[str, str]) -> str:
    """Fill the template. Raises ValueError for a variable that is missing, or a path not in its cleaned form."""

    def value_of(placeholder: re.Match[str]) -> str:
        if placeholder[1] not in variables:
            raise ValueError(f"no claim gives {placeholder[0]} of the key set's URL")
        return variables[placeholder[1]]

    url = PLACEHOLDER.sub(value_of, template)
    if not is_clean(url):
        raise ValueError("the claims lead to a key set URL with an unclean path")
    return url


def is_clean(url: str) -> bool:
    """Whether the path has no ``..``, ``.``, ``//`` or slash at its end, and the URL no blank or backslash."""
    if any(character <= " " or character == "\\" for character in url):
        return False
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:  # brackets that hold no IPv6 address
        return False
    return path in ("", "/") or ("//" not in path and posixpath.normpath(path) == path)
