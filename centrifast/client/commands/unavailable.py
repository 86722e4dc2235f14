"""Commands whose feature this version does not have: checked like the real ones, then answered with 108."""

from typing import TYPE_CHECKING, NoReturn

from centrifast import errors
from centrifast.errors import ClientError, Disconnect
from centrifast.protocol.wire import Command

if TYPE_CHECKING:
    from centrifast.client.session import Session


def refuse_channel_command(session: "Session", channel: str) -> NoReturn:
    """presence, presence_stats and history: the checks that come before the feature is asked for."""
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    rules = session.node.rules
    rules.check_name(rules.options_of(channel), channel)
    raise ClientError(errors.NOT_AVAILABLE)


def refuse_refresh(command: Command) -> NoReturn:
    """refresh and sub_refresh: an empty token is refused as such."""
    if command.refresh is not None and not command.refresh.token:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    if command.sub_refresh is not None and not command.sub_refresh.token:
        raise ClientError(errors.BAD_REQUEST)
    raise ClientError(errors.NOT_AVAILABLE)
