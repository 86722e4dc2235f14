"""refresh and sub_refresh: a new token before the old one runs out (client protocol 3.11, 3.12)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client.commands.credentials import connection_claims, subscription_claims
from centrifast.client.commands.expiry import time_to_live
from centrifast.errors import ClientError, Disconnect
from centrifast.protocol.wire import RefreshRequest, RefreshResult, SubRefreshRequest, SubRefreshResult

if TYPE_CHECKING:
    from centrifast.client.session import Session
    from centrifast.hub import Subscription


async def handle_refresh(session: "Session", request: RefreshRequest) -> RefreshResult:
    """Extend the connection. A token without expiration makes it permanent (server specification 5.4)."""
    if not request.token:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    claims = await connection_claims(session, request.token, expired=Disconnect(errors.CONNECTION_EXPIRED))
    if claims.user != session.user:
        raise Disconnect(errors.INVALID_TOKEN)
    if set(claims.subs) != token_channels(session):
        raise Disconnect(errors.INSUFFICIENT_STATE)  # the client comes back and gets the new set
    ttl = 0 if session.node.config.client.insecure else time_to_live(claims.expire_at, session.node.clock)
    session.expires_at = (claims.expire_at or 0) if ttl else 0
    session.conn_info = claims.info or session.conn_info
    session.schedule_wake()
    return RefreshResult(client=session.client, expires=ttl > 0, ttl=ttl)


async def handle_sub_refresh(session: "Session", request: SubRefreshRequest) -> SubRefreshResult:
    """Extend a client-side subscription. An empty channel is taken from the token: one SDK leaves it out."""
    if request.channel:
        refreshable(session, request.channel)
    elif not request.token:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if not request.token:
        raise ClientError(errors.BAD_REQUEST)
    claims = await subscription_claims(
        session, request.token, request.channel, invalid=Disconnect(errors.INVALID_TOKEN)
    )
    subscription = refreshable(session, claims.channel)
    ttl = time_to_live(claims.expire_at, session.node.clock)
    session.subscriptions[claims.channel] = subscription.refreshed(claims.info, claims.expire_at or 0)
    session.schedule_wake()
    return SubRefreshResult(expires=ttl > 0, ttl=ttl)


def refreshable(session: "Session", channel: str) -> "Subscription":
    """What the client subscribed to itself; server-side subscriptions are not its to refresh."""
    subscription = session.subscriptions.get(channel)
    if subscription is None or not subscription.started:
        raise ClientError(errors.PERMISSION_DENIED)
    if subscription.server_side:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    return subscription


def token_channels(session: "Session") -> set[str]:
    """Server-side subscriptions that the connection token asked for."""
    return {channel for channel, subscription in session.subscriptions.items() if subscription.from_token}
