"""``issuer_regex`` and ``audience_regex``: tried before the signature, they say which key set to ask (5.3 step 2)."""

import re

from centrifast.auth.claims import InvalidTokenError
from centrifast.config.regex import compile_pattern
from centrifast.config.schema import TokenConfig
from centrifast.limits import CLAIM_MATCH_SIZE


class ClaimPatterns:
    """The patterns of one section of the configuration; an empty one matches everything."""

    def __init__(self, config: TokenConfig) -> None:
        """Raises ValueError, naming the option, for a pattern that can not be compiled."""
        self._issuer = _compile("issuer_regex", config.issuer_regex)
        self._audience = _compile("audience_regex", config.audience_regex)

    def variables(self, issuer: str | None, audience: str | list[str] | None) -> dict[str, str]:
        """Return what named groups found; those that took no part in the match are left out.

        A missing issuer counts as an empty one. Of a list of audiences the first that matches counts. Raises
        InvalidTokenError if nothing matches. The claims are not verified yet.
        """
        found: dict[str, str] = {}
        if self._issuer is not None:
            match = _search(self._issuer, issuer or "")
            if match is None:
                raise InvalidTokenError("the issuer does not match issuer_regex")
            found.update(_groups(match))
        if self._audience is not None:
            items = audience if isinstance(audience, list) else [] if audience is None else [audience]
            match = next(filter(None, (_search(self._audience, item) for item in items)), None)
            if match is None:
                raise InvalidTokenError("no audience matches audience_regex")
            found.update(_groups(match))
        return found


def _compile(option: str, pattern: str) -> re.Pattern[str] | None:
    try:
        return compile_pattern(pattern) if pattern else None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _search(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return pattern.search(text) if len(text) <= CLAIM_MATCH_SIZE else None


def _groups(match: re.Match[str]) -> dict[str, str]:
    return {name: value for name, value in match.groupdict().items() if value is not None}
