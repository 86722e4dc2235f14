"""What an engine promises: a broker (PUB/SUB and history), presence, and calls between nodes.

Every method is a coroutine so that an engine may live in this process, in the supervisor or in Redis. The memory
engine never suspends, so its publish runs without a task (``centrifast.eager``).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from centrifast.calls import Instruction, NodeQuestion, Question
from centrifast.metrics.metrics import Metrics
from centrifast.model import NO_POSITION, ClientInfo, NodeInfo, PresenceStats, Publication, StreamPosition

T_co = TypeVar("T_co", covariant=True)


class HistoryOptions(msgspec.Struct, frozen=True, gc=False):
    """How much of a channel is kept: *size* publications for *ttl* seconds, its position for *meta_ttl* seconds."""

    size: int = 0
    ttl: float = 0.0
    meta_ttl: float = 0.0


NO_HISTORY = HistoryOptions()


class PublishOptions(msgspec.Struct, frozen=True, gc=False):
    """How one publication is made. With *history* switched off it gets no offset.

    With *delta* the event carries the publication before it, so that subscribers can be sent the difference.
    """

    history: HistoryOptions = NO_HISTORY
    info: ClientInfo | None = None
    tags: Mapping[str, str] | None = None
    idempotency_key: str = ""
    version: int = 0
    version_epoch: str = ""
    delta: bool = False


class PublishResult(msgspec.Struct, frozen=True, gc=False):
    """Where the publication landed; *suppressed* when nothing was published, and by which *reason* of ``metrics``."""

    position: StreamPosition = NO_POSITION
    suppressed: bool = False
    reason: str = ""


PUBLISHED = PublishResult()


class HistoryFilter(msgspec.Struct, frozen=True, gc=False):
    """Which part of a stream is read (client protocol 3.8): *limit* 0 = position only, negative = everything."""

    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class History(msgspec.Struct, frozen=True, gc=False):
    """Publications read, and the stream's top position whatever was asked."""

    publications: Sequence[Publication]
    position: StreamPosition


class BrokerEvents(Protocol):
    """What a broker tells the node, in the order of offsets per channel."""

    metrics: Metrics

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        """A publication of a channel this node is subscribed to; *position* has offset 0 without history.

        *previous* is the publication right before it in the stream, if that is still kept and
        ``PublishOptions.delta`` asked for it.
        """

    def on_join(self, channel: str, info: ClientInfo) -> None:
        """A client has subscribed to a channel this node is subscribed to."""

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        """A client has left such a channel."""

    def on_interrupted(self, channels: Sequence[str]) -> None:
        """Publications of any of these channels may have been lost; what comes from here on is delivered again."""

    def on_rewound(self, channel: str) -> None:
        """The store has gone back to an older state of a channel's stream, and gives its offsets a second time.

        What subscribers were given is not what the stream holds. The publication that shows it comes next.
        """


class Broker(Protocol):
    """PUB/SUB and history."""

    async def start(self, events: BrokerEvents) -> None:
        """Connect; from here on *events* may be called."""

    async def subscribe(self, channel: str) -> None:
        """This node wants the channel's publications."""

    async def unsubscribe(self, channel: str) -> None:
        """This node no longer wants them."""

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        """Assign an offset, keep and deliver, atomically per channel.

        A known idempotency key, or a version not above the stored one, publishes nothing and answers *suppressed*
        with the position to report. Raises ``ConnectionError`` or ``TimeoutError`` when the store is away.
        """

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """Tell every node that wants the channel; at most once, never kept. Raises like ``publish``."""

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """The same for a client that has left."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        """Read a part of the stream; creates an empty stream with a fresh epoch if there is none.

        Raises ``ClientError`` UNRECOVERABLE_POSITION when ``since.epoch`` is given and not the stream's.
        """

    async def remove_history(self, channel: str) -> None:
        """Drop the publications; epoch and top offset stay."""

    async def close(self) -> None:
        """Let go of connections; no event follows."""


class PresenceManager(Protocol):
    """Who is subscribed to a channel, over all nodes. Raises ``ConnectionError`` or ``TimeoutError`` when away."""

    async def start(self) -> None:
        """Connect."""

    async def add(self, channel: str, info: ClientInfo) -> None:
        """Enter a client, or refresh it: its info is replaced and it counts for another ``presence_ttl``."""

    async def remove(self, channel: str, client: str, user: str) -> None:
        """Take a client out; nothing happens if it is not in."""

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """Infos by client id."""

    async def stats(self, channel: str) -> PresenceStats:
        """How many clients and distinct users; must not cost more in a large channel than in a small one."""

    async def close(self) -> None:
        """Let go of connections."""


class NodeCalls(Protocol):
    """What a controller asks of the node."""

    metrics: Metrics

    def describe(self, *, metrics: bool = True) -> NodeInfo:
        """This node in numbers; what it counts is left out if that is not wanted."""

    async def on_instruction(self, call: Instruction) -> None:
        """Carry out for the clients here what another node was asked for. Raises ``ClientError``, nothing else."""

    async def on_question(self, call: Question[T_co]) -> T_co:
        """Answer for this node alone. Raises ``ClientError``, nothing else."""


class Siblings(Protocol):
    """The other processes of one server, which share its port and its supervisor."""

    async def start(self, node: NodeCalls) -> None:
        """Connect; from here on *node* is asked."""

    async def ask(self, call: Question[T_co]) -> Sequence[T_co]:
        """The answers of all others, in no order; one that goes meanwhile does not answer.

        Raises ``ConnectionError``, ``TimeoutError``, or the ``ClientError`` of one that can not answer.
        """

    async def close(self) -> None:
        """Let go of connections; nothing is asked any more."""


class Controller(Protocol):
    """Calls between nodes: what concerns clients wherever they are connected."""

    @property
    def other_nodes(self) -> int:
        """How many nodes are known beside this one; processes of one server are one node."""

    async def start(self, node: NodeCalls) -> None:
        """Connect; from here on *node* is asked."""

    async def tell(self, call: Instruction) -> None:
        """Have every other node carry out *call*.

        Raises ``ConnectionError`` or ``TimeoutError`` when it can not be sent, and the ``ClientError`` of one that
        failed, where that is reported.
        """

    async def ask(self, call: NodeQuestion[T_co]) -> Sequence[T_co]:
        """The answers of all other nodes. Returns and raises like ``Siblings.ask``."""

    async def close(self) -> None:
        """Let go of connections; nothing is asked any more."""


class NoOtherNodes:
    """``Controller`` and ``Siblings`` of a process that is alone."""

    other_nodes = 0

    async def start(self, node: NodeCalls) -> None:
        """Nobody will ask."""

    async def tell(self, call: Instruction) -> None:
        """Nobody listens."""

    async def ask(self, call: Question[T_co]) -> Sequence[T_co]:
        """Nobody answers."""
        return ()

    async def close(self) -> None:
        """There is nothing to let go of."""


class Store(Protocol):
    """A server outside of this process that an engine works with."""

    name: str  # for people; without a password

    @property
    def is_usable(self) -> bool:
        """Whether it is connected now."""

    async def start(self, metrics: Metrics) -> None:
        """Connect; what fails is counted in *metrics*. Raises ``ConnectionError`` or ``TimeoutError``."""

    async def close(self) -> None:
        """Let go of all connections."""


class Engine(msgspec.Struct, frozen=True):
    """All that nodes share. *controller* and *siblings* may be one object; it is started and closed twice then.

    *stores* are started before the parts that use them, and closed after them.

    *unsubscribe_delay*: seconds until a broker is told that a channel is wanted no more, where that costs something.
    """

    broker: Broker
    presence: PresenceManager
    controller: Controller = NoOtherNodes()
    siblings: Siblings = NoOtherNodes()
    stores: Sequence[Store] = ()
    unsubscribe_delay: float = 0.0
