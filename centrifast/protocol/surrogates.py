"""Escaped surrogates without partner in JSON. Pure.

Where a program in JavaScript cuts a text, it may cut an emoji in half, and ``JSON.stringify`` writes the half
as an escape. Most decoders refuse it, msgspec among them.
"""

import re

# One escape inside a string. A pair of surrogates matches whole, so the group holds only one that is alone.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def without_lone_surrogates(text: bytes) -> bytes:
    """JSON with U+FFFD for each escaped surrogate that has no partner."""
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
