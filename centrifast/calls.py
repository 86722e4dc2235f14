"""What nodes ask of each other (``control``): each call is one struct, sent as MessagePack."""

from collections.abc import Sequence

import msgspec

from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.model import StreamPosition


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The connections of *user*, or one of them."""

    user: str
    client: str = ""
    session: str = ""


class SubscribeCall(Target, frozen=True, kw_only=True):
    """See ``Control.subscribe``."""

    channel: str
    info: bytes = b""
    data: bytes = b""
    expire_at: int = 0
    override: SubscriptionOverride = NO_OVERRIDE
    recover_since: StreamPosition | None = None


class UnsubscribeCall(Target, frozen=True, kw_only=True):
    """See ``Control.unsubscribe``."""

    channel: str


class DisconnectCall(Target, frozen=True, kw_only=True):
    """See ``Control.disconnect``."""

    code: int
    reason: str
    whitelist: Sequence[str] = ()


class RefreshCall(Target, frozen=True, kw_only=True):
    """See ``Control.refresh``."""

    expired: bool = False
    expire_at: int = 0
    info: bytes = b""


class ChannelsCall(msgspec.Struct, frozen=True):
    """See ``Control.channels``."""

    pattern: str


class InfoCall(msgspec.Struct, frozen=True):
    """See ``Control.info``."""


class MetricsCall(msgspec.Struct, frozen=True):
    """See ``Control.metrics``."""


class CountCall(msgspec.Struct, frozen=True):
    """See ``Control.count_elsewhere``."""

    user: str


class StatsCall(msgspec.Struct, frozen=True):
    """See ``Control.stats``."""

    slow: int
