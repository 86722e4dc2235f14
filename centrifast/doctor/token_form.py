"""Is it a token at all? What people paste around one, and what is wrong with the three parts."""

import re
from collections.abc import Callable

from centrifast.auth.claims import InvalidTokenError
from centrifast.auth.jws import SignedToken, parse
from centrifast.doctor.finding import Finding, fail, ok
from centrifast.doctor.wording import foreign

CHECK = "form"
QUOTES = "\"'`"
_SCHEME = re.compile(r"(?:authorization\s*:\s*)?(?:bearer\s+|token\s*[:=]\s*)", re.IGNORECASE)
_ESCAPES = re.compile(r"%(2e|2d|5f|3d|2b|2f)", re.IGNORECASE)

Mend = Callable[[str], str]


def _unquote(text: str) -> str:
    return text.strip(QUOTES)


def _without_scheme(text: str) -> str:
    found = _SCHEME.match(text)
    return text[found.end() :] if found else text


def _without_blanks(text: str) -> str:
    return "".join(text.split())


def _unescape(text: str) -> str:
    return _ESCAPES.sub(lambda escape: chr(int(escape[1], 16)), text)


def _base64url(text: str) -> str:
    return text.replace("+", "-").replace("/", "_").replace("=", "")


MISTAKES: tuple[tuple[Mend, str, str], ...] = (
    (_unquote, "it stands in quotes", "pass the token alone; quotes belong to the shell or to JSON"),
    (
        _without_scheme,
        "it begins with `Bearer ` or another prefix",
        "pass the token alone; clients send it in the protocol, not in an Authorization header",
    ),
    (_unquote, "it stands in quotes", "pass the token alone; quotes belong to the shell or to JSON"),
    (_without_blanks, "it holds blanks or newlines", "join it to one line; something has wrapped it"),
    (_unescape, "it holds percent escapes of a URL", "decode the URL parameter before passing it on"),
    (
        _base64url,
        "its base64 is not base64url (it has `+`, `/` or `=`)",
        "encode the parts in base64url without padding, or let a JWT library do it",
    ),
)
"""What to undo, how it shows, and what to do about it; in the order they are undone."""


def untangle(text: str) -> tuple[str, tuple[Finding, ...]]:
    """Return the token that is meant, and a finding for everything that is wrong around it.

    The server makes none of these repairs: one finding is enough for it to refuse the text.
    """
    found: dict[str, Finding] = {}
    for mend, shows, advice in MISTAKES:
        mended = mend(text)
        if mended != text:
            found[shows] = fail(CHECK, f"{shows}; what follows is about the token inside", "", advice)
            text = mended
    return text, tuple(found.values())


def take_apart(token: str) -> tuple[SignedToken | None, Finding]:
    """Parse a token as the server does, or say why that fails."""
    try:
        return parse(token), ok(CHECK, "three parts in base64url, the first a header in JSON")
    except InvalidTokenError as error:
        return None, fail(CHECK, *_why(token, str(error)))


def _why(token: str, reason: str) -> tuple[str, str]:
    parts = token.split(".")
    if not token:
        return "it is empty", "a token of three parts, joined by dots: header.claims.signature"
    if len(parts) == 5:
        return "it has five parts: it is encrypted (JWE)", "a signed token (JWS), which has three parts"
    if len(parts) != 3:
        count = f"it has {len(parts)} part{'s' if len(parts) > 1 else ''}: {foreign(token, 40)}"
        return count, "three parts joined by dots: header.claims.signature; is it cut off?"
    if reason == "the header demands an extension":
        return "its header has `crit`, which demands an extension", "a header without `crit`"
    return f"a part is damaged ({reason})", "the token as it was issued; has something changed or cut it?"
