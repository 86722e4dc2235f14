"""What each subscriber of a channel is sent: everybody who gets the same bytes stands in one group.

A group is a ``Delivery`` and an encoding. The core keeps an array of sockets for each, so a publication is looked at
once per group, never once per subscriber:

    in step ─────▶ every publication, if it is the next one of the stream
    ahead of it ─▶ nothing up to the offset that history has shown them already, then in step
    lost ────────▶ nothing more: something is missing, and they are about to be told (client protocol 6.5)
                   or it was no JSON, and they are about to be disconnected (2.4)

Subscribers who agreed on deltas get a whole payload first and stand in the group with a base from then on (7.2).
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from centrifast._channel import IN_STEP, LOST, OLD, Channel
from centrifast._core import Subscribers
from centrifast._framing import Variant
from centrifast._metrics import Tally
from centrifast.clock import Clock
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.codec import Codec, NotJsonError
from centrifast.protocol.forms import Form, Forms
from centrifast.protocol.frame_types import PUSH_PUBLICATION, kind_of_push
from centrifast.protocol.tags_filter import TagsFilter
from centrifast.protocol.wire import Push, Reply


class Delivery(Struct, frozen=True):
    """What a subscriber is sent.

    *positioned*: in the order of the stream, without holes. *join_leave*: also who comes and goes. *delta*: patches,
    as soon as it *has_base*. *filter*: only publications with matching tags. *ahead* is the offset up to which the
    subscriber knows the stream already, 0 = as far as the channel. *is_lost*: nothing more; *is_refused*: because it
    was no JSON.
    """

    positioned: bool = False
    join_leave: bool = False
    delta: bool = False
    has_base: bool = False
    ahead: int = 0
    is_lost: bool = False
    is_refused: bool = False
    filter: TagsFilter | None = None

    @property
    def in_step(self) -> bool:
        """Whether it shares the channel's position."""
        return self.positioned and not self.ahead and not self.is_lost


PLAIN = Delivery()
"""Every publication, as it is; the usual one."""

_KNOWN = {PLAIN: PLAIN}


def interned(delivery: Delivery) -> Delivery:
    """The one object that stands for all equal ones, unless it has a filter: those are too many to be kept."""
    return delivery if delivery.filter is not None else _KNOWN.setdefault(delivery, delivery)


class Outcome(Struct, frozen=True):
    """Whether some could not be given something: they are in a *lost* group, because it was no JSON if *refused*."""

    refused: bool = False
    lost: bool = False


DELIVERED = Outcome()


class Deliverer:
    """Gives publications and pushes to the groups of a channel. *max_lag* in seconds, 0 = publications never age.

    *filtered* counts what subscribers were not sent because of their filter.
    """

    def __init__(
        self,
        codecs: Mapping[Variant, Codec],
        clock: Clock,
        max_lag: float = 0.0,
        filtered: Tally | None = None,
    ) -> None:
        self._codecs = codecs
        self._filtered = filtered or Tally()
        self._clock = clock
        self._max_lag = max_lag

    def publish(
        self,
        channel: Channel,
        publication: Publication,
        position: StreamPosition,
        previous: Publication | None = None,
    ) -> Outcome:
        """Give a publication to all local subscribers; *previous* as in ``BrokerEvents.on_publication``."""
        same_stream = channel.epoch in ("", position.epoch)
        verdict = channel.advance(position.offset, position.epoch) if position.offset else IN_STEP
        forms = Forms(channel.name, publication, previous)
        step: _Step | None = None  # only made for groups that have to be looked at
        is_refused = False
        moves: list[tuple[Subscribers, Delivery]] = []
        for array in channel.arrays:
            group: Delivery = array.group
            form, then = Form.PLAIN, group
            if group is not PLAIN:
                if step is None:
                    is_late = self._is_late(publication)
                    step = _Step(publication, position, verdict, is_late=is_late, same_stream=same_stream)
                form, then = step.form_for(group)
            if form is not Form.NOTHING:
                try:
                    message = forms.encoded(form, self._codecs[array.variant])
                    array.broadcast(message, False, PUSH_PUBLICATION)
                except NotJsonError:
                    is_refused, then = True, refused(group)
            elif step is not None and step.unmatched is group:
                self._filtered.add(len(array))
            if then is not group:
                moves.append((array, then))
        if not moves:
            return DELIVERED
        regroup(channel, moves)
        return Outcome(is_refused, is_refused or (step is not None and step.has_lost))

    def _is_late(self, publication: Publication) -> bool:
        """Whether it was under way for longer than ``client.channel_position_max_time_lag``."""
        if self._max_lag <= 0 or not publication.time_ms:
            return False
        return self._clock.unix() * 1000 - publication.time_ms > self._max_lag * 1000

    def push(self, channel: Channel, push: Push) -> Outcome:
        """Give a join or leave to those who asked for them; in a large channel it waits a moment for others."""
        made: dict[Codec, bytes] = {}
        kind = kind_of_push(push)
        moves: list[tuple[Subscribers, Delivery]] = []
        for array in channel.arrays:
            if not array.group.join_leave or array.group.is_lost:
                continue
            try:
                codec = self._codecs[array.variant]
                message = made.get(codec)
                if message is None:
                    message = made[codec] = codec.encode(Reply(push=push))
            except NotJsonError:
                moves.append((array, refused(array.group)))
            else:
                array.broadcast(message, True, kind)
        if not moves:
            return DELIVERED
        regroup(channel, moves)
        return Outcome(refused=True, lost=True)


class _Step:
    """What one publication is for each group (client protocol 6.5, 7.2, 9.1)."""

    def __init__(
        self,
        publication: Publication,
        position: StreamPosition,
        verdict: int,
        *,
        is_late: bool,
        same_stream: bool,
    ) -> None:
        self._publication = publication
        self._offset = position.offset
        self._verdict = verdict
        self._is_late = is_late
        self._same_stream = same_stream
        self.has_lost = False
        self.unmatched: Delivery | None = None  # the latest group whose filter the publication did not pass

    def form_for(self, group: Delivery) -> tuple[Form, Delivery]:
        """The form that a group gets, and the group its members are in afterwards."""
        if group.is_lost:
            return Form.NOTHING, group
        then = group
        if group.positioned and self._offset:
            if self._is_missing_something(group):
                self.has_lost = True
                return Form.NOTHING, lost(group)
            if self._is_known_to(group):
                return Form.NOTHING, group
            if group.ahead:
                then = replace(group, ahead=0)
        if group.filter is not None and not group.filter.matches(self._publication.tags):
            self.unmatched = group
            return Form.NOTHING, then
        if not group.delta:
            return Form.PLAIN, then
        has_base = (
            group.positioned and self._offset > 0
        )  # what is no part of the stream is no base of the next
        if has_base != then.has_base:
            then = replace(then, has_base=has_base)
        return Form.PATCH if group.has_base else Form.WHOLE, then

    def _is_missing_something(self, group: Delivery) -> bool:
        if self._is_late:
            return True
        if group.ahead:
            return not self._same_stream or self._offset > group.ahead + 1
        return self._verdict == LOST

    def _is_known_to(self, group: Delivery) -> bool:
        return self._offset <= group.ahead if group.ahead else self._verdict == OLD


def lost(group: Delivery) -> Delivery:
    """The group of those who missed something."""
    return replace(group, is_lost=True)


def refused(group: Delivery) -> Delivery:
    """The group of those who can not be given what was said, because it is no JSON."""
    return replace(group, is_lost=True, is_refused=True)


def regroup(channel: Channel, moves: list[tuple[Subscribers, Delivery]]) -> None:
    """Move members to the groups they belong to after a publication; the lost first, before others join their group."""
    for array, then in sorted(moves, key=lambda move: not move[1].is_lost):
        channel.regroup(array, then)
