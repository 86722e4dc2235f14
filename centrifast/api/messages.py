"""Requests and results of the server API as values, fields in the order of server specification 6.8.

Requests refuse unknown fields: that is how ``api/decoding.py`` notices that a name may only be spelled in
another case. Results leave out empty members, except those without a default (6.3). How they are written, and
what becomes of the values of the domain in them, says ``api/encoding.py``.
"""

from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct

from centrifast.metrics.snapshot import NodeStats
from centrifast.model import ClientInfo, NodeInfo, Publication
from centrifast.protocol.wire import NO_DATA, Int32, Int64, UInt32, UInt64, check_offset


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What a call carries; every field may be missing, and is checked by its method."""


class PublishRequest(Request, frozen=True):
    channel: str = ""
    data: Raw = NO_DATA
    b64data: str = ""
    skip_history: bool = False
    tags: Mapping[str, str] = {}
    idempotency_key: str = ""
    delta: bool = False
    version: UInt64 = 0
    version_epoch: str = ""

    def __post_init__(self) -> None:
        if self.version:
            check_offset(self.version)


class BroadcastRequest(Request, frozen=True):
    channels: Sequence[str] = ()
    data: Raw = NO_DATA
    b64data: str = ""
    skip_history: bool = False
    tags: Mapping[str, str] = {}
    idempotency_key: str = ""
    delta: bool = False
    version: UInt64 = 0
    version_epoch: str = ""

    def __post_init__(self) -> None:
        if self.version:
            check_offset(self.version)


class Position(Request, frozen=True):
    """A place in a stream, as the caller knows it."""

    offset: UInt64 = 0
    epoch: str = ""

    def __post_init__(self) -> None:
        check_offset(self.offset)


class BoolValue(Request, frozen=True):
    """A switch that was set, to either side."""

    value: bool = False


class SubscribeOverride(Request, frozen=True):
    """Options of the namespace that one subscription has otherwise."""

    presence: BoolValue | None = None
    join_leave: BoolValue | None = None
    force_recovery: BoolValue | None = None
    force_positioning: BoolValue | None = None
    force_push_join_leave: BoolValue | None = None


class SubscribeRequest(Request, frozen=True):
    channel: str = ""
    user: str = ""
    expire_at: Int64 = 0
    info: Raw = NO_DATA
    b64info: str = ""
    client: str = ""
    data: Raw = NO_DATA
    b64data: str = ""
    recover_since: Position | None = None
    override: SubscribeOverride | None = None
    session: str = ""


class UnsubscribeRequest(Request, frozen=True):
    channel: str = ""
    user: str = ""
    client: str = ""
    session: str = ""


class DisconnectReason(Request, frozen=True):
    """What the close frame shall say."""

    code: UInt32 = 0
    reason: str = ""


class DisconnectRequest(Request, frozen=True):
    user: str = ""
    disconnect: DisconnectReason | None = None
    client: str = ""
    whitelist: Sequence[str] = ()
    session: str = ""


class RefreshRequest(Request, frozen=True):
    user: str = ""
    client: str = ""
    expired: bool = False
    expire_at: Int64 = 0
    info: Raw = NO_DATA
    session: str = ""


class ChannelRequest(Request, frozen=True):
    """Of presence, presence_stats and history_remove."""

    channel: str = ""


class HistoryRequest(Request, frozen=True):
    channel: str = ""
    limit: Int32 = 0
    since: Position | None = None
    reverse: bool = False


class InfoRequest(Request, frozen=True):
    pass


class StatsRequest(Request, frozen=True):
    slow: Int32 = 0


class RpcRequest(Request, frozen=True):
    method: str = ""
    params: Raw = NO_DATA


class ChannelsRequest(Request, frozen=True):
    pattern: str = ""


class BatchCommand(Request, frozen=True):
    """One call of a batch; of several the first in this order counts (server specification 6.5)."""

    publish: PublishRequest | None = None
    broadcast: BroadcastRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    disconnect: DisconnectRequest | None = None
    history: HistoryRequest | None = None
    history_remove: ChannelRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    info: InfoRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    channels: ChannelsRequest | None = None
    stats: StatsRequest | None = None


class BatchRequest(Request, frozen=True):
    commands: Sequence[BatchCommand | None] = ()
    parallel: bool = False


# ------------------------------------------------------------------- results


class Result(Struct, frozen=True, omit_defaults=True):
    """What a call answers; an empty one is ``{}``."""


EMPTY = Result()


class PublishResult(Result, frozen=True, gc=False):
    offset: int = 0
    epoch: str = ""


class Error(Struct, frozen=True):
    """A row of the table of API errors."""

    code: int
    message: str


class Outcome(Result, frozen=True):
    """Of one channel of a broadcast: either of the two."""

    error: Error | None = None
    result: PublishResult | None = None


class BroadcastResult(Result, frozen=True):
    responses: Sequence[Outcome] = ()


class PresenceResult(Struct, frozen=True):
    """Who is in a channel, by client id."""

    presence: Mapping[str, ClientInfo]


class PresenceStatsResult(Struct, frozen=True):
    num_clients: int
    num_users: int


class HistoryResult(Struct, frozen=True):
    """A part of a channel's stream, and the position of its top."""

    publications: Sequence[Publication]
    epoch: str
    offset: int


class InfoResult(Result, frozen=True):
    nodes: Sequence[NodeInfo] = ()


class StatsResult(Result, frozen=True):
    nodes: Sequence[NodeStats] = ()


class ChannelInfo(Struct, frozen=True, gc=False):
    num_clients: int


class ChannelsResult(Struct, frozen=True):
    channels: Mapping[str, ChannelInfo]


class BatchResult(Result, frozen=True):
    """Each reply holds the bare result under the name of its method, or ``error``."""

    replies: Sequence[Mapping[str, "AnyResult | Error"]] = []


AnyResult = Result | ChannelsResult | HistoryResult | PresenceResult | PresenceStatsResult
