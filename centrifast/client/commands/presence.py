"""presence and presence_stats: who is in a channel (client protocol 3.7, server specification 4.3)."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client import permissions
from centrifast.errors import Disconnect
from centrifast.hub import is_subscribed
from centrifast.limits import INFOS_AT_ONCE
from centrifast.model import ClientInfo
from centrifast.protocol.codec import NotJsonError
from centrifast.protocol.forms import info_to_wire
from centrifast.protocol.wire import (
    EncodedPresence,
    Info,
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
    if len(infos) <= INFOS_AT_ONCE:
        return PresenceResult(to_wire(infos))
    return PresenceResult(await encoded(session, infos))


def to_wire(infos: Mapping[str, ClientInfo]) -> dict[str, Info]:
    return {client: info_to_wire(info) for client, info in infos.items()}


async def encoded(session: "Session", infos: Mapping[str, ClientInfo]) -> EncodedPresence:
    """Encode a long answer with turns of the loop in between: 100,000 clients are 150 ms of work (invariant 7).

    Raises Disconnect 3506 for a JSON client if an info is no JSON (client protocol 2.4).
    """
    codec = session.codec
    parts: list[bytes] = []
    left = iter(infos.items())
    while part := dict(islice(left, INFOS_AT_ONCE)):
        try:
            parts.append(codec.encode_infos(to_wire(part)))
        except NotJsonError as binary:
            raise Disconnect(errors.INAPPROPRIATE_PROTOCOL) from binary
        await asyncio.sleep(0)
        session.check_open()
    return codec.encode_presence(parts)


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
