"""One place in the crew: the worker that serves there, the one that is about to, and those that leave.

STARTING ──Ready──▶ SERVING ──replaced, or told to──▶ LEAVING ──▶ gone
    └────────────────── died ─────────────────▶ gone
"""

import asyncio
from enum import Enum

from centrifast.limits import WORKER_FIRST_DELAY, WORKER_LAST_DELAY, WORKER_SHORT_LIFE
from centrifast.workers.process import WorkerProcess
from centrifast.workers.sockets import SocketSet


class State(Enum):
    """What a worker is at."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"


class Member:
    """A worker and what is known of it."""

    def __init__(self, slot: "Slot", started_at: float, revision: int = 0) -> None:
        """*revision* is that of the configuration it is started with."""
        self.slot = slot
        self.started_at = started_at
        self.revision = revision
        self.state = State.STARTING
        self.process: WorkerProcess | None = None
        self.unanswered = 0
        """Looks at it since it was asked; 0: it is not being asked."""
        self.reason = ""
        """Why it could not start, if it said so."""
        self.started = asyncio.Event()
        """It serves, or will never."""
        self.gone = asyncio.Event()
        self.reconfigured: asyncio.Future[str] | None = None
        """What it answers to the last reconfiguration."""

    @property
    def has_served(self) -> bool:
        """Whether it came so far."""
        return self.started.is_set() and self.state is not State.STARTING


class Slot:
    """See above. Its number is the worker's, from 1; its sockets are handed on from one to the next."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sockets: SocketSet = ()
        self.current: Member | None = None
        self.next: Member | None = None
        self.leaving: set[Member] = set()
        self.failures = 0
        """Workers in a row that have died young."""

    @property
    def is_serving(self) -> bool:
        """Whether somebody accepts connections here."""
        return self.current is not None and self.current.state is State.SERVING

    def delay_after(self, lived: float) -> float:
        """Seconds until the next one is started, after one that *lived* so long has died."""
        self.failures = self.failures + 1 if lived < WORKER_SHORT_LIFE else 1
        return min(WORKER_FIRST_DELAY * 2.0 ** min(self.failures - 1, 30), WORKER_LAST_DELAY)
