"""What nodes tell and ask each other (``control``): each call is one struct, and a controller says how it travels.

An *instruction* is carried out by every node for its own clients. A *question* is answered by each: by all nodes
(``NodeQuestion``), or by the processes that share a supervisor.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from centrifast.auth.claims import NO_OVERRIDE, SubscriptionOverride
from centrifast.metrics.snapshot import NodeStats
from centrifast.model import NodeInfo, StreamPosition

T_co = TypeVar("T_co", covariant=True)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The connections of *user*, or one of them; with *all_users* those of everybody.

    An empty *user* means the anonymous ones. Each kind has a *name*, for the wire between workers and for the log.
    """

    name: ClassVar[str]

    user: str
    client: str = ""
    session: str = ""
    all_users: bool = False


class SubscribeCall(Target, frozen=True, kw_only=True):
    """See ``Control.subscribe``. *override* leaves no option open: other nodes may have other namespaces."""

    name: ClassVar[str] = "subscribe"

    channel: str
    info: bytes = b""
    data: bytes = b""
    expire_at: int = 0
    override: SubscriptionOverride = NO_OVERRIDE
    recover_since: StreamPosition | None = None


class UnsubscribeCall(Target, frozen=True, kw_only=True):
    """See ``Control.unsubscribe``; clients are told *code* and *reason*."""

    name: ClassVar[str] = "unsubscribe"

    channel: str
    code: int
    reason: str


class DisconnectCall(Target, frozen=True, kw_only=True):
    """See ``Control.disconnect``; *code* and *reason* must fit a close frame."""

    name: ClassVar[str] = "disconnect"

    code: int
    reason: str
    whitelist: Sequence[str] = ()


class RefreshCall(Target, frozen=True, kw_only=True):
    """See ``Control.refresh``."""

    name: ClassVar[str] = "refresh"

    expired: bool = False
    expire_at: int = 0
    info: bytes = b""


Instruction = SubscribeCall | UnsubscribeCall | DisconnectCall | RefreshCall


class Question(msgspec.Struct, Generic[T_co], frozen=True):
    """Answered by a value of the type *answer*."""

    name: ClassVar[str]
    answer: ClassVar[Any]


class NodeQuestion(Question[T_co], Generic[T_co], frozen=True):
    """A question that concerns all nodes."""


class ChannelsCall(NodeQuestion[dict[str, int]], frozen=True):
    """See ``Control.channels``."""

    name: ClassVar[str] = "channels"
    answer: ClassVar[Any] = dict[str, int]

    pattern: str


class InfoCall(NodeQuestion[NodeInfo], frozen=True):
    """See ``Control.info``."""

    name: ClassVar[str] = "info"
    answer: ClassVar[Any] = NodeInfo


class StatsCall(NodeQuestion[NodeStats], frozen=True):
    """See ``Control.stats``."""

    name: ClassVar[str] = "stats"
    answer: ClassVar[Any] = NodeStats

    slow: int


class MetricsCall(Question[msgspec.Raw], frozen=True):
    """See ``Control.metrics``; the answer is what ``metrics.summing`` encodes."""

    name: ClassVar[str] = "metrics"
    answer: ClassVar[Any] = msgspec.Raw


class CountCall(Question[int], frozen=True):
    """See ``Control.count_elsewhere``."""

    name: ClassVar[str] = "count"
    answer: ClassVar[Any] = int

    user: str
