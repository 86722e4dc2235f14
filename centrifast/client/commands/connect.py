"""connect: who is this, and what does it get (client protocol 3.3, server specification 5.1)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Raw, Struct
from msgspec.structs import replace

from centrifast import __version__, eager, errors, log
from centrifast.auth.claims import ConnectionClaims, SubscriptionOptions
from centrifast.client import permissions
from centrifast.client.commands.credentials import connection_claims
from centrifast.client.commands.expiry import time_to_live
from centrifast.client.commands.results import subscribe_result
from centrifast.errors import ClientError, Disconnect
from centrifast.hub import Subscription
from centrifast.model import StreamPosition
from centrifast.protocol.wire import ConnectRequest, ConnectResult, SubscribeRequest, SubscribeResult
from centrifast.subscription_rules import Wishes, make_subscription, resume_of
from centrifast.subscriptions import Resume

if TYPE_CHECKING:
    from centrifast.client.session import Session

ANONYMOUS = ConnectionClaims(user="")
NO_REQUEST = SubscribeRequest()
NO_OPTIONS = SubscriptionOptions()


class Wanted(Struct, frozen=True):
    """A server-side subscription to be made."""

    subscription: Subscription
    resume: Resume | None
    data: bytes
    was_recovering: bool


async def handle_connect(session: "Session", request: ConnectRequest) -> ConnectResult:
    """Authenticate, register, make the server-side subscriptions."""
    if not session.is_connecting:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    node = session.node
    client = node.config.client
    session.meter = node.metrics.meter_of(
        session.sink.variant.transport, named=bool(request.name), versioned=bool(request.version)
    )
    claims = await credentials(session, request.token)
    elsewhere = await connections_elsewhere(session, claims.user)
    check_user(session, claims, elsewhere, has_token=bool(request.token))
    ttl = 0 if client.insecure else time_to_live(claims.expire_at, node.clock)
    session.user, session.conn_info = claims.user, claims.info
    session.expires_at = (claims.expire_at or 0) if ttl else 0
    wanted = server_side_subscriptions(session, claims, request.subs)
    await leave_one_connection(session)
    await prepare_all(session, wanted)
    check_user(
        session, claims, elsewhere, has_token=bool(request.token)
    )  # others may have connected meanwhile
    session.become_connected()
    return ConnectResult(
        client=session.client,
        version=f"centrifast {__version__}",
        expires=ttl > 0,
        ttl=ttl,
        subs=start_all(session, wanted) or None,
        ping=max(0, int(client.ping_interval)),
        pong=client.ping_interval > 0 and client.pong_timeout > 0,
        time=int(node.clock.unix() * 1000) if client.connect_include_server_time else 0,
    )


async def connections_elsewhere(session: "Session", user: str) -> int:
    """How many connections the user has on other nodes, if that matters. Raises INTERNAL."""
    if not user or session.node.config.client.user_connection_limit <= 0:
        return 0
    count = await session.node.control.count_elsewhere(user)
    session.check_open()
    return count


def check_user(session: "Session", claims: ConnectionClaims, elsewhere: int, *, has_token: bool) -> None:
    """Refuse an anonymous token where those are not wanted, and a user with too many connections."""
    client = session.node.config.client
    if has_token and not claims.user and client.disallow_anonymous_connection_tokens:
        raise Disconnect(errors.PERMISSION_DENIED_DISCONNECT)
    count = session.node.hub.count_of(claims.user) + elsewhere
    if claims.user and 0 < client.user_connection_limit <= count:
        raise Disconnect(errors.CONNECTION_LIMIT)


async def credentials(session: "Session", token: str) -> ConnectionClaims:
    """The claims of the token, or the anonymous user where that is allowed, or the user a trusted proxy names."""
    client = session.node.config.client
    if token:
        return await connection_claims(session, token, expired=ClientError(errors.TOKEN_EXPIRED))
    if client.allow_anonymous_connect_without_token or client.insecure:
        return ANONYMOUS
    if session.header_user:
        return ConnectionClaims(user=session.header_user)
    raise Disconnect(errors.BAD_REQUEST_DISCONNECT)


# ------------------------------------------------- server-side subscriptions


def server_side_subscriptions(
    session: "Session", claims: ConnectionClaims, own: Mapping[str, SubscribeRequest]
) -> dict[str, Wanted]:
    """Channels of the token, the personal one, and those of the client's own list that it could subscribe to.

    Raises UNKNOWN_CHANNEL for the first two, Disconnect 3501 for the client's own (client protocol 8.1); Disconnect
    3505 if they are too many, of which there can be 6,000 in one frame.
    """
    limit = session.node.config.client.channel_limit
    wanted = {
        channel: make_wanted(session, channel, options, own.get(channel, NO_REQUEST), from_token=True)
        for channel, options in claims.subs.items()
    }
    personal = personal_channel(session)
    if personal and personal not in wanted:
        wanted[personal] = make_wanted(session, personal, NO_OPTIONS, own.get(personal, NO_REQUEST))
    for channel, request in own.items():
        if len(wanted) > limit:
            break
        if channel and channel not in wanted and may_have(session, channel):
            wanted[channel] = make_wanted(session, channel, NO_OPTIONS, request)
    if len(wanted) > limit:
        raise Disconnect(errors.CHANNEL_LIMIT)
    return wanted


def may_have(session: "Session", channel: str) -> bool:
    """Whether a channel of the client's own list is granted. Raises Disconnect 3501 for an unknown namespace."""
    rules = session.node.rules
    try:
        options = rules.options_of(channel)
    except ClientError as unknown:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT) from unknown
    insecure = session.node.config.client.insecure
    return permissions.may_have_at_connect(rules, channel, options, session.user, insecure=insecure)


def make_wanted(
    session: "Session",
    channel: str,
    given: SubscriptionOptions,
    request: SubscribeRequest,
    *,
    from_token: bool = False,
) -> Wanted:
    """What the server's options make of a channel; of the client's own request only position and delta count."""
    options = session.node.rules.options_of(channel)
    subscription = make_subscription(
        options,
        given.override,
        Wishes(delta=request.delta == "fossil"),
        server_side=True,
        chan_info=given.info,
        from_token=from_token,
    )
    position = StreamPosition(request.offset, request.epoch) if request.recover else None
    resume = resume_of(options, subscription, position)
    return Wanted(subscription, resume, given.data, request.recover or resume is not None)


async def prepare_all(session: "Session", wanted: Mapping[str, Wanted]) -> None:
    """Prepare the server-side subscriptions together. One failure fails them all; the session then lets go of them."""
    node = session.node
    requests = [
        node.subscriptions.prepare(
            session,
            channel,
            want.subscription,
            node.histories.of(node.rules.options_of(channel)),
            want.resume,
        )
        for channel, want in wanted.items()
    ]
    try:
        await eager.all_of(requests)
    except BaseException:
        for channel in tuple(session.subscriptions):
            node.subscriptions.remove(session, channel, deliver=False)
        raise
    session.check_open()


def start_all(session: "Session", wanted: Mapping[str, Wanted]) -> dict[str, SubscribeResult]:
    """Start what was prepared, in the step that queues the answer."""
    node = session.node
    results = {}
    for channel, want in wanted.items():
        recovery = node.subscriptions.start(session, channel, want.subscription)
        assert recovery is not None, "nobody can take it away before the hub knows the client"
        result = subscribe_result(
            session.codec,
            node.recovered,
            channel,
            want.subscription,
            recovery,
            want.resume,
            was_recovering=want.was_recovering,
        )
        results[channel] = replace(result, data=Raw(want.data)) if want.data else result
    return results


# ----------------------------------------------------------- personal channel


def personal_channel(session: "Session") -> str:
    """The channel that every connection of the user is subscribed to; empty if there is none (3.6)."""
    personal = session.node.config.client.subscribe_to_user_personal_channel
    if not personal.enabled or not session.user:
        return ""
    return session.node.rules.personal_channel(personal.personal_channel_namespace, session.user)


async def leave_one_connection(session: "Session") -> None:
    """With ``single_connection`` the user's others are disconnected (3504). Raises Disconnect 3004."""
    channel = personal_channel(session)
    node = session.node
    if not channel or not node.config.client.subscribe_to_user_personal_channel.single_connection:
        return
    try:
        stats = await node.presence_stats(channel)
    except ClientError as unknown:
        log.error("single connection can not be enforced", client=session.client, error=str(unknown))
        raise Disconnect(errors.INTERNAL_SERVER_ERROR) from unknown
    session.check_open()
    if stats.num_clients:
        await node.disconnect(session.user, whitelist=[session.client], disconnect=errors.CONNECTION_LIMIT)
        session.check_open()


def start_timers(session: "Session") -> None:
    """Pings begin after half to a whole interval, so that they spread evenly (client protocol 4.1)."""
    client = session.node.config.client
    if client.ping_interval > 0:
        first = client.ping_interval * (0.5 + session.node.clock.random() / 2)
        session.sink.start_pings(first, client.ping_interval, max(0.0, client.pong_timeout))
