"""Which clients read most slowly, beside the numbers of their node."""

import asyncio
import heapq
from collections.abc import Callable, Mapping

from msgspec.structs import asdict

from centrifast.hub import Client
from centrifast.limits import SLOW_LOOKS_AT_ONCE
from centrifast.metrics.snapshot import NodeStats, SlowClient, Snapshot


async def stats_of(snapshot: Callable[[], Snapshot], clients: Mapping[str, Client], slow: int) -> NodeStats:
    """This process in numbers, with its *slow* slowest clients."""
    named = await slowest(clients, slow)
    return NodeStats(**asdict(snapshot()), slow=named)


async def slowest(clients: Mapping[str, Client], count: int) -> list[SlowClient]:
    """The *count* clients with most queued bytes, most first, none without any.

    The loop has its turn after ``SLOW_LOOKS_AT_ONCE`` clients (invariant 7), so the numbers are not of one moment.
    """
    found: list[tuple[int, str, str]] = []
    for number, session in enumerate(list(clients.values()) if count else (), 1):
        queued = session.sink.queued
        if queued:
            entry = (queued, session.client, session.user)
            if len(found) < count:
                heapq.heappush(found, entry)
            else:
                heapq.heappushpop(found, entry)
        if number % SLOW_LOOKS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return [SlowClient(client, user, queued) for queued, client, user in sorted(found, reverse=True)]
