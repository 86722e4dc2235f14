"""Run a coroutine at once, and make it a task only if it has to wait.

Most commands and API calls never wait (memory engine, no proxy), and a task costs more than they do. Python 3.12 has
``asyncio.Task(eager_start=True)`` for this; 3.11 has nothing. Until its first suspension the coroutine runs outside
any task, so it must not use ``asyncio.timeout`` before it has waited for something.
"""

import asyncio
from collections.abc import Coroutine, Generator, Iterable
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
