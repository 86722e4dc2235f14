"""What the commands that make or check tokens share: texts, and which settings apply."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import click

from centrifast.auth.issue import issue_token
from centrifast.auth.keys import PUBLIC_KEY_ALGORITHMS, StaticKeys
from centrifast.auth.tokens import InvalidTokenError, TokenExpiredError, TokenVerifier
from centrifast.cli.command import fail
from centrifast.clock import SystemClock
from centrifast.config.duration import format_duration
from centrifast.config.schema import ClientConfig, TokenConfig
from centrifast.errors import ClientError

C = TypeVar("C")

DEFAULT_TTL = 7 * 24 * 3600
"""Seconds."""

NO_EXPIRATION = -1


def subscription_settings(client: ClientConfig) -> TokenConfig:
    """Return the settings of subscription tokens."""
    return client.subscription_token if client.subscription_token.enabled else client.token


def make_token(settings: TokenConfig, user: str, ttl: int, extra: Mapping[str, object]) -> str:
    """Return a token for a user (empty = anonymous) that lives *ttl* seconds; 0 or less sets no end."""
    if not settings.hmac_secret_key:
        fail("error: no HMAC secret key set")
    now = int(time.time())
    claims: dict[str, object] = {"sub": user} if user else {}
    claims.update(extra)
    if ttl > 0:
        claims["exp"] = now + ttl
    claims["iat"] = now
    return issue_token(claims, settings.hmac_secret_key)


def user_text(user: str) -> str:
    """Name a user in a sentence."""
    return f'user "{user}"' if user else "anonymous user"


def expiration_text(ttl: int) -> str:
    """Say how long a token lives."""
    return "without expiration" if ttl < 0 else f"with expiration TTL {format_duration(ttl)}"


def check_token(
    client: ClientConfig, settings: TokenConfig, token: str, verify: Callable[[TokenVerifier], Awaitable[C]]
) -> C:
    """Verify a token with the configured keys, or end the command saying why it is refused."""
    log_algorithms(settings)
    try:
        header, payload = part_text(token, 0), payload_text(token)
        algorithm = json.loads(header)["alg"]
    except (ValueError, IndexError, KeyError, TypeError):
        fail("error: token format is not valid")
    subject = f"error: token with algorithm {algorithm} and claims {payload} has error"
    skip_signature = client.insecure_skip_token_signature_verify

    async def claims() -> C:
        clock = SystemClock(asyncio.get_running_loop())
        verifier = TokenVerifier(settings, skip_signature=skip_signature, clock=clock)
        try:
            return await verify(verifier)
        finally:
            await verifier.close()

    try:
        return asyncio.run(claims())
    except TokenExpiredError:
        fail(f"{subject}: token expired")
    except (InvalidTokenError, ClientError, ValueError) as error:
        fail(f"{subject}: {error}")


def log_algorithms(settings: TokenConfig) -> None:
    """Say on standard error, as a line of the log, which algorithms have a key."""
    line = {
        "level": "info",
        "algorithms": ", ".join(enabled_algorithms(settings)) or "none",
        "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "message": "enabled token algorithms",
    }
    click.echo(json.dumps(line), err=True)


def enabled_algorithms(settings: TokenConfig) -> tuple[str, ...]:
    """Return the algorithms that a token may be signed with; none if a key can not be used."""
    if settings.jwks_public_endpoint:
        return tuple(sorted(PUBLIC_KEY_ALGORITHMS))
    try:
        return StaticKeys(settings).algorithms
    except ValueError:  # told by the check itself
        return ()


def payload_text(token: str) -> str:
    """Return the claims of a token as they were written."""
    return part_text(token, 1)


def part_text(token: str, index: int) -> str:
    """Decode one of the parts a token has between its dots."""
    part = token.split(".")[index]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
