"""Messages of the client protocol as values: what a client sends and what it gets (client protocol 2).

One struct a message, fields named as on the wire. JSON follows from the structs themselves (zero values are
left out, payloads are embedded raw); the Protobuf codec maps the same fields by name. Payloads are ``Raw``:
their bytes pass through unchanged. ``NO_DATA`` is the empty payload, and an empty one is left out.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated

from msgspec import Meta, Raw, Struct

NO_DATA = Raw(b"")

MAX_UINT64 = 2**64 - 1

# Integers of a request, as wide as in client.proto; anything else is malformed in JSON as it is in Protobuf.
UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
UInt64 = Annotated[int, Meta(ge=0)]  # the upper bound does not fit into msgspec's Meta: see check_offset


def check_offset(offset: int) -> None:
    """Refuse an offset beyond ``uint64``; while decoding, the ``ValueError`` becomes msgspec's own error."""
    if offset > MAX_UINT64:
        raise ValueError("Expected `int` <= 2^64 - 1")


class Encoding(Enum):
    """How a connection's messages are written, both ways and for its whole life (client protocol 1.1)."""

    JSON = "json"
    PROTOBUF = "protobuf"


class FilterNode(Struct, frozen=True):
    """A node of a tags filter (client protocol 9.1)."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: Sequence[str] = ()
    nodes: Sequence["FilterNode"] = ()


# ------------------------------------------------------------------ requests


class SubscribeRequest(Struct, frozen=True):
    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: UInt64 = 0
    data: Raw = NO_DATA
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: Int64 = 0
    type: Int32 = 0

    def __post_init__(self) -> None:
        check_offset(self.offset)


class ConnectRequest(Struct, frozen=True):
    token: str = ""
    data: Raw = NO_DATA
    subs: Mapping[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: Mapping[str, str] = {}
    flag: Int64 = 0


class UnsubscribeRequest(Struct, frozen=True):
    channel: str = ""


class PublishRequest(Struct, frozen=True):
    channel: str = ""
    data: Raw = NO_DATA
    type: Int32 = 0
    key: str = ""


class PresenceRequest(Struct, frozen=True):
    channel: str = ""


class PresenceStatsRequest(Struct, frozen=True):
    channel: str = ""


class StreamPositionRequest(Struct, frozen=True):
    offset: UInt64 = 0
    epoch: str = ""

    def __post_init__(self) -> None:
        check_offset(self.offset)


class HistoryRequest(Struct, frozen=True):
    channel: str = ""
    limit: Int32 = 0
    since: StreamPositionRequest | None = None
    reverse: bool = False


class RPCRequest(Struct, frozen=True):
    data: Raw = NO_DATA
    method: str = ""


class SendRequest(Struct, frozen=True):
    data: Raw = NO_DATA


class RefreshRequest(Struct, frozen=True):
    token: str = ""


class SubRefreshRequest(Struct, frozen=True):
    channel: str = ""
    token: str = ""
    type: Int32 = 0


Request = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | PresenceStatsRequest
    | HistoryRequest
    | RPCRequest
    | SendRequest
    | RefreshRequest
    | SubRefreshRequest
)


class Command(Struct, frozen=True):
    """What a client sends: an id and one request; of several the first in this order counts."""

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceStatsRequest | None = None
    history: HistoryRequest | None = None
    rpc: RPCRequest | None = None
    send: SendRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None


REQUEST_FIELDS = Command.__struct_fields__[1:]

# ------------------------------------------------------------------- results


class Error(Struct, frozen=True, omit_defaults=True):
    code: int
    message: str
    temporary: bool = False


class Info(Struct, frozen=True, omit_defaults=True):
    """``ClientInfo`` on the wire: *user* and *client* are always written."""

    user: str
    client: str
    conn_info: Raw = NO_DATA
    chan_info: Raw = NO_DATA


class Pub(Struct, frozen=True, omit_defaults=True):
    """``Publication`` on the wire."""

    data: Raw = NO_DATA
    info: Info | None = None
    offset: int = 0
    tags: Mapping[str, str] | None = None
    delta: bool = False
    key: str = ""
    epoch: str = ""


class EncodedPublications(Struct, frozen=True):
    """A list of publications as it stands in a ``SubscribeResult`` of one encoding: made once, put into many.

    Made by ``Codec.encode_publications``; in a result of the other encoding it is nonsense. An empty list is no bytes.
    """

    data: Raw


class SubscribeResult(Struct, frozen=True, omit_defaults=True):
    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: Sequence[Pub] | EncodedPublications | None = None
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: Raw = NO_DATA
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Struct, frozen=True, omit_defaults=True):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: Raw = NO_DATA
    subs: Mapping[str, SubscribeResult] | None = None
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""
    time: int = 0


class UnsubscribeResult(Struct, frozen=True):
    pass


class PublishResult(Struct, frozen=True):
    pass


class EncodedPresence(Struct, frozen=True, array_like=True):
    """Who is in a channel as it stands in a ``PresenceResult`` of one encoding; made by ``Codec.encode_presence``."""

    data: Raw


class PresenceResult(Struct, frozen=True):
    presence: Mapping[str, Info] | EncodedPresence


class PresenceStatsResult(Struct, frozen=True):
    num_clients: int
    num_users: int


class HistoryResult(Struct, frozen=True):
    publications: Sequence[Pub]
    epoch: str
    offset: int


class RPCResult(Struct, frozen=True, omit_defaults=True):
    data: Raw = NO_DATA


class RefreshResult(Struct, frozen=True, omit_defaults=True):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Struct, frozen=True, omit_defaults=True):
    expires: bool = False
    ttl: int = 0


# -------------------------------------------------------------------- pushes


class Join(Struct, frozen=True):
    info: Info


class Leave(Struct, frozen=True):
    info: Info


class Unsubscribe(Struct, frozen=True):
    code: int
    reason: str


class Message(Struct, frozen=True, omit_defaults=True):
    data: Raw = NO_DATA


class Subscribe(Struct, frozen=True, omit_defaults=True):
    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    positioned: bool = False
    data: Raw = NO_DATA


class DisconnectPush(Struct, frozen=True):
    code: int
    reason: str


class Refresh(Struct, frozen=True, omit_defaults=True):
    expires: bool = False
    ttl: int = 0


class Push(Struct, frozen=True, omit_defaults=True):
    """An asynchronous message: a channel (or none) and exactly one kind."""

    channel: str = ""
    pub: Pub | None = None
    join: Join | None = None
    leave: Leave | None = None
    unsubscribe: Unsubscribe | None = None
    message: Message | None = None
    subscribe: Subscribe | None = None
    connect: ConnectResult | None = None  # unidirectional transports: the first push
    disconnect: DisconnectPush | None = None
    refresh: Refresh | None = None


class Reply(Struct, frozen=True, omit_defaults=True):
    """An answer (an id and one result or error), a push, or, with nothing set, a ping."""

    id: int = 0
    error: Error | None = None
    push: Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: UnsubscribeResult | None = None
    publish: PublishResult | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    rpc: RPCResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: SubRefreshResult | None = None
