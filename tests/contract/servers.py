"""What the contract suites need of real stores: servers that start when they are first asked for, and their time."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property

from tests.fakes import FakeClock
from tests.redis_servers import RedisCluster, RedisServer

# Time is taken from keys, which live whole seconds: an exact and quick wait. What a key has left from then on is kept
# in a far larger unit, so that the seconds the test itself takes do not count.
_AGE = b"""
local far, unit = 1e12, 1e5
for _, key in ipairs(redis.call("keys", "*")) do
    local left = redis.call("pttl", key)
    if left >= 0 then
        left = left >= far and math.ceil((left - far) / unit) or math.ceil(left / 1000)
        left = left - ARGV[1]
        if left > 0 then
            redis.call("pexpire", key, string.format("%.0f", far + left * unit))
        else
            redis.call("del", key)
        end
    end
end
"""


class Servers:
    """Servers for the tests of one session."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def close(self) -> None:
        """End those that were started."""
        self._stack.close()

    @cached_property
    def first(self) -> RedisServer:
        """A Redis."""
        return self._stack.enter_context(RedisServer())

    @cached_property
    def second(self) -> RedisServer:
        """Another one."""
        return self._stack.enter_context(RedisServer())

    @cached_property
    def cluster(self) -> RedisCluster:
        """Three masters."""
        return self._stack.enter_context(RedisCluster())


def emptied(servers: list[RedisServer], clock: FakeClock) -> Callable[[float], None]:
    """Let *servers* forget everything; give what lets time pass there and by *clock*."""
    for server in servers:
        server.command("FLUSHALL")

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        for server in servers:
            server.command("EVAL", _AGE, 0, seconds)

    return wait
