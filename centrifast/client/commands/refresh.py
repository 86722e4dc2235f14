"""refresh and sub_refresh: a new token before the old one runs out (client protocol 3.11, 3.12)."""

from typing import TYPE_CHECKING

from centrifast import errors, log
from centrifast.auth.tokens import InvalidTokenError, TokenExpiredError
from centrifast.client.commands.expiry import time_to_live
from centrifast.client.commands.subscribe import is_for
from centrifast.errors import ClientError, Disconnect
from centrifast.hub import Subscription
from centrifast.protocol.wire import RefreshRequest, RefreshResult, SubRefreshRequest, SubRefreshResult

if TYPE_CHECKING:
    from centrifast.client.session import Session


def handle_refresh(session: "Session", request: RefreshRequest) -> RefreshResult:
    """Extend the connection. A token without expiration makes it permanent (server specification 5.4)."""
    if not request.token:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    try:
        claims = session.node.tokens.verify_connection(request.token)
    except InvalidTokenError as invalid:
        log.info("connection token refused", client=session.client, detail=str(invalid))
        raise Disconnect(errors.INVALID_TOKEN) from invalid
    except TokenExpiredError as expired:
        raise Disconnect(errors.CONNECTION_EXPIRED) from expired
    if claims.user != session.user:
        raise Disconnect(errors.INVALID_TOKEN)
    if set(claims.subs) != session.token_channels():
        raise Disconnect(errors.INSUFFICIENT_STATE)  # the client comes back and gets the new set
    ttl = 0 if session.node.config.client.insecure else time_to_live(claims.expire_at, session.node.clock)
    session.expires_at = (claims.expire_at or 0) if ttl else 0
    session.conn_info = claims.info or session.conn_info
    session.schedule_wake()
    return RefreshResult(client=session.client, expires=ttl > 0, ttl=ttl)


def handle_sub_refresh(session: "Session", request: SubRefreshRequest) -> SubRefreshResult:
    """Extend a client-side subscription. An empty channel is taken from the token: one SDK leaves it out."""
    if request.channel:
        check_refreshable(session, request.channel)
    elif not request.token:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if not request.token:
        raise ClientError(errors.BAD_REQUEST)
    try:
        claims = session.node.subscription_tokens.verify_subscription(request.token)
    except InvalidTokenError as invalid:
        log.info("subscription token refused", client=session.client, detail=str(invalid))
        raise Disconnect(errors.INVALID_TOKEN) from invalid
    except TokenExpiredError as expired:
        raise ClientError(errors.TOKEN_EXPIRED) from expired
    if request.channel not in ("", claims.channel) or not is_for(claims, session):
        raise Disconnect(errors.INVALID_TOKEN)
    check_refreshable(session, claims.channel)
    ttl = time_to_live(claims.expire_at, session.node.clock)
    refreshed = Subscription(server_side=False, chan_info=claims.info, expires_at=claims.expire_at or 0)
    refreshed.started = True
    session.subscriptions[claims.channel] = refreshed
    session.schedule_wake()
    return SubRefreshResult(expires=ttl > 0, ttl=ttl)


def check_refreshable(session: "Session", channel: str) -> None:
    """Let through what the client subscribed to itself; server-side subscriptions are not its to refresh."""
    subscription = session.subscriptions.get(channel)
    if subscription is None:
        raise ClientError(errors.PERMISSION_DENIED)
    if subscription.server_side:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
