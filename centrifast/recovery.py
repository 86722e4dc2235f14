"""From what a client knows and what the stream has to what it must still be given (client protocol 6.3, 6.4, 6.7).

Pure decisions. What came by while history was read is *buffered*: it is merged here, so that nothing is lost, nothing
comes twice, and a hole is never passed over in silence.
"""

from collections.abc import Sequence

from msgspec import Struct

from centrifast.engine.contract import History
from centrifast.model import Publication, StreamPosition
from centrifast.protocol.tags_filter import TagsFilter


class Delivered(Struct, frozen=True, gc=False):
    """A publication with the position it came with."""

    publication: Publication
    position: StreamPosition


class Recovery(Struct, frozen=True):
    """What a subscription starts with: *position* is where it stands, *publications* is what it missed.

    Not *recovered*: there are none, ever.
    """

    position: StreamPosition
    recovered: bool = False
    publications: Sequence[Publication] = ()


class HoleError(Exception):
    """Something between history and what came meanwhile is missing: the client must come back (Disconnect 3010)."""


def follow(history: History, buffered: Sequence[Delivered]) -> list[Publication]:
    """Return what came after the history was read. Raises HoleError.

    Of another stream only what came before the read may be there; at the end it means that the stream has begun anew.
    """
    top, epoch = history.position.offset, history.position.epoch
    if buffered and buffered[-1].position.epoch != epoch:
        raise HoleError
    later = sorted(
        {
            item.position.offset: item.publication
            for item in buffered
            if item.position.epoch == epoch and item.position.offset > top
        }.items()
    )
    if later and later[-1][0] - top != len(later):
        raise HoleError
    return [publication for _, publication in later]


def only_position(history: History, buffered: Sequence[Delivered]) -> Recovery:
    """A client that recovers nothing starts at the top."""
    return Recovery(_advanced(history.position, len(follow(history, buffered))))


def recover_stream(
    asked: StreamPosition,
    history: History,
    buffered: Sequence[Delivered],
    tags_filter: TagsFilter | None = None,
) -> Recovery:
    """The decision table of 6.3; *history* holds what follows ``asked.offset``, up to the limit.

    Offsets that the filter hides count as present.
    """
    later = follow(history, buffered)
    position = _advanced(history.position, len(later))
    if not _is_complete(asked, history):
        return Recovery(position)
    return Recovery(
        position, recovered=True, publications=_matching([*history.publications, *later], tags_filter)
    )


def _is_complete(asked: StreamPosition, history: History) -> bool:
    if asked.epoch not in ("", history.position.epoch):
        return False
    found = history.publications
    if not found:
        return asked.offset == history.position.offset
    return found[0].offset == asked.offset + 1 and found[-1].offset == history.position.offset


def recover_cache(
    asked: StreamPosition,
    history: History,
    buffered: Sequence[Delivered],
    tags_filter: TagsFilter | None = None,
) -> Recovery:
    """The newest publication is all that counts (6.7); *history* is read from the top down.

    A client that has it already gets nothing.
    """
    later = follow(history, buffered)
    position = _advanced(history.position, len(later))
    is_current = 0 < asked.offset == history.position.offset and asked.epoch == history.position.epoch
    kept = [] if is_current else list(reversed(history.publications))
    if kept and kept[-1].offset != history.position.offset:  # history is gone, only its position is not
        kept = []
    newest = _matching([*kept, *later], tags_filter)[-1:]
    return Recovery(position, recovered=is_current or bool(newest), publications=newest)


def _matching(publications: list[Publication], tags_filter: TagsFilter | None) -> list[Publication]:
    if tags_filter is None:
        return publications
    return [publication for publication in publications if tags_filter.matches(publication.tags)]


def _advanced(position: StreamPosition, count: int) -> StreamPosition:
    return StreamPosition(position.offset + count, position.epoch) if count else position
