"""subscribe: the checks in their order, then the subscription (client protocol 3.4, server specification 4.1)."""

from typing import TYPE_CHECKING

from msgspec import Raw
from msgspec.structs import replace

from centrifast import errors
from centrifast.auth.claims import SubscriptionClaims
from centrifast.client import permissions
from centrifast.client.commands.credentials import subscription_claims
from centrifast.client.commands.expiry import time_to_live
from centrifast.client.commands.results import subscribe_result
from centrifast.client.permissions import Subscribing
from centrifast.config.schema import ChannelOptions
from centrifast.errors import ClientError, Disconnect
from centrifast.model import StreamPosition
from centrifast.protocol.tags_filter import TagsFilter, compile_filter
from centrifast.protocol.wire import NO_DATA, SubscribeRequest, SubscribeResult
from centrifast.subscription_rules import REJECT_UNRECOVERED, Wishes, make_subscription, resume_of

if TYPE_CHECKING:
    from centrifast.client.session import Session

DELTA_TYPES = ("", "fossil")
SHARED_POLL = 4
"""``SubscribeRequest.type`` of shared polls (client protocol 9.4)."""


async def handle_subscribe(session: "Session", request: SubscribeRequest) -> SubscribeResult:
    """Subscribe the client. Raises ClientError or Disconnect; the first check that fails decides."""
    node, channel = session.node, request.channel
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if request.type == SHARED_POLL:
        raise ClientError(errors.NOT_AVAILABLE)  # no channel here is one
    if request.delta not in DELTA_TYPES:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if node.rules.is_too_long(channel):
        raise ClientError(errors.BAD_REQUEST)
    check_room(session, channel)
    options = node.rules.options_of(channel)
    decision = permissions.decide_subscribe(
        node.rules,
        channel,
        options,
        session.user,
        has_token=bool(request.token),
        insecure=node.config.client.insecure,
        subscription_type=request.type,
    )
    claims = None
    if decision is Subscribing.TOKEN_DECIDES:
        claims = await subscription_claims(
            session, request.token, channel, invalid=ClientError(errors.PERMISSION_DENIED)
        )
        check_room(session, channel)  # again: with concurrency others may have come in between
    elif decision is not Subscribing.ALLOWED:
        raise ClientError(errors.NOT_AVAILABLE)  # a proxy would decide, and none is configured
    ttl = time_to_live(claims.expire_at, node.clock) if claims is not None else 0
    result = await subscribe(session, request, options, claims)
    if claims is None:
        return result
    data = Raw(claims.data) if claims.data else NO_DATA
    return replace(result, expires=ttl > 0, ttl=ttl, data=data)


def check_room(session: "Session", channel: str) -> None:
    """Refuse a channel that is held already, and one too many."""
    if channel in session.subscriptions:
        raise ClientError(errors.ALREADY_SUBSCRIBED)
    if len(session.subscriptions) >= session.node.config.client.channel_limit:
        raise ClientError(errors.LIMIT_EXCEEDED)


async def subscribe(
    session: "Session", request: SubscribeRequest, options: ChannelOptions, claims: SubscriptionClaims | None
) -> SubscribeResult:
    """Make the session a subscriber; the reply must be queued before anything else is waited for."""
    node, channel = session.node, request.channel
    wishes = wishes_of(session, request, options)
    if claims is None:
        subscription = make_subscription(options, wishes=wishes, server_side=False)
    else:
        subscription = make_subscription(
            options,
            claims.override,
            wishes,
            server_side=False,
            chan_info=claims.info,
            expires_at=claims.expire_at or 0,
        )
    position = StreamPosition(request.offset, request.epoch) if request.recover else None
    or_fail = bool(request.flag & REJECT_UNRECOVERED)
    resume = resume_of(options, subscription, position, or_fail=or_fail)
    await node.subscriptions.prepare(session, channel, subscription, node.histories.of(options), resume)
    session.check_open()
    recovery = node.subscriptions.start(session, channel, subscription)
    if recovery is None:
        raise ClientError(errors.PERMISSION_DENIED)  # the server's API took it away meanwhile
    if subscription.expires_at or (subscription.presence and not session.refresh_at):
        session.schedule_wake()
    return subscribe_result(
        session.codec,
        node.recovered,
        channel,
        subscription,
        recovery,
        resume,
        was_recovering=request.recover or resume is not None,
    )


def wishes_of(session: "Session", request: SubscribeRequest, options: ChannelOptions) -> Wishes:
    """What the client asks for and may have; the rest is ignored. Raises BAD_REQUEST for a filter it may not have."""
    user, insecure = session.user, session.node.config.client.insecure
    return Wishes(
        positioned=request.positioned and permissions.may_position(options, user, insecure=insecure),
        recoverable=request.recoverable and permissions.may_recover(options, user, insecure=insecure),
        join_leave=request.join_leave and permissions.may_see_join_leave(options, user, insecure=insecure),
        delta=bool(request.delta),
        filter=filter_of(request, options),
    )


def filter_of(request: SubscribeRequest, options: ChannelOptions) -> TagsFilter | None:
    """The tags filter; refused where the namespace has none, and together with deltas (client protocol 13)."""
    if request.tf is None:
        return None
    if not options.allow_tags_filter or request.delta:
        raise ClientError(errors.BAD_REQUEST)
    try:
        return compile_filter(request.tf)
    except ValueError as invalid:
        raise ClientError(errors.BAD_REQUEST) from invalid
