"""connect: who is this, and what does it get (client protocol 3.3, server specification 5.1)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Raw

from centrifast import __version__, errors, log
from centrifast.auth.claims import ConnectionClaims, SubscriptionOptions
from centrifast.auth.tokens import InvalidTokenError, TokenExpiredError
from centrifast.client import permissions
from centrifast.client.commands.expiry import time_to_live
from centrifast.errors import ClientError, Disconnect
from centrifast.hub import Subscription
from centrifast.protocol.wire import NO_DATA, ConnectRequest, ConnectResult, SubscribeRequest, SubscribeResult

if TYPE_CHECKING:
    from centrifast.client.session import Session

ANONYMOUS = ConnectionClaims(user="")


async def handle_connect(session: "Session", request: ConnectRequest) -> ConnectResult:
    """Authenticate, register, make the server-side subscriptions."""
    if not session.is_connecting:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    node = session.node
    client = node.config.client
    claims = credentials(session, request.token)
    check_user(session, claims, has_token=bool(request.token))
    ttl = 0 if client.insecure else time_to_live(claims.expire_at, node.clock)
    wanted = server_side_subscriptions(session, claims, request.subs)
    if len(wanted) > client.channel_limit:
        raise Disconnect(errors.CHANNEL_LIMIT)
    prepared = await prepare_all(session, wanted, claims)
    check_user(session, claims, has_token=bool(request.token))  # again: others may have connected meanwhile
    session.become(claims.user, claims.info, (claims.expire_at or 0) if ttl else 0)
    subs = {
        channel: SubscribeResult(data=Raw(wanted[channel].data) if wanted[channel].data else NO_DATA)
        for channel, subscription in prepared.items()
        if node.start_subscription(session, channel, subscription)
    }
    return ConnectResult(
        client=session.client,
        version=f"centrifast {__version__}",
        expires=ttl > 0,
        ttl=ttl,
        subs=subs or None,
        ping=max(0, int(client.ping_interval)),
        pong=client.ping_interval > 0 and client.pong_timeout > 0,
        time=int(node.clock.unix() * 1000) if client.connect_include_server_time else 0,
    )


def check_user(session: "Session", claims: ConnectionClaims, *, has_token: bool) -> None:
    """Refuse an anonymous token where those are not wanted, and a user with too many connections."""
    client = session.node.config.client
    if has_token and not claims.user and client.disallow_anonymous_connection_tokens:
        raise Disconnect(errors.PERMISSION_DENIED_DISCONNECT)
    if claims.user and 0 < client.user_connection_limit <= session.node.hub.count_of(claims.user):
        raise Disconnect(errors.CONNECTION_LIMIT)


async def prepare_all(
    session: "Session", wanted: Mapping[str, SubscriptionOptions], claims: ConnectionClaims
) -> dict[str, Subscription]:
    """Prepare the server-side subscriptions; nothing of them may be pushed before the connect reply."""
    prepared = {}
    for channel, options in wanted.items():
        subscription = Subscription(
            server_side=True, chan_info=options.info, from_token=channel in claims.subs
        )
        await session.node.prepare_subscription(session, channel, subscription)
        session.check_open()
        prepared[channel] = subscription
    return prepared


def credentials(session: "Session", token: str) -> ConnectionClaims:
    """The claims of the token, or the anonymous user where that is allowed."""
    client = session.node.config.client
    if token:
        try:
            return session.node.tokens.verify_connection(token)
        except InvalidTokenError as invalid:
            log.info("connection token refused", client=session.client, detail=str(invalid))
            raise Disconnect(errors.INVALID_TOKEN) from invalid
        except TokenExpiredError as expired:
            raise ClientError(errors.TOKEN_EXPIRED) from expired
    if client.allow_anonymous_connect_without_token or client.insecure:
        return ANONYMOUS
    raise Disconnect(errors.BAD_REQUEST_DISCONNECT)


def server_side_subscriptions(
    session: "Session", claims: ConnectionClaims, own: Mapping[str, SubscribeRequest]
) -> dict[str, SubscriptionOptions]:
    """Channels of the token, and those of the client's own list that it could subscribe to (client protocol 8.1).

    Raises UNKNOWN_CHANNEL for the token's, Disconnect 3501 for the client's own.
    """
    rules = session.node.rules
    wanted = dict(claims.subs)
    for channel in wanted:
        rules.options_of(channel)
    for channel in own:
        if channel in wanted:
            continue
        try:
            options = rules.options_of(channel)
        except ClientError as unknown:
            raise Disconnect(errors.BAD_REQUEST_DISCONNECT) from unknown
        if permissions.may_have_at_connect(
            rules, channel, options, claims.user, insecure=session.node.config.client.insecure
        ):
            wanted[channel] = SubscriptionOptions()
    return wanted


def start_timers(session: "Session") -> None:
    """Pings begin after half to a whole interval, so that they spread evenly (client protocol 4.1)."""
    client = session.node.config.client
    if client.ping_interval > 0:
        first = client.ping_interval * (0.5 + session.node.clock.random() / 2)
        session.sink.start_pings(first, client.ping_interval, max(0.0, client.pong_timeout))
