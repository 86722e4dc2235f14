"""What does the way to Redis and back cost this process, without what broker and hub do?

A Redis server is started on a core of its own. Three things are measured in CPU of this process:

- requests: a script with the words of a publication with history, by its digest, many callers at once;
- messages: what ``redis-benchmark`` publishes to one channel, heard by a lane;
- channels: subscribing to all that is wanted when a lane is made again.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterable
from hashlib import sha1

import click
import uvloop

from bench import _harness as harness
from bench._redis import Redis, redis_server
from centrifast.clock import SystemClock
from centrifast.engine.redis.contract import Script
from centrifast.engine.redis.settings import Kind, Place, ShardSettings
from centrifast.engine.redis.shard import ServerShard

PAYLOAD = b"x" * 100
SOURCE = b"return {1, 'epoch', '0', '0'}"
SCRIPT = Script("nothing", SOURCE, sha1(SOURCE).hexdigest().encode())
KEYS = (b"centrifugo.stream.news", b"centrifugo.stream.meta.news", b"")
ARGUMENTS = (PAYLOAD, 100, 60, b"centrifugo.client.news", 3600, "epoch", "publish", "", "", "0", "")


class Counting:
    """``PubSubOwner`` that counts."""

    def __init__(self, channels: int) -> None:
        self.left = 0
        self.done = asyncio.Event()
        self._channels = [b"centrifugo.client.channel-%d" % number for number in range(channels)]

    def on_message(self, channel: bytes, message: bytes) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()

    def wanted(self) -> Iterable[bytes]:
        return self._channels

    def on_restored(self) -> None:
        pass


async def cost_of_requests(shard: ServerShard, requests: int, at_once: int) -> float:
    """Microseconds of CPU for each."""

    async def call() -> None:
        for _ in range(requests // at_once):
            await shard.run(SCRIPT, KEYS, ARGUMENTS)

    began = time.process_time()
    await asyncio.gather(*(call() for _ in range(at_once)))
    return (time.process_time() - began) / (requests // at_once * at_once) * 1e6


async def cost_of_messages(shard: ServerShard, path: str, messages: int) -> float:
    """Microseconds of CPU for each."""
    counting = Counting(0)
    counting.left = messages
    lane = shard.pubsub(counting, b"news")
    await lane.start()
    options = ["-s", path, "-n", str(messages), "-P", "16", "-q", "PUBLISH", "news", PAYLOAD.decode()]
    began = time.process_time()
    publisher = await asyncio.create_subprocess_exec("redis-benchmark", *options, stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            await counting.done.wait()
        taken = time.process_time() - began
    finally:
        await publisher.wait()
        await lane.close()
    return taken / messages * 1e6


async def time_of_channels(shard: ServerShard, channels: int) -> harness.Figures:
    """Seconds until a lane is usable that wants so many channels, and microseconds of CPU for each."""
    lane = shard.pubsub(Counting(channels), b"service")
    began, cpu_began = time.perf_counter(), time.process_time()
    await lane.start()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    await lane.close()
    return {"subscribe_seconds": seconds, "cpu_us_per_channel": cpu_seconds / channels * 1e6}


@click.command()
@click.option("--requests", default=200_000, show_default=True)
@click.option("--at-once", default=200, show_default=True)
@click.option("--messages", default=500_000, show_default=True)
@click.option("--channels", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(requests: int, at_once: int, messages: int, channels: int, rounds: int) -> None:
    """CPU of requests to Redis and of messages from it."""

    async def measure(server: Redis) -> harness.Figures:
        settings = ShardSettings(Kind.SERVER, (Place("", 0, server.path),))
        shard = ServerShard(settings, SystemClock(asyncio.get_running_loop()))
        await shard.start()
        try:
            return {
                "cpu_us_per_request": await cost_of_requests(shard, requests, at_once),
                "cpu_us_per_message": await cost_of_messages(shard, server.path, messages),
                **await time_of_channels(shard, channels),
            }
        finally:
            await shard.close()

    os.sched_setaffinity(0, {harness.CLIENT_CORE})
    results = []
    for _ in range(rounds):
        with (
            redis_server(harness.SERVER_CORE) as server,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            results.append(runner.run(measure(server)))
    sizes = {"requests": requests, "at_once": at_once, "messages": messages, "channels": channels}
    medians = {name: harness.median(results, name) for name in results[0]}
    harness.report("redis_connection", {**sizes, "rounds": rounds, **medians})


if __name__ == "__main__":
    main()
