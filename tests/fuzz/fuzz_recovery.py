"""Any history of a stream, its PUB/SUB and one read: the client gets exactly what follows its position, or the truth.

Each byte of the input is a step: somebody publishes, a publication arrives, is lost or comes twice, the stream is
trimmed or begins anew, history is read. The first two say what position the client has.
"""

from enum import IntEnum

from centrifast.engine.contract import History
from centrifast.model import Publication, StreamPosition
from centrifast.recovery import (
    Delivered,
    HoleError,
    Recovery,
    only_position,
    recover_cache,
    recover_stream,
)
from tests.fuzz.mutate import main


class Step(IntEnum):
    """What happens, as the remainder of a byte; what is left of the byte says to which publication."""

    PUBLISH = 0
    ARRIVE = 1
    ARRIVE_ALL = 2
    LOSE = 3
    REPEAT = 4
    TRIM = 5
    RESTART = 6
    READ = 7


LIMIT = 4
"""Publications recovered at once."""

PUBLISH, ARRIVE, ARRIVE_ALL, LOSE, REPEAT, TRIM, RESTART, READ = Step
SEEDS = [
    bytes([0, 1, PUBLISH, ARRIVE, READ, PUBLISH, PUBLISH, ARRIVE_ALL]),
    bytes([2, 1, PUBLISH, PUBLISH, PUBLISH, READ, PUBLISH, LOSE, PUBLISH, ARRIVE]),
    bytes([1, 0, PUBLISH, PUBLISH, ARRIVE_ALL, READ, PUBLISH, ARRIVE, REPEAT, REPEAT + 8]),
    bytes([3, 1, *[PUBLISH] * 5, TRIM, TRIM, READ, PUBLISH, ARRIVE_ALL]),
    bytes([4, 1, *[PUBLISH] * 4, RESTART, PUBLISH, PUBLISH, READ, ARRIVE_ALL, PUBLISH, ARRIVE]),
    bytes([1, 2, *[PUBLISH] * 3, ARRIVE, RESTART, *[PUBLISH] * 6, READ, ARRIVE_ALL]),
]


class Stream:
    """A stream, what is on its way from it, what has arrived, and what was read."""

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self._epochs = 1
        self._top, self._first = 0, 1
        self._pipe: list[Delivered] = []
        self.arrived: list[Delivered] = []
        self.has_lost = False
        self.history: History | None = None
        self.first_when_read = 1

    @property
    def has_restarted(self) -> bool:
        return self._epochs > 1

    def step(self, byte: int) -> None:
        """Let one thing happen."""
        which, step = divmod(byte, len(Step))
        match Step(step):
            case Step.PUBLISH:
                self._top += 1
                publication = Publication(b"%d" % self._top, self._top)
                self._pipe.append(Delivered(publication, StreamPosition(self._top, epoch(self._epochs))))
            case Step.ARRIVE:
                self._arrive(1)
            case Step.ARRIVE_ALL:
                self._arrive(len(self._pipe))
            case Step.LOSE if self._pipe:
                del self._pipe[which % len(self._pipe)]
                self.has_lost = True
            case Step.REPEAT if self.arrived:
                self.arrived.append(self.arrived[which % len(self.arrived)])
            case Step.TRIM if self._first <= self._top:
                self._first += 1
            case Step.RESTART:
                self._epochs += 1
                self._top, self._first = 0, 1
            case Step.READ if self.history is None:
                self.read()

    def read(self) -> History:
        """The one read of what follows the client's position."""
        kept = range(max(self._asked + 1, self._first), self._top + 1)
        position = StreamPosition(self._top, epoch(self._epochs))
        found = [Publication(b"%d" % offset, offset) for offset in kept[:LIMIT]]
        self.history = History(found, position)
        self.first_when_read = self._first
        return self.history

    def _arrive(self, count: int) -> None:
        self.arrived += self._pipe[:count]
        del self._pipe[:count]


def epoch(number: int) -> str:
    return f"epoch-{number}"


def check(data: bytes) -> None:
    """Raises when a client would be given something else than it should."""
    if len(data) < 2:
        return
    asked = StreamPosition(data[0] % 8, epoch(data[1] % 3) if data[1] % 3 else "")
    stream = Stream(asked.offset)
    for byte in data[2:]:
        stream.step(byte)
    history = stream.history or stream.read()
    try:
        recovery = recover_stream(asked, history, stream.arrived)
    except HoleError:
        assert stream.has_lost or stream.has_restarted
        return
    check_position(recovery, history, stream.arrived)
    assert only_position(history, stream.arrived) == Recovery(recovery.position)
    check_recovery(asked, recovery, history, stream.first_when_read)
    newest = recover_cache(asked, History(history.publications[::-1], history.position), stream.arrived)
    assert newest.position == recovery.position
    assert [pub.offset for pub in newest.publications] in ([], [recovery.position.offset])


def check_position(recovery: Recovery, history: History, arrived: list[Delivered]) -> None:
    """It stands behind all that has arrived of the stream that was read, and nothing newer has."""
    top, name = history.position.offset, history.position.epoch
    later = {item.position.offset for item in arrived if item.position.epoch == name} - set(range(top + 1))
    assert recovery.position == StreamPosition(top + len(later), name)
    assert later == set(range(top + 1, recovery.position.offset + 1))
    assert not arrived or arrived[-1].position.epoch == name


def check_recovery(asked: StreamPosition, recovery: Recovery, history: History, first: int) -> None:
    """Recovered is what is possible, and then all of it."""
    top, name = history.position.offset, history.position.epoch
    missed = top - asked.offset
    is_possible = missed == 0 or (0 < missed <= LIMIT and first <= asked.offset + 1)
    assert recovery.recovered == (is_possible and asked.epoch in ("", name))
    expected = range(asked.offset + 1, recovery.position.offset + 1) if recovery.recovered else ()
    assert [publication.offset for publication in recovery.publications] == list(expected)


if __name__ == "__main__":
    main(check, SEEDS)
