"""Connection tokens: JSON Web Tokens signed with HS256 (RFC 7515), one user each. No I/O."""

import base64
import hashlib
import hmac
import json


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(user: str, secret: str) -> str:
    """A token for *user* that does not expire: a load test may run for days, and refreshing is no part of it."""
    header = _part(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    claims = _part(json.dumps({"sub": user}, separators=(",", ":")).encode())
    signed = f"{header}.{claims}"
    return f"{signed}.{_part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def user_of(number: int, users: int) -> str:
    """User of a connection: one of *users*, in turn; 0: everybody is somebody else."""
    return f"load-{number % users if users else number}"
