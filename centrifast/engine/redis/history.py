"""What a read of history asks of Redis, and what is made of the answer (engines specification 3.5.4, 3.5.5). Pure."""

from collections.abc import Iterable, Sequence
from itertools import islice

from centrifast.engine.contract import HistoryFilter
from centrifast.engine.redis.codec import DecodeError, decode_element, decode_publication
from centrifast.model import Publication

_OFFSET_MAX = 2**64 - 1


def stream_args(wanted: HistoryFilter) -> tuple[int, ...]:
    """For the script that reads a stream: whether publications are wanted, first offset, limit, whether reverse.

    0 is the end of the stream where the first offset is meant, and no limit.
    """
    start = 0
    if wanted.since is not None:
        start = wanted.since.offset - 1 if wanted.reverse else wanted.since.offset + 1
        if not 0 < start <= _OFFSET_MAX:
            return 0, 0, 0, 0
    return int(wanted.limit != 0), start, max(wanted.limit, 0), int(wanted.reverse)


def list_args(wanted: HistoryFilter) -> tuple[int, ...]:
    """For the script that reads a list: whether publications are wanted, and the index of the last that is.

    The newest stands first, so a list is read whole unless the newest are wanted.
    """
    if not wanted.limit:
        return 0, 0
    return 1, wanted.limit - 1 if wanted.reverse and wanted.limit > 0 else -1


def in_stream(entries: Iterable[tuple[bytes, Sequence[bytes]]]) -> tuple[list[Publication], int]:
    """The publications of a stream's entries, and how many could not be read."""
    publications: list[Publication] = []
    unread = 0
    for number, fields in entries:
        try:
            payload = fields[fields.index(b"d") + 1]
            publications.append(decode_publication(payload, int(number.partition(b"-")[0])))
        except (DecodeError, ValueError):
            unread += 1
    return publications, unread


def in_list(elements: Sequence[bytes], epoch: str, wanted: HistoryFilter) -> tuple[list[Publication], int]:
    """What is *wanted* of the elements of a list, and how many of *elements* could not be read.

    Those of another epoch are what is left of a stream whose position was lost.
    """
    publications: list[Publication] = []
    unread = 0
    for element in elements if wanted.reverse else reversed(elements):
        try:
            own_epoch, publication = decode_element(element)
        except DecodeError:
            unread += 1
            continue
        if own_epoch == epoch and (wanted.since is None or publication.offset > wanted.since.offset):
            publications.append(publication)
    limit = wanted.limit if wanted.limit > 0 else None
    return list(islice(publications, limit)), unread
