"""PUB/SUB of one Redis in this process: everything arrives in the order in which it was published, one turn later."""

import asyncio
from collections.abc import Awaitable, Sequence

from centrifast.engine.redis.contract import PubSub, PubSubOwner, RedisError, Reply, Script


class Bus:
    """What a server is to its clients. *is_away*: nothing can be published; *refusal*: or it is refused."""

    def __init__(self) -> None:
        self.listeners: list[BusPubSub] = []
        self.published: list[tuple[bytes, bytes]] = []
        self.is_away = False
        self.refusal: RedisError | None = None

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver to whoever listens now; how many these are. Raises ``RedisError``."""
        if self.refusal is not None:
            raise self.refusal
        self.published.append((channel, message))
        heard_by = [listener for listener in self.listeners if channel in listener.channels]
        for listener in heard_by:
            asyncio.get_running_loop().call_soon(listener.hear, channel, message)
        return len(heard_by)


class BusPubSub:
    """``contract.PubSub``."""

    def __init__(self, bus: Bus, owner: PubSubOwner, service_channel: bytes) -> None:
        self._bus = bus
        self._owner = owner
        self._service_channel = service_channel
        self.channels: set[bytes] = set()

    @property
    def is_usable(self) -> bool:
        return self in self._bus.listeners

    async def start(self) -> None:
        if self._bus.is_away:
            raise ConnectionError("the bus is away")
        self.channels = {self._service_channel, *self._owner.wanted()}
        self._bus.listeners.append(self)

    async def subscribe(self, channel: bytes) -> None:
        self.channels.add(channel)

    async def unsubscribe(self, channel: bytes) -> None:
        self.channels.discard(channel)

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Nothing is heard until ``restore``."""
        if self in self._bus.listeners:
            self._bus.listeners.remove(self)

    async def restore(self) -> None:
        """As it is when a connection has been made again."""
        await self.start()
        self._owner.on_restored()

    def hear(self, channel: bytes, message: bytes) -> None:
        """Called by the bus."""
        if self.is_usable:
            self._owner.on_message(channel, message)


class BusShard:
    """``contract.Shard`` for one node; only ``PUBLISH`` is known."""

    is_cluster = False

    def __init__(self, bus: Bus, name: str = "bus") -> None:
        self.bus = bus
        self.name = name
        self.pubsubs: list[BusPubSub] = []
        self._is_open = True

    @property
    def is_usable(self) -> bool:
        return self._is_open and not self.bus.is_away

    async def start(self) -> None:
        pass

    def call(self, key: bytes, command: Sequence[bytes | str | int]) -> Awaitable[Reply]:
        return self._call(command)

    def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | str | int]
    ) -> Awaitable[Reply]:
        raise AssertionError("control needs no script")

    def pubsub(self, owner: PubSubOwner, service_channel: bytes, slot_key: bytes | None = None) -> PubSub:
        assert slot_key is None, "control messages go to all members of a cluster"
        pubsub = BusPubSub(self.bus, owner, service_channel)
        self.pubsubs.append(pubsub)
        return pubsub

    async def close(self) -> None:
        self._is_open = False

    async def _call(self, command: Sequence[bytes | str | int]) -> Reply:
        name, channel, message = command
        assert name == b"PUBLISH"
        assert isinstance(channel, bytes)
        assert isinstance(message, bytes)
        if not self.is_usable:
            raise ConnectionError("the bus is away")
        heard_by = self.bus.publish(channel, message)
        await asyncio.sleep(0)
        return heard_by
