import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from centrifast.eager import all_of, start


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def returning(value: int) -> int:
    return value


async def failing() -> None:
    raise ValueError("at once")


def test_a_coroutine_that_never_waits_needs_no_loop() -> None:
    assert start(returning(5)) == 5


def test_what_is_raised_before_the_first_suspension_is_raised_here() -> None:
    with pytest.raises(ValueError, match="at once"):
        start(failing())


def test_awaiting_something_finished_is_no_suspension() -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        future.set_result(3)

        async def finished() -> int:
            return int(await future) + await returning(1)

        assert start(finished()) == 4

    run(main())


def test_a_coroutine_that_waits_goes_on_as_a_task() -> None:
    async def main() -> None:
        first: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        second: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        steps = []

        async def waiting() -> int:
            steps.append("started")
            total = await first
            steps.append("first")
            total += await second
            await asyncio.sleep(0)
            return total

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        assert steps == ["started"]
        first.set_result(1)
        await asyncio.sleep(0)
        second.set_result(2)
        assert await task == 3
        assert steps == ["started", "first"]

    run(main())


def test_a_bare_yield_to_the_loop_is_a_suspension() -> None:
    async def main() -> None:
        async def yielding() -> int:
            await asyncio.sleep(0)
            return 1

        task = start(yielding())
        assert isinstance(task, asyncio.Task)
        assert await task == 1

    run(main())


def test_what_is_raised_after_a_suspension_is_raised_by_the_task() -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def waiting() -> None:
            await future
            raise ValueError("later")

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        future.set_result(None)
        with pytest.raises(ValueError, match="later"):
            await task

    run(main())


def test_the_failure_of_what_is_awaited_reaches_the_coroutine() -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def waiting() -> str:
            try:
                await future
            except OSError as error:
                await asyncio.sleep(0)
                return str(error)
            return "no failure"

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        future.set_exception(OSError("gone"))
        assert await task == "gone"

    run(main())


def test_cancelling_the_task_cancels_the_coroutine_and_what_it_awaits() -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        seen = []

        async def waiting() -> None:
            try:
                await future
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled"]
        assert future.cancelled()

    run(main())


def test_a_coroutine_may_refuse_its_cancellation() -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def stubborn() -> int:
            try:
                await future
            except asyncio.CancelledError:
                return 1
            return 2

        task = start(stubborn())
        assert isinstance(task, asyncio.Task)
        await asyncio.sleep(0)
        task.cancel()
        assert await task == 1

    run(main())


def test_a_cancellation_in_the_same_tick_reaches_the_coroutine() -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        seen = []

        async def waiting() -> None:
            try:
                await future
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled"]
        assert future.cancelled()

    run(main())


def test_a_bare_yield_is_cancelled_in_the_same_tick_as_well() -> None:
    async def main() -> None:
        task = start(asyncio.sleep(0))
        assert isinstance(task, asyncio.Task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_what_a_task_runs_can_be_closed_and_not_be_awaited() -> None:
    async def main() -> None:
        closed = []

        async def waiting() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                closed.append(True)

        task = start(waiting())
        assert isinstance(task, asyncio.Task)
        running = task.get_coro()
        with pytest.raises(TypeError):
            await running  # type: ignore[misc]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        running.close()
        assert closed == [True]

    run(main())


# ------------------------------------------------------------------ together


def test_together_what_never_waits_needs_no_loop() -> None:
    seen: list[int] = []

    async def add(number: int) -> None:
        seen.append(number)

    assert start(all_of(add(number) for number in range(3))) is None
    assert start(all_of([])) is None
    assert seen == [0, 1, 2]


def test_together_a_failure_at_once_needs_no_loop() -> None:
    run(asyncio.sleep(0))  # no loop is left behind that somebody could find
    with pytest.raises(ValueError, match="at once"):
        start(all_of([failing()]))


def test_together_all_wait_at_the_same_time() -> None:
    async def main() -> None:
        seen: list[int] = []
        futures = [asyncio.get_running_loop().create_future() for _ in range(3)]

        async def add(number: int) -> None:
            await futures[number]
            seen.append(number)

        together = asyncio.create_task(all_of(add(number) for number in range(3)))
        for number in (2, 0, 1):
            assert not together.done()
            futures[number].set_result(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await together
        assert seen == [2, 0, 1]

    run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_together_the_first_failure_ends_all(waits: bool) -> None:
    async def main() -> None:
        ended: list[str] = []
        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def other(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)

        async def failing_later() -> None:
            await failure

        unbegun = other("last")
        together = asyncio.create_task(
            all_of([other("first"), failing_later() if waits else failing(), unbegun])
        )
        await asyncio.sleep(0)
        if waits:
            failure.set_exception(ValueError("later"))
        with pytest.raises(ValueError, match="later" if waits else "at once"):
            await together
        assert ended == (["first", "last"] if waits else ["first"])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_together_a_cancellation_reaches_all() -> None:
    async def main() -> None:
        futures = [asyncio.get_running_loop().create_future() for _ in range(2)]

        async def wait(number: int) -> None:
            await futures[number]

        together = asyncio.create_task(all_of(wait(number) for number in range(2)))
        await asyncio.sleep(0)
        together.cancel()
        with pytest.raises(asyncio.CancelledError):
            await together
        assert all(future.cancelled() for future in futures)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
