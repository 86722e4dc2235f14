"""The shared engine with both its halves in one loop, joined by a real pair of Unix sockets."""

import asyncio
import socket

from centrifast.engine.contract import BrokerEvents, Engine
from centrifast.engine.host import EngineHost
from centrifast.engine.memory import MemoryBroker
from centrifast.engine.presence import MemoryPresence
from centrifast.engine.shared import EngineLink, SharedBroker, SharedPresence
from tests.fakes import FakeClock


def memory_engine(clock: FakeClock, presence_ttl: float = 60.0) -> Engine:
    return Engine(MemoryBroker(clock), MemoryPresence(clock, presence_ttl))


async def join(host: EngineHost, link: EngineLink) -> None:
    """Connect a worker's link with the supervisor's."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    await loop.create_connection(host.protocol, sock=theirs)
    await loop.create_connection(link.protocol, sock=ours)


class LinkedBroker(SharedBroker):
    """A broker with a supervisor of its own."""

    def __init__(self, clock: FakeClock) -> None:
        self.link = EngineLink(clock, lambda: None)
        super().__init__(self.link)
        self.host = EngineHost(memory_engine(clock))

    async def start(self, events: BrokerEvents) -> None:
        await self.host.start()
        await join(self.host, self.link)
        await super().start(events)

    async def close(self) -> None:
        await super().close()
        await self.host.close()


class LinkedPresence(SharedPresence):
    """A presence manager with a supervisor of its own."""

    def __init__(self, clock: FakeClock, ttl: float) -> None:
        self.link = EngineLink(clock, lambda: None)
        super().__init__(self.link)
        self.host = EngineHost(memory_engine(clock, ttl))

    async def start(self) -> None:
        await self.host.start()
        await join(self.host, self.link)

    async def close(self) -> None:
        self.link.close()
        await self.host.close()
