"""Redis fails in every way it can, while it is published all the time: nobody misses anything without being told."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from centrifast.engine.redis.hashing import shard_of
from tests.integration.crowd import CONFIG, Crowd
from tests.integration.daemon import eventually
from tests.redis_servers import RedisServer
from tests.server_process import ServerProcess, merged

CHANNELS = [f"stream:{number}" for number in range(4)]

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def config(settings: Mapping[str, Any] = CONFIG, **redis: Any) -> dict[str, Any]:
    """*settings* with an engine that knows soon whether Redis is away."""
    section = {"connect_timeout": "500ms", "io_timeout": "1s", **redis}
    return merged(settings, {"engine": {"type": "redis", "redis": section}})


@contextmanager
def nodes(folder: Path, settings: dict[str, Any]) -> Iterator[list[ServerProcess]]:
    """Two of them, in which nothing unforeseen happens."""
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(folder, settings)) for _ in range(2)]
        yield servers
        assert not any("Traceback" in server.log() for server in servers)


def is_ready(server: ServerProcess) -> bool:
    return server.get("/health/ready")[0] == 200


def test_while_redis_keeps_its_data_nobody_has_to_begin_anew(tmp_path: Path) -> None:
    with (
        RedisServer(*DURABLE) as redis,
        nodes(tmp_path, config(address=redis.address)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        for _ in range(20):
            redis.command("SCRIPT", "FLUSH")
        crowd.level()
        assert not crowd.refused

        for kind in ("pubsub", "normal"):
            redis.command("CLIENT", "KILL", "TYPE", kind)
            crowd.publish_quietly()
            crowd.level()

        redis.freeze()
        crowd.wait_for(lambda: not any(map(is_ready, servers)), "nodes to notice")
        redis.thaw()
        crowd.publish_quietly()
        crowd.level()

        redis.kill()
        crowd.wait_for(lambda: not any(map(is_ready, servers)), "nodes to notice")
        redis.start()
        crowd.publish_quietly()
        crowd.compare()

        assert crowd.counts["recovered"] > 0
        assert crowd.counts["anew"] == 0


def test_when_redis_comes_back_empty_everybody_is_told(tmp_path: Path) -> None:
    with (
        RedisServer() as redis,
        nodes(tmp_path, config(address=redis.address)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        crowd.publish_quietly()
        crowd.level()
        redis.restart()
        crowd.compare()
        assert crowd.counts["anew"] >= len(crowd.followers)


def test_when_streams_vanish_everybody_is_told(tmp_path: Path) -> None:
    """No connection is interrupted: a publication shows it, or the check of quiet channels."""
    settings = merged(CONFIG, {"client": {"channel_position_check_delay": "1s"}})
    with (
        RedisServer() as redis,
        nodes(tmp_path, config(settings, address=redis.address)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        crowd.publish_quietly()
        crowd.level()
        redis.command("FLUSHALL")
        crowd.compare()
        assert crowd.counts["anew"] >= len(crowd.followers)


TAKE_BACK = """
redis.call("hincrby", KEYS[2], "s", -ARGV[1])
for _, entry in ipairs(redis.call("xrevrange", KEYS[1], "+", "-", "COUNT", ARGV[1])) do
    redis.call("xdel", KEYS[1], entry[1])
end
redis.call("xsetid", KEYS[1], redis.call("hget", KEYS[2], "s") .. "-0")
"""
"""What a replica lacks that becomes master before it has heard the last publications of a channel."""


def test_when_a_stream_goes_back_and_catches_up_everybody_is_told(tmp_path: Path) -> None:
    with (
        RedisServer() as redis,
        nodes(tmp_path, config(address=redis.address)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        for _ in range(5):
            crowd.publish_quietly()
        crowd.level()
        keys = [f"centrifugo.{kind}.{Crowd.QUIET}" for kind in ("stream", "stream.meta")]
        redis.command("EVAL", TAKE_BACK, 2, *keys, 3)
        crowd.publish_quietly()  # with an offset that they know
        count = crowd.followers_of(Crowd.QUIET)
        crowd.wait_for(lambda: crowd.counts["anew"] == count, "clients to begin anew")
        for _ in range(5):
            crowd.publish_quietly()
        crowd.compare()
        assert crowd.counts["anew"] == crowd.counts["insufficient"] == count


def test_without_memory_publications_are_refused_until_there_is_some(tmp_path: Path) -> None:
    with (
        RedisServer() as redis,
        nodes(tmp_path, config(address=redis.address)) as servers,
        Crowd(servers, CHANNELS) as crowd,
    ):
        crowd.level()
        redis.command("CONFIG", "SET", "maxmemory", "1")
        crowd.wait_for(lambda: all(crowd.refused[channel] for channel in CHANNELS), "refusals")
        eventually(
            lambda: all("OOM command not allowed" in server.log() for server in servers), "OOM in the log"
        )
        assert all(map(is_ready, servers))
        redis.command("CONFIG", "SET", "maxmemory", "0")
        crowd.compare()
        assert crowd.counts.total() == 0


def test_a_shard_that_is_away_concerns_its_channels_only(tmp_path: Path) -> None:
    with RedisServer(*DURABLE) as first, RedisServer(*DURABLE) as second:
        here = [channel for channel in CHANNELS if shard_of(channel, 2) == 0]
        away = [channel for channel in CHANNELS if shard_of(channel, 2) == 1]
        assert here
        assert away
        with (
            nodes(tmp_path, config(address=[first.address, second.address])) as servers,
            Crowd(servers, CHANNELS) as crowd,
        ):
            second.kill()
            crowd.wait_for(lambda: all(crowd.refused[channel] for channel in away), "refusals")
            crowd.level(here)
            for server in servers:
                status, body = server.get("/health/ready")
                assert (status, json.loads(body)) == (503, {"away": [second.address]})
            second.start()
            crowd.compare()
            assert set(crowd.refused) <= set(away)
            assert crowd.counts["anew"] == 0
            crowd.wait_for(lambda: all(map(is_ready, servers)), "nodes to be ready")


def test_nothing_piles_up_while_redis_is_away(tmp_path: Path) -> None:
    commands = [{"publish": {"channel": "stream:0", "data": number}} for number in range(2000)]
    refused = {"error": {"code": 100, "message": "internal server error"}}
    with (
        RedisServer(*DURABLE) as redis,
        ServerProcess(tmp_path, config(address=redis.address)) as server,
        Crowd([server], CHANNELS) as crowd,
    ):
        crowd.level()
        redis.freeze()
        for parallel in (True, False):
            answer = server.api("batch", commands=commands, parallel=parallel)
            assert answer["replies"] == [refused] * len(commands)
        redis.thaw()
        crowd.level()
        redis.kill()
        crowd.wait_for(lambda: not is_ready(server), "the node to notice")
        for parallel in (True, False):
            answer = server.api("batch", commands=commands, parallel=parallel)
            assert answer["replies"] == [refused] * len(commands)
        redis.start()
        crowd.compare()
        assert crowd.counts["anew"] == 0
