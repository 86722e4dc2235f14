"""The clients' part of a graceful stop: everybody is disconnected, at once or spread over a time (12.3)."""

import asyncio
from collections.abc import Sequence

from centrifast.clock import Clock
from centrifast.errors import SHUTDOWN
from centrifast.hub import Client, Hub
from centrifast.limits import CLIENTS_AT_ONCE


def everybody(hub: Hub) -> Sequence[Client]:
    """Who is connected or about to be."""
    return [*hub.clients.values(), *hub.connecting]


async def disconnect_all(hub: Hub, clock: Clock, spread: float = 0.0) -> None:
    """Disconnect everybody with 3001, evenly over *spread* seconds.

    The loop goes on meanwhile: it writes close frames, and publications for those whose turn has not come.
    """
    sessions = everybody(hub)
    started = clock.monotonic()
    for number, session in enumerate(sessions):
        wait = started + spread * number / len(sessions) - clock.monotonic()
        if wait > 0:
            await pause(clock, wait)
        elif number and number % CLIENTS_AT_ONCE == 0:
            await asyncio.sleep(0)
        session.disconnect(SHUTDOWN)


def disconnect_newcomers(hub: Hub) -> None:
    """Disconnect who was on the way while the others were disconnected."""
    for session in everybody(hub):
        session.disconnect(SHUTDOWN)


async def pause(clock: Clock, seconds: float) -> None:
    """Wait."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
