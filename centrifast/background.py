"""Requests to the engine that nobody waits for: a client that leaves does not wait until it is forgotten."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from centrifast import eager, log


class Background:
    """Owns what runs on by itself. Without a wait (memory engine) nothing is ever kept here."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._tasks)

    def run(self, failure: str, request: Coroutine[Any, Any, None]) -> None:
        """Start *request*; whatever goes wrong is logged as *failure* and costs nothing else."""
        task = eager.start(self._attempt(failure, request))
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what still runs."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _attempt(self, failure: str, request: Coroutine[Any, Any, None]) -> None:
        try:
            await request
        except (ConnectionError, TimeoutError) as away:
            log.error(failure, error=str(away))
        except Exception:  # noqa: BLE001 - the boundary where a bug costs one request, not the client's other ones
            log.exception(failure)
