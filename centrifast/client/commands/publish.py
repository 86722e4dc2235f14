"""publish: a client's own publication (client protocol 3.6, server specification 4.2)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client import permissions
from centrifast.client.permissions import Publishing
from centrifast.errors import ClientError, Disconnect
from centrifast.hub import is_subscribed
from centrifast.protocol.wire import PublishRequest, PublishResult

if TYPE_CHECKING:
    from centrifast.client.session import Session

DONE = PublishResult()


async def handle_publish(session: "Session", request: PublishRequest) -> PublishResult:
    """Hand the publication to the engine, with the publisher's info."""
    node, channel = session.node, request.channel
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    data = bytes(request.data)
    decision = permissions.decide_publish(
        node.rules,
        channel,
        node.rules.options_of(channel),
        session.user,
        data,
        subscribed=is_subscribed(session, channel),
        insecure=node.config.client.insecure,
    )
    if decision is not Publishing.ALLOWED:
        raise ClientError(errors.NOT_AVAILABLE)  # a proxy would decide, and none is configured
    await node.publish(channel, data, info=session.info(channel))
    return DONE
