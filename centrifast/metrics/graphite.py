"""Pushes metrics to Graphite every interval: a line each, as plain text over TCP (server specification 9.3).

A connection of its own for each push: nothing is kept while Graphite is away, and the next push finds it again. Its
loss is logged when it begins and when it ends, not in between.
"""

import asyncio
import re
from collections.abc import Iterable

from centrifast import log
from centrifast.clock import Clock, TimerHandle
from centrifast.config.schema_server import GraphiteConfig
from centrifast.limits import GRAPHITE_TIMEOUT
from centrifast.metrics.aggregate import Aggregate, Collect, Value

_NOT_IN_PATH = re.compile(r"[^A-Za-z0-9_:-]")
_NOT_IN_TAG = re.compile(r"[^!-:<-}]")  # printable ASCII without the blank, the semicolon and the tilde


def lines_of(values: Iterable[Value], prefix: str, unix: float, *, tags: bool) -> bytes:
    """What Graphite reads: path, value, time. With *tags* labels are tags (Graphite 1.1), else parts of the path."""
    return "".join(
        f"{prefix}.{_tagged(value) if tags else _pathed(value)} {_number(value)} {int(unix)}\n"
        for value in values
    ).encode()


def path_part(text: str) -> str:
    """*text* as one part of a path: a dot would make it two."""
    return _NOT_IN_PATH.sub("_", text)


def _pathed(value: Value) -> str:
    return ".".join((value.name, *(path_part(part) for label in value.labels for part in label)))


def _tagged(value: Value) -> str:
    return ";".join((value.name, *(f"{label}={_NOT_IN_TAG.sub('_', said)}" for label, said in value.labels)))


def _number(value: Value) -> str:
    return f"{value.value:.6f}".rstrip("0").rstrip(".")


class Graphite:
    """Pushes what *collect* finds, as the node called *name*."""

    def __init__(self, config: GraphiteConfig, name: str, collect: Collect, clock: Clock) -> None:
        self._config = config
        self._prefix = f"{config.prefix}.{path_part(name)}" if config.prefix else path_part(name)
        self._aggregate = Aggregate(collect, clock, config.interval)
        self._clock = clock
        self._timer: TimerHandle | None = None
        self._push: asyncio.Task[None] | None = None
        self._is_away = False

    def start(self) -> None:
        """Push for the first time after one interval."""
        self._timer = self._clock.call_later(self._config.interval, self._on_interval)

    async def close(self) -> None:
        """Push no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._push is not None:
            self._push.cancel()
            await asyncio.wait([self._push])

    def _on_interval(self) -> None:
        self.start()
        if (
            self._push is not None
        ):  # the last one still hangs: the next takes what is added until then as well
            return
        self._aggregate.look()
        values, unix = self._aggregate.values(), self._clock.unix()
        lines = lines_of(values, self._prefix, unix, tags=self._config.tags)
        self._push = asyncio.get_running_loop().create_task(self._send(lines))
        self._push.add_done_callback(self._on_sent)

    def _on_sent(self, push: "asyncio.Task[None]") -> None:
        self._push = None
        if push.cancelled():
            return
        error = push.exception()
        if error is not None and not self._is_away:
            log.error("metrics are not taken by Graphite", host=self._config.host, detail=str(error))
        elif error is None and self._is_away:
            log.info("metrics are taken by Graphite again", host=self._config.host)
        self._is_away = error is not None

    async def _send(self, lines: bytes) -> None:
        """Raises ``OSError``, or ``TimeoutError`` when it takes longer than ``GRAPHITE_TIMEOUT``."""
        async with asyncio.timeout(GRAPHITE_TIMEOUT):
            _, writer = await asyncio.open_connection(self._config.host, self._config.port)
            try:
                writer.write(lines)
                await writer.drain()
            finally:
                writer.close()
            await writer.wait_closed()
