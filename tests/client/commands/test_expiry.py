"""What clients are told of an expiration."""

import pytest

from centrifast import errors
from centrifast.client.commands.expiry import time_to_live
from centrifast.errors import ClientError
from tests.client.fakes import NOW
from tests.fakes import FakeClock

YEAR = 365 * 24 * 3600


@pytest.mark.parametrize(
    ("expire_at", "ttl"),
    [
        (None, 0),
        (0, 0),
        (NOW + 0.1, 1),
        (NOW + 1.9, 1),
        (NOW + 60, 60),
        (NOW + YEAR, YEAR),
        (NOW + YEAR + 1, YEAR),
    ],
)
def test_whole_seconds_at_least_one_at_most_a_year(expire_at: float | None, ttl: int) -> None:
    assert time_to_live(expire_at, FakeClock(NOW)) == ttl


@pytest.mark.parametrize("expire_at", [NOW, NOW - 1, 1])
def test_what_is_not_in_the_future_is_expired(expire_at: float) -> None:
    with pytest.raises(ClientError) as raised:
        time_to_live(expire_at, FakeClock(NOW))
    assert raised.value.error == errors.EXPIRED
