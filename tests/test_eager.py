import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from centrifast.eager import Reply, Running, all_of, start
from centrifast.eager import run as run_on


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


# ------------------------------------------------------------- without a task


def reply() -> Reply[int]:
    return Reply(loop=asyncio.get_running_loop())


class Ends(list[Running[Any]]):
    """Notes what has ended, each at once."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Running[Any]:
        running = run_on(coroutine, self.append)
        assert isinstance(running, Running)
        assert not running.done()
        return running


def test_without_a_task_what_never_waits_is_its_result() -> None:
    ends = Ends()
    assert run_on(returning(5), ends.append) == 5
    with pytest.raises(ValueError, match="at once"):
        run_on(failing(), ends.append)
    assert ends == []


def test_who_waits_for_a_reply_goes_on_while_it_is_given() -> None:
    async def main() -> None:
        first, second = reply(), reply()
        ends = Ends()

        async def adding() -> int:
            return await first + await second

        running = ends.run(adding())
        first.give(1)
        assert ends == []
        second.give(2)
        assert ends == [running]
        assert running.result() == await running == 3
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_reply_that_fails_is_raised_to_its_waiter() -> None:
    async def main() -> None:
        ends = Ends()

        async def catching(reply: Reply[int]) -> str:
            try:
                await reply
            except OSError as error:
                return str(error)
            return "no failure"

        async def passing_on(reply: Reply[int]) -> int:
            return await reply

        caught, raised = reply(), reply()
        ends.run(catching(caught))
        ends.run(passing_on(raised))
        caught.fail(OSError("gone"))
        raised.fail(OSError("away"))
        assert ends[0].result() == "gone"
        with pytest.raises(OSError, match="away"):
            ends[1].result()

    run(main())


@pytest.mark.parametrize("reply_first", [False, True])
def test_who_waits_for_anything_else_goes_on_as_a_task(reply_first: bool) -> None:
    async def main() -> None:
        ends = Ends()
        first, last = reply(), reply()

        async def waiting() -> int:
            total = await first if reply_first else 1
            await asyncio.sleep(0)
            async with asyncio.timeout(1000):
                return total + await last

        running = ends.run(waiting())
        first.give(1)
        await asyncio.sleep(0)
        last.give(2)
        assert await running == 3
        assert ends == [running]

    run(main())


def test_a_failure_of_the_task_is_the_failure_of_the_whole() -> None:
    async def main() -> None:
        ends = Ends()

        async def waiting() -> None:
            await asyncio.sleep(0)
            raise ValueError("later")

        running = ends.run(waiting())
        with pytest.raises(ValueError, match="later"):
            await running
        assert ends == [running]

    run(main())


@pytest.mark.parametrize("as_task", [False, True])
def test_cancelling_what_runs_cancels_what_it_waits_for(as_task: bool) -> None:
    async def main() -> None:
        ends = Ends()
        waited = reply()

        async def waiting() -> None:
            if as_task:
                await asyncio.sleep(0)
            await waited

        running = ends.run(waiting())
        for _ in range(2):
            await asyncio.sleep(0)
        assert running.cancel()
        assert running.cancel()
        assert ends == []
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ends == [running]
        assert waited.cancelled()
        assert not running.cancel()
        waited.give(1)
        waited.fail(OSError())

    run(main())


def test_what_runs_may_refuse_its_cancellation() -> None:
    async def main() -> None:
        first, second = reply(), reply()

        async def stubborn() -> int:
            try:
                return await first
            except asyncio.CancelledError:
                return await second

        running = Ends().run(stubborn())
        running.cancel()
        running.cancel()  # before the first took effect: still one
        await asyncio.sleep(0)
        second.give(2)
        assert running.result() == 2

    run(main())


@pytest.mark.parametrize("as_task", [False, True])
def test_what_cancels_itself_is_cancelled_when_it_waits_again(as_task: bool) -> None:
    async def main() -> None:
        ends = Ends()
        first, second = reply(), reply()

        async def giving_up() -> None:
            await first
            running.cancel()
            await (asyncio.sleep(0) if as_task else second)

        running = ends.run(giving_up())
        first.give(1)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ends == [running]

    run(main())


def test_a_task_may_wait_for_a_reply_as_for_any_future() -> None:
    async def main() -> None:
        given, cancelled = reply(), reply()

        async def wait(reply: Reply[int]) -> int:
            return await reply

        tasks = [asyncio.create_task(wait(reply)) for reply in (given, cancelled)]
        await asyncio.sleep(0)
        given.give(1)
        tasks[1].cancel()
        assert await tasks[0] == 1
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert cancelled.cancelled()

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
