"""What Redis refuses, its memory being full or its state not what a script expects, is an outage to who asked."""

from collections.abc import Awaitable

from centrifast.engine.redis.contract import RedisError, Reply, Shard


async def answer_of(shard: Shard, reply: Awaitable[Reply]) -> Reply:
    """The *reply* of a *shard*. Raises ``ConnectionError`` in place of ``RedisError``; its text begins with the code.

    Whoever catches that logs it and answers with error 100.
    """
    try:
        return await reply
    except RedisError as refused:
        raise ConnectionError(f"{refused} (from {shard.name})") from refused
