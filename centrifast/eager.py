"""Run a coroutine at once, and make it a task only if it has to wait.

Most commands and API calls never wait (memory engine, no proxy), and a task costs more than they do. Python 3.12 has
``asyncio.Task(eager_start=True)`` for this; 3.11 has nothing. Until its first suspension the coroutine runs outside
any task, so it must not use ``asyncio.timeout`` before it has waited for something.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Resumed(Generic[T]):
    """A coroutine that already ran up to its first suspension, as something a task can await."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # a cancellation, or what was awaited failed: the coroutine decides
                try:
                    waits_for = self._coroutine.throw(error)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
            else:
                try:
                    waits_for = self._coroutine.send(value)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]


async def _finish(resumed: _Resumed[T]) -> T:
    return await resumed


def start(coroutine: Coroutine[Any, Any, T]) -> "T | asyncio.Task[T]":
    """Run *coroutine* until it ends or has to wait.

    Returns its result, or the task that goes on with it, which the caller owns. What it raises before its first
    suspension is raised here.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    return asyncio.get_running_loop().create_task(_finish(_Resumed(coroutine, waits_for)))
