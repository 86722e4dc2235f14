"""history: a part of a channel's stream (client protocol 3.8, server specification 4.4)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.client import permissions
from centrifast.engine.contract import HistoryFilter
from centrifast.errors import Disconnect
from centrifast.hub import is_subscribed
from centrifast.model import StreamPosition
from centrifast.protocol.forms import to_wire
from centrifast.protocol.wire import HistoryRequest, HistoryResult

if TYPE_CHECKING:
    from centrifast.client.session import Session


async def handle_history(session: "Session", request: HistoryRequest) -> HistoryResult:
    """Publications from a position on, at most ``client.history_max_publication_limit``, and the top."""
    node, channel = session.node, request.channel
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    permissions.check_history(
        node.rules,
        channel,
        node.rules.options_of(channel),
        session.user,
        subscribed=is_subscribed(session, channel),
        insecure=node.config.client.insecure,
    )
    since = None if request.since is None else StreamPosition(request.since.offset, request.since.epoch)
    limit = capped(request.limit, node.config.client.history_max_publication_limit)
    history = await node.history(channel, HistoryFilter(limit, since, request.reverse))
    return HistoryResult(
        [to_wire(publication) for publication in history.publications],
        history.position.epoch,
        history.position.offset,
    )


def capped(limit: int, cap: int) -> int:
    """The limit that counts; negative means everything, which a cap of 0 allows."""
    if cap <= 0:
        return limit
    return min(limit, cap) if limit >= 0 else cap
