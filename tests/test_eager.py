import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from centrifast.eager import start


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
