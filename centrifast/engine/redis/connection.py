"""The connection for commands, shared by all who ask; and how any connection is made and introduces itself."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import hiredis

from centrifast.clock import Clock
from centrifast.engine.redis.contract import RedisError, Reply, Script
from centrifast.engine.redis.settings import Login, Place, client_tls_context
from centrifast.engine.redis.wire import MORE, PING, Command, Wire, pack
from centrifast.limits import REDIS_REQUESTS

W = TypeVar("W", bound=Wire)


def _unheard(error: RedisError) -> None:
    """Nobody wants to know."""


class Connection(Wire):
    """Requests of many, answered in their order. Not for commands that block, or that change what replies mean.

    *on_error* is told of every error that Redis answers. A map of RESP3 comes as a flat list, as in RESP2.
    """

    def __init__(
        self, clock: Clock, name: str, io_timeout: float, on_error: Callable[[RedisError], None] = _unheard
    ) -> None:
        super().__init__(clock, name, io_timeout)
        self._waiting: deque[asyncio.Future[Reply] | None] = deque()  # None: nobody wants to know
        self._on_error = on_error
        self._taught: set[bytes] = set()  # digests of scripts

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiting

    def ask(self, command: Command) -> asyncio.Future[Reply]:
        """See ``Wire.ask``."""
        self.check()
        waiting = self._waiting
        if len(waiting) >= REDIS_REQUESTS:
            raise ConnectionError(f"{REDIS_REQUESTS} requests wait for Redis at {self.name} already")
        self._send(pack(command))
        answer = self._loop.create_future()
        waiting.append(answer)
        return answer

    def teach(self, script: Script) -> None:
        """Have the server know a script before anything that is asked from here on.

        Once for each connection: a server may be another one, or have been started again. If it is not allowed to be
        taught, or has been told to forget, it says so when the script is called.
        """
        if script.sha1 not in self._taught and self.is_open:
            self._taught.add(script.sha1)
            self._waiting.append(None)
            self._send(pack(("SCRIPT", "LOAD", script.source)))

    def _take(self) -> None:
        gets = self._reader.gets
        waiting = self._waiting
        while (reply := gets()) is not MORE:
            kind = type(reply)
            if kind is hiredis.PushNotification:
                continue  # nobody has asked for any
            if not waiting:
                self.abort(ConnectionError(f"Redis at {self.name} answers what nobody has asked"))
                return
            answer = waiting.popleft()
            self._answered += 1
            if kind is RedisError:
                self._on_error(reply)
                if answer is not None and not answer.done():
                    answer.set_exception(reply)
            elif answer is not None and not answer.done():
                answer.set_result(reply if kind is bytes or kind is int or kind is list else plain(reply))

    def _fail(self) -> None:
        while self._waiting:
            answer = self._waiting.popleft()
            if answer is not None and not answer.done():
                answer.set_exception(self.error)

    def _waiting_count(self) -> int:
        return len(self._waiting)

    def _ping(self) -> None:
        self._waiting.append(None)
        self._send(PING)


def plain(reply: Reply) -> Reply:
    """What RESP2 would have answered: maps flat, numbers as they are written."""
    if isinstance(reply, dict):
        return [part for pair in reply.items() for part in pair]
    if isinstance(reply, bool):
        return int(reply)
    if isinstance(reply, float):
        return b"%.17g" % reply
    return reply


class Dialer:
    """Makes connections and logs in, always in the same way. Raises what ``ssl`` raises for unusable certificates."""

    def __init__(
        self,
        login: Login,
        clock: Clock,
        *,
        connect_timeout: float,
        io_timeout: float,
        db: int = 0,
        resp2: bool = False,
    ) -> None:
        self._login = login
        self._tls = client_tls_context(login.tls) if login.tls.enabled else None
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._io_timeout = io_timeout
        self._db = db
        self._resp2 = resp2

    async def connect(self, place: Place, make: Callable[[Clock, str, float], W]) -> W:
        """A connection made by *make*, logged in and answering. Raises ``ConnectionError`` or ``TimeoutError``."""
        wire = make(self._clock, str(place), self._io_timeout)
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._open(place, wire)
                await self._greet(wire)
        except TimeoutError:
            wire.abort(ConnectionError("given up"))
            raise TimeoutError(f"Redis at {place} has not answered for {self._connect_timeout:g} s") from None
        except RedisError as error:
            wire.abort(ConnectionError("given up"))
            raise ConnectionError(f"Redis at {place} refuses: {error}") from None
        except OSError as error:
            wire.abort(ConnectionError("given up"))
            reason = error.strerror or str(error)
            raise ConnectionError(f"Redis at {place} can not be reached: {reason}") from error
        except asyncio.CancelledError:
            wire.abort(ConnectionError("given up"))
            raise
        return wire

    async def _open(self, place: Place, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        if place.path:
            await loop.create_unix_connection(lambda: wire, place.path)
            return
        name = (self._login.tls.server_name or place.host) if self._tls else None
        await loop.create_connection(
            lambda: wire, place.host, place.port, ssl=self._tls, server_hostname=name
        )

    async def _greet(self, wire: Wire) -> None:
        """Introduce oneself, and see that commands are answered (not while data is loaded, or without a password)."""
        login = self._login
        if self._resp2 or not await self._hello(wire):
            if login.user or login.password:
                await wire.ask(("AUTH", *filter(None, [login.user]), login.password))
            if login.client_name:
                await wire.ask(("CLIENT", "SETNAME", login.client_name))
        if self._db:
            await wire.ask(("SELECT", self._db))
        await wire.ask(("PING",))

    async def _hello(self, wire: Wire) -> bool:
        """Agree on RESP3; False if the server is too old for that."""
        login = self._login
        words = ["HELLO", "3"]
        if login.user or login.password:
            words += ["AUTH", login.user or "default", login.password]
        if login.client_name:
            words += ["SETNAME", login.client_name]
        try:
            await wire.ask(tuple(words))
        except RedisError as error:
            # Where HELLO is unknown, a server with a password asks for that first. No text of these is ever shown:
            # it repeats the words, and so the password.
            if error.code in ("NOPROTO", "NOAUTH") or "unknown command" in str(error).lower():
                return False
            raise
        return True
