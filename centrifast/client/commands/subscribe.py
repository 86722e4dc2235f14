"""subscribe: the checks in their order, then the subscription (client protocol 3.4, server specification 4.1)."""

from typing import TYPE_CHECKING

from msgspec import Raw

from centrifast import errors, log
from centrifast.auth.claims import SubscriptionClaims
from centrifast.auth.tokens import InvalidTokenError, TokenExpiredError
from centrifast.client import permissions
from centrifast.client.commands.expiry import time_to_live
from centrifast.client.permissions import Subscribing
from centrifast.errors import ClientError, Disconnect
from centrifast.hub import Subscription
from centrifast.protocol.wire import NO_DATA, SubscribeRequest, SubscribeResult

if TYPE_CHECKING:
    from centrifast.client.session import Session

DELTA_TYPES = ("", "fossil")
PLAIN = SubscribeResult()


async def handle_subscribe(session: "Session", request: SubscribeRequest) -> SubscribeResult:
    """Subscribe the client. Raises ClientError or Disconnect; the first check that fails decides."""
    node, channel = session.node, request.channel
    if not channel or request.delta not in DELTA_TYPES:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if node.rules.is_too_long(channel):
        raise ClientError(errors.BAD_REQUEST)
    if channel in session.subscriptions:
        raise ClientError(errors.ALREADY_SUBSCRIBED)
    if len(session.subscriptions) >= node.config.client.channel_limit:
        raise ClientError(errors.LIMIT_EXCEEDED)
    decision = permissions.decide_subscribe(
        node.rules,
        channel,
        node.rules.options_of(channel),
        session.user,
        has_token=bool(request.token),
        insecure=node.config.client.insecure,
        subscription_type=request.type,
    )
    if decision is Subscribing.TOKEN_DECIDES:
        return await subscribe_with_token(session, request)
    if decision is not Subscribing.ALLOWED:
        raise ClientError(errors.NOT_AVAILABLE)  # a proxy would decide, and none is configured
    if request.tf is not None:
        raise ClientError(errors.BAD_REQUEST)
    await subscribe(session, channel, Subscription(server_side=False))
    return PLAIN


async def subscribe(session: "Session", channel: str, subscription: Subscription) -> None:
    """Make the session a subscriber; the reply must be queued before anything else is waited for."""
    await session.node.prepare_subscription(session, channel, subscription)
    session.check_open()
    if not session.node.start_subscription(session, channel, subscription):
        raise ClientError(errors.PERMISSION_DENIED)  # the server's API took it away meanwhile


async def subscribe_with_token(session: "Session", request: SubscribeRequest) -> SubscribeResult:
    """The token alone decides (server specification 5.5)."""
    claims = subscription_claims(session, request)
    ttl = time_to_live(claims.expire_at, session.node.clock)
    if request.tf is not None:
        raise ClientError(errors.BAD_REQUEST)
    expires_at = claims.expire_at or 0
    subscription = Subscription(server_side=False, chan_info=claims.info, expires_at=expires_at)
    await subscribe(session, request.channel, subscription)
    if ttl:
        session.schedule_wake()
    return SubscribeResult(expires=ttl > 0, ttl=ttl, data=Raw(claims.data) if claims.data else NO_DATA)


def subscription_claims(session: "Session", request: SubscribeRequest) -> SubscriptionClaims:
    """Claims of a token for this channel, this user and this client. Raises 103, 109 or Disconnect 3500."""
    try:
        claims = session.node.subscription_tokens.verify_subscription(request.token)
    except InvalidTokenError as invalid:
        log.info("subscription token refused", client=session.client, detail=str(invalid))
        raise ClientError(errors.PERMISSION_DENIED) from invalid
    except TokenExpiredError as expired:
        raise ClientError(errors.TOKEN_EXPIRED) from expired
    if claims.channel != request.channel or not is_for(claims, session):
        log.info("subscription token is for somebody or something else", client=session.client)
        raise Disconnect(errors.INVALID_TOKEN)
    return claims


def is_for(claims: SubscriptionClaims, session: "Session") -> bool:
    """Whether the token was made for this user and, if it names one, this connection."""
    return claims.user == session.user and claims.client in ("", session.client)
