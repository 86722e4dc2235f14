"""How the parts of the Redis engine meet: commands go to a ``Shard``, messages come from a ``PubSub``.

A shard is one place where channels are kept: a server, a master behind Sentinels, or a whole cluster. Everything of one
channel lives on one shard (engines specification 3.8).
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

Reply = Any
"""What Redis answers: bytes, int, None, or a list of these; its errors are raised."""


class Script(msgspec.Struct, frozen=True):
    """A Lua script, run by its digest; the server learns it when it does not know it."""

    name: str
    source: bytes
    sha1: bytes


class RedisError(Exception):
    """Redis answered a command with an error: *code* is its first word (``OOM``, ``NOSCRIPT``, ``WRONGTYPE``)."""

    @property
    def code(self) -> str:
        """The first word of the text."""
        return str(self).partition(" ")[0]


FAILURES = (ConnectionError, TimeoutError, RedisError)
"""Every way in which a command may fail: nobody is there, nobody answers, or the answer is an error."""


class PubSubOwner(Protocol):
    """Who is told what a PUB/SUB connection hears. All of it happens in the loop's thread; nothing may raise."""

    def on_message(self, channel: bytes, message: bytes) -> None:
        """A message of a Redis channel, in the order in which Redis sent them."""

    def wanted(self) -> Iterable[bytes]:
        """Every Redis channel that is wanted now: they are subscribed to when a connection has been made."""

    def on_restored(self) -> None:
        """All that is *wanted* is subscribed to again, after the connection was lost."""


class PubSub(Protocol):
    """One PUB/SUB connection, made again whenever it ends."""

    @property
    def is_usable(self) -> bool:
        """Whether a connection exists and everything wanted has been subscribed to on it."""

    async def start(self) -> None:
        """Connect and subscribe. Raises ``ConnectionError`` or ``TimeoutError`` when that can not be done now."""

    async def subscribe(self, channel: bytes) -> None:
        """Return when Redis has confirmed. Raises ``ConnectionError``, at once while not usable, or ``TimeoutError``.

        Requests of one turn of the loop leave together.
        """

    async def unsubscribe(self, channel: bytes) -> None:
        """The same; one that is not subscribed is no error."""

    async def close(self) -> None:
        """Disconnect; no message follows."""


class Shard(Protocol):
    """Commands to one shard. All raise ``ConnectionError`` or ``TimeoutError`` when it is away, ``RedisError``.

    Nothing is ever sent twice: who asked decides. What is asked in one turn of the loop leaves in one write.
    """

    name: str  # its address, for people; without a password
    is_cluster: bool

    @property
    def is_usable(self) -> bool:
        """Whether a command would find a connection now."""

    async def start(self) -> None:
        """Connect. Raises when that can not be done: a server does not start without its engine."""

    def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        """One command, sent to whoever has *key*."""

    def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | str | int]
    ) -> Awaitable[Reply]:
        """A script, sent to whoever has its first key; all keys must be of one slot."""

    def pubsub(self, owner: PubSubOwner, service_channel: bytes, slot_key: bytes | None = None) -> PubSub:
        """A PUB/SUB connection of its own, not started yet; it always subscribes to *service_channel* too.

        With *slot_key* it is one for sharded PUB/SUB (``SSUBSCRIBE``), connected to whoever has that key.
        """

    async def close(self) -> None:
        """Let go of all connections; what still waits fails with ``ConnectionError``."""
