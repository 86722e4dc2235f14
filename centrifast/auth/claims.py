"""What a verified token says (server specification 5.2, 5.5), or why it is not believed."""

from collections.abc import Mapping

import msgspec

from centrifast.errors import INTERNAL, ClientError


class InvalidTokenError(Exception):
    """The token can not be believed. The text is for the log: it never holds the token or parts of it."""


class TokenExpiredError(Exception):
    """The token is genuine, but its time is over or has not come; the text names the claim, ``exp`` or ``nbf``."""


class KeysUnavailableError(ClientError):
    """There is no telling now whether the token is genuine: its key can not be fetched.

    Answered with the temporary error 100, so that clients try again (server specification 5.3, decision b).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(INTERNAL)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class SubscriptionOverride(msgspec.Struct, frozen=True, gc=False):
    """Options of one subscription in place of the namespace's; None leaves the namespace's."""

    presence: bool | None = None
    join_leave: bool | None = None
    force_push_join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None


NO_OVERRIDE = SubscriptionOverride()


class SubscriptionOptions(msgspec.Struct, frozen=True, gc=False):
    """How one subscription is made: *info* becomes ``chan_info``, *data* goes into the result."""

    info: bytes = b""
    data: bytes = b""
    override: SubscriptionOverride = NO_OVERRIDE


class ConnectionClaims(msgspec.Struct, frozen=True):
    """A connection token. *expire_at* is when the connection expires, in Unix seconds; None = never.

    *subs* holds the server-side subscriptions of both claims, ``subs`` or else ``channels``.
    """

    user: str
    expire_at: int | None = None
    info: bytes = b""
    subs: Mapping[str, SubscriptionOptions] = {}
    meta: bytes = b""


class SubscriptionClaims(msgspec.Struct, frozen=True):
    """A subscription token. An empty *client* binds it to no connection; *expire_at* as above."""

    user: str
    channel: str
    client: str = ""
    expire_at: int | None = None
    info: bytes = b""
    data: bytes = b""
    override: SubscriptionOverride = NO_OVERRIDE
