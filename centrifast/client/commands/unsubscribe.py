"""unsubscribe: always succeeds (client protocol 3.5)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.errors import Disconnect
from centrifast.protocol.wire import UnsubscribeRequest, UnsubscribeResult

if TYPE_CHECKING:
    from centrifast.client.session import Session

DONE = UnsubscribeResult()


def handle_unsubscribe(session: "Session", request: UnsubscribeRequest) -> UnsubscribeResult:
    """Leave the channel; SDKs reconnect if this fails, so not being subscribed is fine."""
    if not request.channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if request.channel in session.subscriptions:
        session.node.subscriptions.remove(session, request.channel, deliver=True)
    return DONE
