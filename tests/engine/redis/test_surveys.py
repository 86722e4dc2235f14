"""When a survey is over: all have answered, the rest has gone, or it took too long (engines specification 3.11)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from centrifast.engine.redis import surveys
from centrifast.engine.redis.surveys import Answer, Surveys
from centrifast.limits import SURVEY_TIMEOUT
from tests.fakes import FakeClock


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.surveys = Surveys(self.clock)
        self.sent: list[int] = []

    async def ask(self, *uids: str) -> "asyncio.Future[Sequence[Answer]]":
        """A survey whose question has been sent."""
        asked = asyncio.ensure_future(self.surveys.ask(uids, self._send))
        await asyncio.sleep(0)
        return asked

    async def _send(self, number: int) -> None:
        self.sent.append(number)


def run(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        bench = Bench()
        await test(bench)
        assert (len(bench.surveys), bench.clock.timers) == (0, 0)

    asyncio.run(main())


def test_a_survey_is_over_when_all_have_answered() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a", "b")
        first, second = Answer("b", 0, b"1"), Answer("a", 3, b"")
        bench.surveys.on_answer(bench.sent[0], first)
        await asyncio.sleep(0)
        assert not asked.done()
        bench.surveys.on_answer(bench.sent[0], second)
        assert await asked == [first, second]

    run(test)


def test_nobody_is_asked_if_there_is_nobody() -> None:
    async def test(bench: Bench) -> None:
        assert await (await bench.ask()) == ()
        assert bench.sent == []

    run(test)


def test_an_answer_may_come_before_the_question_has_been_sent() -> None:
    async def test(bench: Bench) -> None:
        answer = Answer("a", 0, b"1")

        async def send(number: int) -> None:
            bench.surveys.on_answer(number, answer)

        assert await bench.surveys.ask(["a"], send) == [answer]

    run(test)


def test_who_was_not_asked_or_answers_twice_is_not_heard() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a", "b")
        answer, other = Answer("a", 0, b"1"), Answer("b", 0, b"2")
        for heard in (Answer("stranger", 0, b""), answer, answer):
            bench.surveys.on_answer(bench.sent[0], heard)
        bench.surveys.on_answer(bench.sent[0] + 1, other)
        await asyncio.sleep(0)
        assert not asked.done()
        bench.surveys.on_answer(bench.sent[0], other)
        assert await asked == [answer, other]
        bench.surveys.on_answer(bench.sent[0], answer)

    run(test)


def test_surveys_at_the_same_time_have_answers_of_their_own() -> None:
    async def test(bench: Bench) -> None:
        one, two = await bench.ask("a"), await bench.ask("a")
        assert len(set(bench.sent)) == 2
        answers = [Answer("a", 0, b"1"), Answer("a", 0, b"2")]
        for number, answer in zip(reversed(bench.sent), answers, strict=True):
            bench.surveys.on_answer(number, answer)
        assert (await one, await two) == ([answers[1]], [answers[0]])

    run(test)


def test_who_has_gone_is_not_waited_for() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a", "b")
        answer = Answer("a", 0, b"1")
        bench.surveys.on_answer(bench.sent[0], answer)
        bench.surveys.on_gone("b")
        assert await asked == [answer]

    run(test)


def test_who_lives_and_does_not_answer_costs_the_deadline() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a", "b")
        bench.surveys.on_answer(bench.sent[0], Answer("a", 0, b"1"))
        bench.clock.advance(SURVEY_TIMEOUT - 0.001)
        await asyncio.sleep(0)
        assert not asked.done()
        bench.clock.advance(0.001)
        with pytest.raises(TimeoutError, match="1 nodes"):
            await asked

    run(test)


def test_what_was_answered_in_the_last_moment_counts() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a")
        answer = Answer("a", 0, b"1")
        bench.surveys.on_answer(bench.sent[0], answer)
        bench.clock.advance(SURVEY_TIMEOUT)
        bench.surveys.close()
        assert await asked == [answer]

    run(test)


@pytest.mark.parametrize("error", [ConnectionError("away"), TimeoutError("late")])
def test_a_question_that_can_not_be_sent_is_over(error: Exception) -> None:
    async def test(bench: Bench) -> None:
        async def send(_: int) -> None:
            raise error

        with pytest.raises(type(error)):
            await bench.surveys.ask(["a"], send)

    run(test)


def test_who_asked_may_go() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        bench.surveys.on_answer(bench.sent[0], Answer("a", 0, b""))

    run(test)


def test_the_end_of_the_node_is_the_end_of_its_surveys() -> None:
    async def test(bench: Bench) -> None:
        asked = await bench.ask("a")
        bench.surveys.close()
        with pytest.raises(ConnectionError):
            await asked

    run(test)


def test_only_so_many_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "SURVEYS_AT_ONCE", 2)

    async def test(bench: Bench) -> None:
        waiting = [await bench.ask("a") for _ in range(2)]
        with pytest.raises(ConnectionError):
            await (await bench.ask("a"))
        bench.surveys.on_gone("a")
        assert await asyncio.gather(*waiting) == [[], []]
        assert len(bench.sent) == 2

    run(test)


def test_only_so_much_is_kept_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "SURVEY_ANSWERS_SIZE", 10)

    async def test(bench: Bench) -> None:
        asked = await bench.ask("a", "b")
        bench.surveys.on_answer(bench.sent[0], Answer("a", 0, bytes(10)))
        bench.surveys.on_answer(bench.sent[0], Answer("b", 0, bytes(1)))
        with pytest.raises(ConnectionError):
            await asked

    run(test)
