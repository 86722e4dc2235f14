"""Commands whose feature this version does not have: checked like the real ones, then answered with 108."""

from typing import TYPE_CHECKING, NoReturn

from centrifast import errors
from centrifast.errors import ClientError, Disconnect

if TYPE_CHECKING:
    from centrifast.client.session import Session


def refuse_channel_command(session: "Session", channel: str) -> NoReturn:
    """presence, presence_stats and history: the checks that come before the feature is asked for."""
    if not channel:
        raise Disconnect(errors.BAD_REQUEST_DISCONNECT)
    rules = session.node.rules
    rules.check_name(rules.options_of(channel), channel)
    raise ClientError(errors.NOT_AVAILABLE)
