"""Run a coroutine at once, and make it a task only if it has to wait.

Most commands and API calls never wait (memory engine, no proxy), and a task costs more than they do. Python 3.12 has
``asyncio.Task(eager_start=True)`` for this; 3.11 has nothing. Until its first suspension the coroutine runs outside
any task, so it must not use ``asyncio.timeout`` before it has waited for something.

Between workers and their supervisor every publication waits, but only for a ``Reply``. For that a task costs too much
as well, so ``run`` makes none: the coroutine goes on inside ``Reply.give``. It becomes a task when it waits for
anything else, and until then ``asyncio.timeout`` is out of reach for it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class _Started(Coroutine[Any, Any, T]):
    """A coroutine that already ran up to its first suspension, as something a task can run."""

    __slots__ = ("_coroutine", "_handed_on", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for
        self._handed_on = False

    def send(self, value: Any) -> Any:
        """The task's first step learns what the coroutine waits for; later ones go to the coroutine."""
        if self._handed_on:
            return self._coroutine.send(value)
        self._handed_on = True
        return self._waits_for

    def throw(self, error: Any, value: Any = None, traceback: TracebackType | None = None) -> Any:
        """Cancelled before its first step, the task did not know yet what else to cancel."""
        if not self._handed_on:
            self._handed_on = True
            if self._waits_for is not None:
                self._waits_for.cancel()
        return self._coroutine.throw(error)

    def close(self) -> None:
        """End the coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        """Only a task runs this: it calls ``send`` and ``throw`` itself."""
        raise TypeError("not to be awaited")


def start(coroutine: Coroutine[Any, Any, T]) -> "T | asyncio.Task[T]":
    """Run *coroutine* until it ends or has to wait.

    Returns its result, or the task that goes on with it, which the caller owns. What it raises before its first
    suspension is raised here.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    return asyncio.get_running_loop().create_task(_Started(coroutine, waits_for))


class Reply(asyncio.Future[T]):
    """A future whose one waiter, if ``run`` has it, goes on while the reply is given and not in a later turn."""

    waiter: "Running[Any] | None" = None

    def give(self, value: T) -> None:
        """Answer, unless nobody waits any more."""
        if not self.done():
            self.set_result(value)
            if self.waiter is not None:
                self.waiter.go_on()

    def fail(self, error: Exception) -> None:
        """Answer with what is raised to the waiter, unless nobody waits any more."""
        if not self.done():
            self.set_exception(error)
            if self.waiter is not None:
                self.waiter.go_on()


class Running(asyncio.Future[T]):
    """A coroutine that waits; the result is the coroutine's. Cancelling it cancels what it waits for, as with a task.

    *on_end* is called at once when it has ended, before any callback of the future.
    """

    __slots__ = ("_coroutine", "_on_end", "_to_cancel", "_waits_for")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        waits_for: Any,
        on_end: "Callable[[Running[T]], None]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop=loop)
        self._coroutine = coroutine
        self._on_end = on_end
        self._to_cancel = False  # as soon as it waits again
        self._wait_for(waits_for)

    def cancel(self, msg: Any = None) -> bool:
        """Have the coroutine see ``CancelledError`` in one of the next turns. False if it has ended."""
        if self.done():
            return False
        waits_for = self._waits_for
        if waits_for.cancel(msg):
            if isinstance(waits_for, Reply):
                self.get_loop().call_soon(self.go_on)
        elif not waits_for.cancelled():  # it has come: the coroutine itself is running, and cancels itself
            self._to_cancel = True
        return True

    def go_on(self) -> None:
        """Run on: what the coroutine waits for is there."""
        try:
            waits_for = self._coroutine.send(None)
        except StopIteration as stop:
            self.set_result(stop.value)
        except asyncio.CancelledError:
            super().cancel()
        except Exception as failure:  # noqa: BLE001 - whoever asks for the result gets it
            self.set_exception(failure)
        else:
            self._wait_for(waits_for)
            return
        self._on_end(self)

    def _wait_for(self, waits_for: Any) -> None:
        if isinstance(waits_for, Reply):
            waits_for._asyncio_future_blocking = False  # as a task does with what it waits for
            waits_for.waiter = self
        else:
            waits_for = self.get_loop().create_task(_Started(self._coroutine, waits_for))
            waits_for.add_done_callback(self._on_task_done)
        self._waits_for = waits_for
        if self._to_cancel:
            self._to_cancel = False
            self.cancel()

    def _on_task_done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            super().cancel()
        elif (failure := task.exception()) is not None:
            self.set_exception(failure)
        else:
            self.set_result(task.result())
        self._on_end(self)


def run(coroutine: Coroutine[Any, Any, T], on_end: Callable[[Running[T]], None]) -> T | Running[T]:
    """Run *coroutine* as ``start`` does; if it has to wait, *on_end* is called when it has ended.

    Returns its result, or what stands for the rest of it, which the caller owns.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    # Whatever is waited for knows the loop; to ask for the running one costs a system call, 0.3 µs.
    loop = asyncio.get_running_loop() if waits_for is None else waits_for.get_loop()
    return Running(coroutine, waits_for, on_end, loop)


async def all_of(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run *coroutines* together, without tasks for those that do not wait; the first failure ends all and is raised."""
    left = list(coroutines)
    tasks: list[asyncio.Task[None]] = []
    try:
        while left:
            task = start(left.pop(0))
            if task is not None:
                tasks.append(task)
        if tasks:
            await asyncio.gather(*tasks)
    except BaseException:
        for coroutine in left:
            coroutine.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        raise
