"""How many publications per second go through one Redis? No subscribers.

The limit is ``redis-benchmark`` with 50 connections, which sends the very command that the engine sends, payload,
keys and arguments, and does nothing else; it is shown with 16 requests at a time on each connection (``-P 16``) too.
Without history that command is PUBLISH, with ``--history`` it is the script that counts, keeps and publishes.

Two ways in, in turn with the limit:

- the engine alone: ``RedisBroker.publish`` from 100 and from 1,000 callers in one process;
- the whole server: POST /api/publish over 16 and over 64 keep-alive connections.

Redis has one core, whoever publishes to it the other. The client of the HTTP API shares Redis' core, so there the
limit is measured against less than a core.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import click
import uvloop
from centrifast_loadgen import usage

from bench import _harness as harness
from bench._redis import Redis, Word, redis_benchmark, redis_server
from bench.publish import BODY
from centrifast.clock import SystemClock
from centrifast.engine.contract import HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.redis.broker import RedisBroker
from centrifast.engine.redis.contract import Script
from centrifast.engine.redis.settings import Kind, Place, ShardSettings
from centrifast.engine.redis.shard import ServerShard
from centrifast.metrics.metrics import Metrics

T = TypeVar("T")

CHANNEL = "bench"
DATA = b'{"text":"%b"}' % (b"x" * 100)
KEPT = PublishOptions(HistoryOptions(size=100, ttl=60.0, meta_ttl=3600.0))
CALLERS = (100, 1_000)
CONNECTIONS = (16, 64)
PUBLISHER_CORE, REDIS_CORE = harness.SERVER_CORE, harness.CLIENT_CORE


class Nobody:
    """``BrokerEvents`` of a node without subscribers: nothing is heard."""

    def __init__(self) -> None:
        self.metrics = Metrics()

    def on_publication(self, *event: object) -> None:
        raise AssertionError(f"{event} without a subscription")

    on_join = on_leave = on_interrupted = on_rewound = on_publication


class Noting(ServerShard):
    """A shard that keeps the last command it was asked."""

    command: Sequence[Word] = ()

    def call(self, key: bytes, command: Sequence[Word]) -> Any:
        """See ``Shard.call``."""
        self.command = command
        return super().call(key, command)

    def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Any:
        """See ``Shard.run``."""
        self.command = ("EVALSHA", script.sha1, len(keys), *keys, *args)
        return super().run(script, keys, args)


@asynccontextmanager
async def broker_on(server: Redis) -> AsyncIterator[tuple[RedisBroker, Noting]]:
    """The engine's broker, and its only shard."""
    clock = SystemClock(asyncio.get_running_loop())
    shard = Noting(ShardSettings(Kind.SERVER, (Place("127.0.0.1", server.port),)), clock)
    broker = RedisBroker([shard], "centrifugo", clock)
    await shard.start()
    await broker.start(Nobody())
    try:
        yield broker, shard
    finally:
        await broker.close()
        await shard.close()


async def publishing(
    server: Redis, options: PublishOptions, publications: int, at_once: int
) -> harness.Figures:
    """Publish from *at_once* callers; publications per second, and microseconds of CPU of both sides for each."""
    each = publications // at_once

    async def call(count: int) -> None:
        for _ in range(count):
            await broker.publish(CHANNEL, DATA, options)

    async with broker_on(server) as (broker, _):
        await asyncio.gather(*(call(1) for _ in range(at_once)))  # warm-up; the script is known from here on
        before, began = cpu_seconds(server), time.perf_counter()
        await asyncio.gather(*(call(each) for _ in range(at_once)))
        seconds, after = time.perf_counter() - began, cpu_seconds(server)
    ours, theirs = ((now - then) / (each * at_once) * 1e6 for now, then in zip(after, before, strict=True))
    return {"per_s": each * at_once / seconds, "cpu_us": ours, "redis_cpu_us": theirs}


def cpu_seconds(server: Redis) -> tuple[float, float]:
    """Used so far by this process, and by Redis."""
    return time.process_time(), usage.measure(server.pid).cpu_seconds


async def command_of(server: Redis, options: PublishOptions) -> Sequence[Word]:
    """What the engine asks Redis for one publication; Redis knows the script from here on."""
    async with broker_on(server) as (broker, shard):
        await broker.publish(CHANNEL, DATA, options)
        return shard.command


async def kept_in(server: Redis) -> int:
    """The offset of the last publication."""
    async with broker_on(server) as (broker, _):
        history = await broker.history(CHANNEL, HistoryFilter(limit=0), KEPT.history)
        return history.position.offset


def in_loop(action: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine as the server does: on uvloop, with a core of its own."""
    os.sched_setaffinity(0, {PUBLISHER_CORE})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(action())
    finally:
        os.sched_setaffinity(0, harness.CORES)


def measure_engine(options: PublishOptions, publications: int, at_once: int) -> harness.Figures:
    """The engine alone."""
    with redis_server(REDIS_CORE) as server:
        return in_loop(lambda: publishing(server, options, publications, at_once))


def measure_limit(options: PublishOptions, requests: int, pipeline: int) -> harness.Figures:
    """``redis-benchmark`` with the command that the engine sends; it does not look at answers, so we do at the end."""
    with redis_server(REDIS_CORE) as server:
        command = in_loop(lambda: command_of(server, options))
        before = usage.measure(server.pid).cpu_seconds
        per_s = redis_benchmark(server, PUBLISHER_CORE, requests, command, pipeline=pipeline)
        used = usage.measure(server.pid).cpu_seconds - before
        if options is KEPT and in_loop(lambda: kept_in(server)) < requests:
            raise harness.BenchError("what redis-benchmark sends is not what publishes")
    return {"per_s": per_s, "redis_cpu_us": used / requests * 1e6}


def measure_server(history: bool, seconds: float, connections: int) -> harness.Figures:
    """The whole server, asked over HTTP."""
    channel = harness.RECOVERABLE if history else {}
    with redis_server(REDIS_CORE) as redis, harness.centrifast(redis=redis.address, **channel) as server:
        options = ("-c", str(connections), "-s")
        harness.http_load(server.port, "/api/publish", BODY, *options, "0.5")  # warm-up
        before = usage.measure(server.pid).cpu_seconds
        figures = harness.http_load(server.port, "/api/publish", BODY, *options, str(seconds))
        used = usage.measure(server.pid).cpu_seconds - before
    return {
        "per_s": figures["requests_per_s"],
        "p99_us": figures["p99_us"],
        "cpu_us": used / figures["requests"] * 1e6,
        "server_cpu_share": used / figures["seconds"],
    }


@click.command()
@click.option(
    "--publications", default=100_000, show_default=True, help="Of each measurement of engine and limit."
)
@click.option("--seconds", default=3.0, show_default=True, help="Of each measurement of the server.")
@click.option("--rounds", default=3, show_default=True, help="Of all in turn.")
@click.option("--history", is_flag=True, help="Keep publications.")
def main(publications: int, seconds: float, rounds: int, history: bool) -> None:
    """Publications per second through one Redis."""
    options = KEPT if history else PublishOptions()
    measures: dict[str, Callable[[], harness.Figures]] = {
        "benchmark": partial(measure_limit, options, publications, 1),
        "pipelined": partial(measure_limit, options, publications * 4, 16),
    }
    for at_once in CALLERS:
        measures[f"engine_{at_once}"] = partial(measure_engine, options, publications, at_once)
    for connections in CONNECTIONS:
        measures[f"http_{connections}"] = partial(measure_server, history, seconds, connections)
    results = harness.in_turn(rounds, measures)
    figures: harness.Figures = {"publications": publications, "rounds": rounds}
    for name, rows in results.items():
        figures |= {f"{name}_{figure}": harness.median(rows, figure) for figure in rows[0]}
        if name != "benchmark":
            figures[f"{name}_ratio"] = harness.ratio(rows, results["benchmark"], "per_s")
    harness.report("redis_history" if history else "redis", figures)


if __name__ == "__main__":
    main()
