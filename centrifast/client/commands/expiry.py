"""What clients are told of an expiration."""

import math

from centrifast import errors
from centrifast.clock import Clock
from centrifast.errors import ClientError
from centrifast.limits import MAX_TTL


def time_to_live(expire_at: float | None, clock: Clock) -> int:
    """Whole seconds from now to *expire_at* (Unix time), 0 = never; raises EXPIRED if it is not in the future.

    At least 1: a client library fails on ``expires`` without a ``ttl`` (client protocol 12.2). At most a year.
    """
    if not expire_at:
        return 0
    left = expire_at - clock.unix()
    if left <= 0:
        raise ClientError(errors.EXPIRED)
    return min(max(1, math.floor(left)), MAX_TTL)
