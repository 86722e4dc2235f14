"""What Redis refuses is an outage, and says why."""

import asyncio

import pytest

from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.refusal import answer_of
from tests.engine.redis.fakes import FakeShard


async def refuse() -> Reply:
    raise RedisError("OOM command not allowed when used memory > 'maxmemory'.")


async def answer() -> Reply:
    return 5


def test_answer_is_handed_on() -> None:
    assert asyncio.run(answer_of(FakeShard(), answer())) == 5


def test_refusal_begins_with_its_code_and_names_the_shard() -> None:
    with pytest.raises(ConnectionError, match=r"^OOM command not allowed .* \(from fake\)$"):
        asyncio.run(answer_of(FakeShard(), refuse()))
