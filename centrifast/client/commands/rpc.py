"""rpc: calls to the application's backend, of which the server itself has one at most (server specification 4.5)."""

from typing import TYPE_CHECKING

from centrifast import errors
from centrifast.errors import ClientError
from centrifast.protocol.wire import RPCRequest, RPCResult

if TYPE_CHECKING:
    from centrifast.client.session import Session


def handle_rpc(session: "Session", request: RPCRequest) -> RPCResult:
    """Answer the built-in ping if it is enabled; without a proxy nothing else exists."""
    ping = session.node.config.rpc.ping
    if not ping.enabled:
        raise ClientError(errors.NOT_AVAILABLE)
    if request.method != ping.method:
        raise ClientError(errors.METHOD_NOT_FOUND)
    return RPCResult()
