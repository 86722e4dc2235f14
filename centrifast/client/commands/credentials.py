"""From a token to claims, and what a client is told when it is refused (server specification 5.4, 5.5).

Each place has its own answer to a token that is not valid, and to one whose time is over.
"""

from typing import TYPE_CHECKING

from centrifast import errors, log
from centrifast.auth.claims import (
    ConnectionClaims,
    InvalidTokenError,
    SubscriptionClaims,
    TokenExpiredError,
)
from centrifast.errors import ClientError, Disconnect

if TYPE_CHECKING:
    from centrifast.client.session import Session


async def connection_claims(
    session: "Session", token: str, *, expired: ClientError | Disconnect
) -> ConnectionClaims:
    """Verify a connection token. Raises Disconnect 3500, or *expired*."""
    try:
        claims = await session.node.tokens.verify_connection(token)
    except InvalidTokenError as invalid:
        log.info("connection token refused", client=session.client, error=str(invalid))
        raise Disconnect(errors.INVALID_TOKEN) from invalid
    except TokenExpiredError as over:
        log.info("connection token expired", client=session.client, error=str(over))
        raise expired from over
    session.check_open()
    return claims


async def subscription_claims(
    session: "Session", token: str, channel: str, *, invalid: ClientError | Disconnect
) -> SubscriptionClaims:
    """Verify a subscription token; it must be for *channel* (any, if empty), this user and this client.

    Raises *invalid*, TOKEN_EXPIRED, or Disconnect 3500 for a token that is somebody else's.
    """
    try:
        claims = await session.node.subscription_tokens.verify_subscription(token)
    except InvalidTokenError as refused:
        log.info("subscription token refused", client=session.client, channel=channel, error=str(refused))
        raise invalid from refused
    except TokenExpiredError as over:
        log.info("subscription token expired", client=session.client, channel=channel, error=str(over))
        raise ClientError(errors.TOKEN_EXPIRED) from over
    session.check_open()
    problem = mismatch(claims, session, channel)
    if problem:
        log.info("subscription token refused", client=session.client, channel=channel, error=problem)
        raise Disconnect(errors.INVALID_TOKEN)
    return claims


def mismatch(claims: SubscriptionClaims, session: "Session", channel: str) -> str:
    """What in a valid token does not fit, in words; empty if all does."""
    if channel and claims.channel != channel:
        return "the token is for another channel"
    if claims.user != session.user:
        return "the token is for another user"
    if claims.client not in ("", session.client):
        return "the token is for another client"
    return ""
