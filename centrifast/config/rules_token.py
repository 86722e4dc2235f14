"""What options of tokens must fulfil together (server specification 1.7, 5.3)."""

import re
from collections.abc import Iterator

from centrifast.config.key_set_url import check_template
from centrifast.config.regex import compile_pattern
from centrifast.config.schema import TokenConfig

CLAIM = re.compile(r"[a-zA-Z_]*", re.ASCII)


def check_claim(path: str, token: TokenConfig) -> Iterator[str]:
    """The name of a claim is one; *path* is the section's."""
    if not CLAIM.fullmatch(token.user_id_claim):
        yield f"{path}.user_id_claim: use letters and underscores only"


def check_token(path: str, token: TokenConfig) -> Iterator[str]:
    """Give a sentence for each rule about patterns and key sets that is broken; these count at the start."""
    patterns = {}
    for name, text, pattern in (
        ("audience", token.audience, token.audience_regex),
        ("issuer", token.issuer, token.issuer_regex),
    ):
        if text and pattern:
            yield f"{path}.{name} and {path}.{name}_regex exclude each other"
        if pattern:
            try:
                compile_pattern(pattern)
            except ValueError as error:
                yield f"{path}.{name}_regex: {error}"
            else:
                patterns[f"{name}_regex"] = pattern
    if token.jwks_public_endpoint:
        for problem in check_template(
            token.jwks_public_endpoint,
            patterns,
            allow_free_groups=token.insecure_skip_jwks_endpoint_safety_check,
        ):
            yield f"{path}.{problem}"
