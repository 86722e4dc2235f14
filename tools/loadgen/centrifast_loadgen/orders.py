"""What the coordinator tells its workers, each value once per worker over its pipe."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Open:
    """Open all connections that are not open; *rate* per second and worker, 0: no limit.

    With *resume* subscriptions recover where they can. *exact* says that nothing is on its way, so that a new
    subscription begins behind what is published by now.
    """

    rate: float = 0.0
    resume: bool = False
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop the open connections with numbers from *first* to before *end*."""

    first: int
    end: int
    graceful: bool = False


@dataclass(frozen=True, slots=True)
class Churn:
    """Drop so many random connections per second and worker, and open each again at once; 0 ends it."""

    rate: float


@dataclass(frozen=True, slots=True)
class Pause:
    """The slow connections read no more."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The slow connections read again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Compare what came with what should have, send the reasons of failures, end."""


Order = Open | Drop | Churn | Pause | Resume | Stop
