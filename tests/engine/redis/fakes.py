"""The other side of the contracts of this package: a shard whose PUB/SUB connection does what a test says."""

import asyncio
from collections.abc import Awaitable, Sequence

from centrifast.engine.redis.contract import PubSubOwner, Reply, Script


class FakePubSub:
    """``contract.PubSub``; requests wait while *gate* is there, and fail with *failure*."""

    def __init__(self) -> None:
        self.is_usable = True
        self.subscribed: set[bytes] = set()
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None
        self.is_closed = False

    async def start(self) -> None:
        self.is_usable = True

    async def subscribe(self, channel: bytes) -> None:
        await self._answer()
        self.subscribed.add(channel)

    async def unsubscribe(self, channel: bytes) -> None:
        await self._answer()
        self.subscribed.discard(channel)

    async def close(self) -> None:
        self.is_closed = True

    async def _answer(self) -> None:
        if not self.is_usable:
            raise ConnectionError("away")
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure


class FakeShard:
    """``contract.Shard`` that notes what it is asked and answers *reply*."""

    def __init__(self, *, is_cluster: bool = False) -> None:
        self.name = "fake"
        self.is_cluster = is_cluster
        self.is_usable = True
        self.reply: Reply = None
        self.asked: list[tuple[bytes, Sequence[bytes | str | int]]] = []
        self.pubsubs: list[tuple[bytes, bytes | None, FakePubSub]] = []

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        self.asked.append((key, command))
        return self._answer()

    def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | str | int]
    ) -> Awaitable[Reply]:
        self.asked.append((keys[0], (script.name, *keys, *args)))
        return self._answer()

    def pubsub(self, owner: PubSubOwner, service_channel: bytes, slot_key: bytes | None = None) -> FakePubSub:
        pubsub = FakePubSub()
        self.pubsubs.append((service_channel, slot_key, pubsub))
        return pubsub

    async def _answer(self) -> Reply:
        return self.reply
