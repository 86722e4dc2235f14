"""Many calls of one request, without keeping the loop from everything else (invariant 7)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from centrifast import eager

CALLS_AT_ONCE = 256
"""Publications of one broadcast, or commands of one body, between two turns of the loop."""

_T = TypeVar("_T")
_Item = TypeVar("_Item")


async def run_all(
    call: Callable[[_Item], Coroutine[Any, Any, _T]], items: Sequence[_Item], at_once: int = CALLS_AT_ONCE
) -> list[_T]:
    """What *call* gives for each item, in their order, *at_once* calls running together.

    A call that does not wait costs no task. The loop gets its turn after every ``CALLS_AT_ONCE`` calls.
    """
    results: list[_T] = []
    for start in range(0, len(items), at_once):
        begun = [eager.start(call(item)) for item in items[start : start + at_once]]
        waiting = [outcome for outcome in begun if isinstance(outcome, asyncio.Task)]
        if waiting:
            await asyncio.gather(*waiting)
        results.extend(
            outcome.result() if isinstance(outcome, asyncio.Task) else outcome for outcome in begun
        )
        if len(results) % CALLS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return results
