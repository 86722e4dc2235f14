"""presence and presence_stats: who is in a channel (client protocol 3.7, server specification 4.3)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client import permissions
from centrifast.errors import Disconnect
from centrifast.hub import is_subscribed
from centrifast.protocol.forms import info_to_wire
from centrifast.protocol.wire import (
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
)

if TYPE_CHECKING:
    from centrifast.client.session import Session


async def handle_presence(session: "Session", request: PresenceRequest) -> PresenceResult:
    """Everybody in the channel, by client id."""
    check(session, request.channel)
    infos = await session.node.presence(request.channel)
    return PresenceResult({client: info_to_wire(info) for client, info in infos.items()})


async def handle_presence_stats(session: "Session", request: PresenceStatsRequest) -> PresenceStatsResult:
    """How many clients and users are in the channel."""
    check(session, request.channel)
    stats = await session.node.presence_stats(request.channel)
    return PresenceStatsResult(stats.num_clients, stats.num_users)


def check(session: "Session", channel: str) -> None:
    """Let through who may see who is there. Raises 102, 107, 108, 103 in this order."""
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    node = session.node
    permissions.check_presence(
        node.rules,
        channel,
        node.rules.options_of(channel),
        session.user,
        subscribed=is_subscribed(session, channel),
        insecure=node.config.client.insecure,
    )
