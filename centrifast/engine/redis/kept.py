"""A command connection that is made again, in the background, whenever it ends."""

import asyncio
from collections.abc import Awaitable, Callable

from centrifast import log
from centrifast.clock import Clock
from centrifast.engine.redis.connection import Connection
from centrifast.engine.redis.contract import Reply, Script
from centrifast.engine.redis.wire import Command
from centrifast.limits import REDIS_PAUSE


async def pause(clock: Clock, seconds: float) -> None:
    """Wait by *clock*."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        timer.cancel()


class KeptConnection:
    """One server's connection; *dial* makes it. Nobody waits for it: while there is none, asking fails at once.

    *on_lost* is called whenever it has ended.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Connection]],
        clock: Clock,
        name: str,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._name = name
        self._connection: Connection | None = None
        self._since = 0.0
        self._on_lost = on_lost
        self._attempted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a command would find a connection now."""
        return self._connection is not None and self._connection.is_open

    @property
    def leads_to(self) -> str:
        """The place that it is, or was last, connected to."""
        return self._connection.name if self._connection is not None else ""

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return self._connection is None or self._connection.is_idle

    async def start(self) -> None:
        """Connect. Raises ``ConnectionError`` or ``TimeoutError``, and does not try again."""
        self._use(await self._dial())
        self._keeper = asyncio.create_task(self._keep())

    def start_later(self) -> None:
        """Connect in the background, however often it takes."""
        self._keeper = asyncio.create_task(self._keep())

    async def attempted(self) -> None:
        """Return when there is a connection, or none could be made just now."""
        await self._attempted.wait()

    def ask(self, command: Command) -> asyncio.Future[Reply]:
        """See ``Wire.ask``."""
        if self._connection is None:
            raise ConnectionError(f"there is no connection to Redis at {self._name}")
        return self._connection.ask(command)

    def teach(self, script: Script) -> None:
        """See ``Connection.teach``; nothing while there is no connection."""
        if self._connection is not None:
            self._connection.teach(script)

    def drop(self, reason: str) -> None:
        """End the connection because it leads to the wrong server; another is made. Not more often than it can be."""
        if self._connection is not None and self._age() >= REDIS_PAUSE:
            self._connection.abort(ConnectionError(f"connection to Redis at {self._name}: {reason}"))

    async def close(self) -> None:
        """End it for good; who waits gets ``ConnectionError``."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self._attempted.set()
        if self._connection is not None:
            self._connection.abort(ConnectionError(f"the connection to Redis at {self._name} is closed"))

    # -------------------------------------------------------------- inside

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._attempted.set()
        self._since = self._clock.monotonic()

    def _age(self) -> float:
        return self._clock.monotonic() - self._since

    async def _keep(self) -> None:
        while True:
            if self._connection is not None:
                await self._connection.lost
                self._attempted.clear()
                self._on_lost()
                log.error("Redis is away", shard=self._name, error=str(self._connection.error))
                if self._age() < REDIS_PAUSE:
                    await pause(self._clock, REDIS_PAUSE)
            await self._dial_until_it_works()
            log.info("Redis is there", shard=self._name)

    async def _dial_until_it_works(self) -> None:
        while True:
            try:
                self._use(await self._dial())
            except (ConnectionError, TimeoutError) as error:
                self._attempted.set()
                log.debug("Redis can not be reached", shard=self._name, error=str(error))
                await pause(self._clock, REDIS_PAUSE)
            else:
                return
