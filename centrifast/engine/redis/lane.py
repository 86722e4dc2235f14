"""One PUB/SUB connection that is made again whenever it ends (engines specification 3.7.1 and 3.7.2).

::

    connect ─▶ service channel ─▶ all that is wanted, in batches ─▶ usable ─▶ lost ─▶ 250 ms ─▶ connect ...

While it is not usable, nobody is kept waiting: subscribing fails at once. ``probe`` sees to it that a lane which hears
nothing can hear.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.contract import FAILURES, PubSubOwner, RedisError, Reply
from centrifast.engine.redis.kept import pause
from centrifast.engine.redis.probe import PROBE, PROBE_INTERVAL, Probe
from centrifast.engine.redis.pubsub_wire import PubSubWire
from centrifast.limits import REDIS_PAUSE, REDIS_REQUESTS, SUBSCRIBE_BATCH, SUBSCRIBE_BATCHES_AT_ONCE

MakeWire = Callable[[Clock, str, float], PubSubWire]

_Waiting = tuple[bool, bytes, asyncio.Future[Reply]]
"""Whether to subscribe, the channel, and who waits."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a lane reaches its shard; both raise ``ConnectionError`` or ``TimeoutError``."""

    name: str
    dial: Callable[[MakeWire], Awaitable[PubSubWire]]
    """Connects to where the lane's channels are."""

    publish: Callable[[bytes, bytes], Awaitable[Reply]] | None = None
    """Publishes to a channel, by the command connection; raises ``RedisError`` too. None: the lane is not probed."""


class Lane:
    """``contract.PubSub``. *count* is told the label of each error, as ``redis_pub_sub_errors`` has it."""

    def __init__(
        self,
        route: Route,
        owner: PubSubOwner,
        service_channel: bytes,
        clock: Clock,
        *,
        is_sharded: bool = False,
        count: Callable[[str], None] = lambda label: None,
        probe_interval: float = PROBE_INTERVAL,
    ) -> None:
        self._route = route
        self._owner = owner
        self._service_channel = service_channel
        self._clock = clock
        self._subscribe, self._unsubscribe = (
            (b"ssubscribe", b"sunsubscribe") if is_sharded else (b"subscribe", b"unsubscribe")
        )
        self._count = count
        self._wire: PubSubWire | None = None
        self._is_usable = False
        self._waiting: list[_Waiting] = []  # asked in this turn of the loop
        self._keeper: asyncio.Task[None] | None = None
        publish = route.publish
        self._probe = (
            None
            if publish is None
            else Probe(self, lambda: publish(service_channel, PROBE), clock, count, probe_interval)
        )

    @property
    def is_usable(self) -> bool:
        """See ``PubSub.is_usable``."""
        return self._is_usable and self._wire is not None and self._wire.is_open

    @property
    def leads_to(self) -> str:
        """The place that it is, or was last, connected to."""
        return self._wire.name if self._wire is not None else ""

    @property
    def messages(self) -> int:
        """Messages that have come by the present connection, probes too."""
        return self._wire.messages if self._wire is not None else 0

    async def start(self) -> None:
        """See ``PubSub.start``."""
        try:
            await self._open()
        except RedisError as error:
            raise ConnectionError(f"Redis at {self._route.name} refuses to subscribe: {error}") from None
        self._keeper = asyncio.create_task(self._keep())
        if self._probe is not None:
            self._probe.start()

    async def subscribe(self, channel: bytes) -> None:
        """See ``PubSub.subscribe``."""
        await self._ask(True, channel)

    async def unsubscribe(self, channel: bytes) -> None:
        """See ``PubSub.unsubscribe``."""
        await self._ask(False, channel)

    async def close(self) -> None:
        """See ``PubSub.close``."""
        if self._probe is not None:
            self._probe.close()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self.restart("it is closed")

    def restart(self, reason: str) -> None:
        """End the connection; another is made."""
        if self._wire is not None:
            self._wire.abort(ConnectionError(f"PUB/SUB connection to Redis at {self._wire.name}: {reason}"))

    # -------------------------------------------------------------- changes

    async def _ask(self, is_subscribe: bool, channel: bytes) -> None:
        if not self.is_usable:
            raise ConnectionError(f"there is no PUB/SUB connection to Redis at {self._route.name}")
        if len(self._waiting) >= REDIS_REQUESTS:
            raise ConnectionError(
                f"{REDIS_REQUESTS} subscriptions wait for Redis at {self._route.name} already"
            )
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((is_subscribe, channel, answer))
        try:
            await answer
        except RedisError as error:
            raise ConnectionError(f"Redis at {self._route.name} refuses: {error}") from None

    def _flush(self) -> None:
        """Send what was asked in this turn, in its order, many channels in one command."""
        waiting, self._waiting = self._waiting, []
        start = 0
        while start < len(waiting):
            is_subscribe = waiting[start][0]
            end = start + 1
            while end < len(waiting) and end - start < SUBSCRIBE_BATCH and waiting[end][0] is is_subscribe:
                end += 1
            _, channels, answers = zip(*waiting[start:end], strict=True)
            try:
                assert self._wire is not None
                self._wire.change(self._subscribe if is_subscribe else self._unsubscribe, channels, answers)
            except ConnectionError as error:
                for answer in answers:
                    if not answer.done():
                        answer.set_exception(ConnectionError(str(error)))
            start = end

    # ----------------------------------------------------------- connection

    async def _open(self) -> None:
        """Connect and subscribe to all that is wanted. Raises ``ConnectionError``, ``TimeoutError``, ``RedisError``."""
        stage = "connection"
        try:
            wire = self._wire = await self._route.dial(self._make)
            stage = "subscribe_shard_channel"
            await self._batch(wire, [self._service_channel])
            stage = "subscribe_channel"
            await self._subscribe_all(wire)
            wire.check()
        except FAILURES:
            self._count(stage)
            self.restart("it could not subscribe")
            raise
        except asyncio.CancelledError:
            self.restart("it is closed")
            raise
        self._is_usable = True

    def _make(self, clock: Clock, name: str, io_timeout: float) -> PubSubWire:
        return PubSubWire(clock, name, io_timeout, self._hear, lambda: self._count("handle_client_message"))

    def _hear(self, channel: bytes, message: bytes) -> None:
        if message != PROBE or channel != self._service_channel:
            self._owner.on_message(channel, message)

    async def _subscribe_all(self, wire: PubSubWire) -> None:
        wanted = [channel for channel in self._owner.wanted() if channel != self._service_channel]
        at_once = SUBSCRIBE_BATCH * SUBSCRIBE_BATCHES_AT_ONCE
        for first in range(0, len(wanted), at_once):
            some = wanted[first : first + at_once]
            batches = [
                some[start : start + SUBSCRIBE_BATCH] for start in range(0, len(some), SUBSCRIBE_BATCH)
            ]
            await asyncio.gather(*(self._batch(wire, batch) for batch in batches))

    def _batch(self, wire: PubSubWire, channels: Sequence[bytes]) -> asyncio.Future[Reply]:
        """Subscribe to several channels; done when the last of them is confirmed."""
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        wire.change(self._subscribe, channels, [*[None] * (len(channels) - 1), done])
        return done

    async def _keep(self) -> None:
        """Make the connection again, for ever."""
        while True:
            assert self._wire is not None
            await self._wire.lost
            self._is_usable = False
            log.error("PUB/SUB connection is lost", shard=self._route.name, error=str(self._wire.error))
            self._count("connection")
            while not self._is_usable:
                await pause(self._clock, REDIS_PAUSE)
                try:
                    await self._open()
                except FAILURES as error:
                    log.debug("PUB/SUB connection can not be made", shard=self._route.name, error=str(error))
            log.info("PUB/SUB connection is made again", shard=self._route.name)
            self._owner.on_restored()
