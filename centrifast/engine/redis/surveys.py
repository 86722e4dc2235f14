"""Questions to other nodes that wait for their answers (engines specification 3.11). No I/O.

A survey is complete when every node that was known at its start has answered or is known no more. So a dead node costs
a survey the time until it is forgotten, which is less than ``SURVEY_TIMEOUT``; that ends those whose nodes live and
do not answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from centrifast.clock import Clock
from centrifast.limits import SURVEY_ANSWERS_SIZE, SURVEY_TIMEOUT, SURVEYS_AT_ONCE


class Answer(msgspec.Struct, frozen=True):
    """What the node *uid* has said: *code* 0 and *data*, or why not."""

    uid: str
    code: int
    data: bytes


class _Survey:
    """One question: who has not answered, and what the others said."""

    __slots__ = ("answers", "asked", "failure", "over", "size")

    def __init__(self, asked: set[str]) -> None:
        self.asked = asked
        self.answers: list[Answer] = []
        self.size = 0
        self.failure: Exception | None = None
        self.over = asyncio.Event()

    def fail(self, failure: Exception) -> None:
        """Wait no longer, unless it is over anyway."""
        if not self.over.is_set():
            self.failure = failure
            self.over.set()

    def settle(self, uid: str) -> None:
        """Nothing more is to be heard of a node."""
        self.asked.discard(uid)
        if not self.asked:
            self.over.set()


class Surveys:
    """Those that are under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._surveys: dict[int, _Survey] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._surveys)

    async def ask(self, uids: Collection[str], send: Callable[[int], Awaitable[None]]) -> Sequence[Answer]:
        """Ask the nodes *uids*; *send* is given the number that their answers carry. Nobody is asked if there is none.

        Raises what *send* raises, ``TimeoutError``, and ``ConnectionError`` when too many wait or too much is answered.
        """
        if not uids:
            return ()
        if len(self._surveys) >= SURVEYS_AT_ONCE:
            raise ConnectionError(f"{SURVEYS_AT_ONCE} questions to other nodes wait already")
        self._number += 1
        number = self._number
        survey = self._surveys[number] = _Survey(set(uids))
        timer = self._clock.call_later(SURVEY_TIMEOUT, lambda: self._on_late(survey))
        try:
            await send(number)
            await survey.over.wait()
        finally:
            timer.cancel()
            del self._surveys[number]
        if survey.failure is not None:
            raise survey.failure
        return survey.answers

    def on_answer(self, number: int, answer: Answer) -> None:
        """A node has answered; what nobody waits for is dropped."""
        survey = self._surveys.get(number)
        if survey is None or answer.uid not in survey.asked:
            return
        survey.size += len(answer.data)
        if survey.size > SURVEY_ANSWERS_SIZE:
            survey.fail(ConnectionError(f"other nodes answer more than {SURVEY_ANSWERS_SIZE} bytes"))
            return
        survey.answers.append(answer)
        survey.settle(answer.uid)

    def on_gone(self, uid: str) -> None:
        """A node is known no more."""
        for survey in self._surveys.values():
            survey.settle(uid)

    def close(self) -> None:
        """Whoever waits is told that nothing comes."""
        for survey in self._surveys.values():
            survey.fail(ConnectionError("this node stops"))

    @staticmethod
    def _on_late(survey: _Survey) -> None:
        late = sorted(survey.asked)
        survey.fail(TimeoutError(f"{len(late)} nodes have not answered for {SURVEY_TIMEOUT:g} s: {late[:5]}"))
