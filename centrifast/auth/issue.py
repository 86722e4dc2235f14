"""Make tokens: for the command line and for tests; a running server never does."""

import base64
from collections.abc import Mapping

import msgspec

from centrifast.auth.keys import HMAC_ALGORITHMS


def issue_token(claims: Mapping[str, object], secret: str, algorithm: str = "HS256") -> str:
    """Return a token with these claims, signed with an HMAC of *secret*."""
    header = {"alg": algorithm, "typ": "JWT"}
    signing_input = b".".join(_encode(msgspec.json.encode(part)) for part in (header, claims))
    signature = HMAC_ALGORITHMS[algorithm].sign(signing_input, secret.encode())
    return (signing_input + b"." + _encode(signature)).decode()


def _encode(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")
