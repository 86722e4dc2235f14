"""What workers and their supervisor say to each other (``link`` carries it, in MessagePack).

A request carries a number, and its answer the same one. Answers and events share one stream in each direction, so an
event that a request caused comes before its answer.
"""

from collections.abc import Mapping, Sequence

import msgspec

from centrifast.engine.contract import History, HistoryFilter, HistoryOptions, PublishOptions, PublishResult
from centrifast.model import ClientInfo, PresenceStats, Publication, StreamPosition


class Message(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What all have in common; each kind has a tag, the first item of its array."""


# ------------------------------------------------------------------ from a worker


class Subscribe(Message, frozen=True, tag=1):
    """``Broker.subscribe``."""

    id: int
    channel: str


class Unsubscribe(Message, frozen=True, tag=2):
    """``Broker.unsubscribe``."""

    id: int
    channel: str


class Publish(Message, frozen=True, tag=3):
    """``Broker.publish``."""

    id: int
    channel: str
    data: bytes
    options: PublishOptions


class PublishJoin(Message, frozen=True, tag=4):
    """``Broker.publish_join``."""

    id: int
    channel: str
    info: ClientInfo


class PublishLeave(Message, frozen=True, tag=5):
    """``Broker.publish_leave``."""

    id: int
    channel: str
    info: ClientInfo


class ReadHistory(Message, frozen=True, tag=6):
    """``Broker.history``."""

    id: int
    channel: str
    wanted: HistoryFilter
    options: HistoryOptions


class RemoveHistory(Message, frozen=True, tag=7):
    """``Broker.remove_history``."""

    id: int
    channel: str


class AddPresence(Message, frozen=True, tag=8):
    """``PresenceManager.add``."""

    id: int
    channel: str
    info: ClientInfo


class RemovePresence(Message, frozen=True, tag=9):
    """``PresenceManager.remove``."""

    id: int
    channel: str
    client: str
    user: str


class ReadPresence(Message, frozen=True, tag=10):
    """``PresenceManager.presence``."""

    id: int
    channel: str


class ReadStats(Message, frozen=True, tag=11):
    """``PresenceManager.stats``."""

    id: int
    channel: str


class Call(Message, frozen=True, tag=12):
    """``Controller.call``."""

    id: int
    name: str
    data: bytes


class CallAnswered(Message, frozen=True, tag=13):
    """Answer to ``OnCall``; None from a worker that can not carry out anything (yet, or any more)."""

    id: int
    data: bytes | None


Request = (
    Subscribe
    | Unsubscribe
    | Publish
    | PublishJoin
    | PublishLeave
    | ReadHistory
    | RemoveHistory
    | AddPresence
    | RemovePresence
    | ReadPresence
    | ReadStats
    | Call
)
Said = Request | CallAnswered

# ------------------------------------------------------------------ from the supervisor


class Done(Message, frozen=True, tag=21):
    """The request has been carried out."""

    id: int


class Published(Message, frozen=True, tag=22):
    """Answer to ``Publish``, unless the result is the usual one, ``PUBLISHED``: then it is ``Done``."""

    id: int
    result: PublishResult


class HistoryRead(Message, frozen=True, tag=23):
    """Answer to ``ReadHistory``."""

    id: int
    history: History


class PresenceRead(Message, frozen=True, tag=24):
    """Answer to ``ReadPresence``."""

    id: int
    infos: Mapping[str, ClientInfo]


class StatsRead(Message, frozen=True, tag=25):
    """Answer to ``ReadStats``."""

    id: int
    stats: PresenceStats


class Refused(Message, frozen=True, tag=26):
    """The request failed with a row of the table of client errors."""

    id: int
    code: int


class Called(Message, frozen=True, tag=27):
    """Answer to ``Call``: those of the other workers."""

    id: int
    answers: Sequence[bytes]


class Event(Message, frozen=True):
    """What no request asked for."""


class OnPublication(Event, frozen=True, tag=31):
    """``BrokerEvents.on_publication``."""

    channel: str
    publication: Publication
    position: StreamPosition
    previous: Publication | None


class OnJoin(Event, frozen=True, tag=32):
    """``BrokerEvents.on_join``."""

    channel: str
    info: ClientInfo


class OnLeave(Event, frozen=True, tag=33):
    """``BrokerEvents.on_leave``."""

    channel: str
    info: ClientInfo


class OnCall(Event, frozen=True, tag=34):
    """``NodeCalls.on_call``; *id* is the supervisor's."""

    id: int
    name: str
    data: bytes


Answer = Done | Published | HistoryRead | PresenceRead | StatsRead | Refused | Called
Told = Answer | OnPublication | OnJoin | OnLeave | OnCall

encode = msgspec.msgpack.Encoder().encode
decode_said = msgspec.msgpack.Decoder(Said).decode
decode_told = msgspec.msgpack.Decoder(Told).decode
