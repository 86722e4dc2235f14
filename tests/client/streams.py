"""Channels with a stream: what tests of recovery, positions and presence share."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Raw

from centrifast.engine.contract import History, HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.presence import MemoryPresence
from centrifast.model import ClientInfo, StreamPosition
from centrifast.protocol.wire import ConnectResult, Info, Join, Leave, Pub, Push, Reply, SubscribeResult
from tests.client.fakes import OPEN, Far, SlowBroker, done, settle, subscribe, subscribed
from tests.fakes import FakeClock

EPOCH = "aaaaaaab"
"""What ``FakeClock`` calls the first stream."""

KEPT = HistoryOptions(5, 60.0, 3600.0)
STREAM = replace(OPEN, history_size=5, history_ttl=60.0)
POSITIONED = replace(STREAM, force_positioning=True)
RECOVERABLE = replace(STREAM, force_recovery=True)
CACHE = replace(RECOVERABLE, force_recovery_mode="cache")
SEEN = replace(
    OPEN,
    presence=True,
    join_leave=True,
    allow_presence_for_subscriber=True,
    allow_presence_for_client=True,
    allow_presence_for_anonymous=True,
)


def add(broker: SlowBroker, *payloads: bytes, channel: str = "news", **fields: Any) -> None:
    """Somebody publishes to a stream behind a slow broker."""
    for data in payloads:
        done(broker.inner.publish(channel, data, PublishOptions(history=KEPT, **fields)))


def pub(data: bytes, offset: int) -> Pub:
    return Pub(data=Raw(data), offset=offset, epoch=EPOCH if offset == 1 else "")


def recover(id_: int, offset: int, epoch: str = EPOCH, channel: str = "news", **fields: Any) -> Any:
    """The command of a client that comes back."""
    return subscribe(id_, channel, recover=True, offset=offset, epoch=epoch, **fields)


def recovered(id_: int, offset: int, *pubs: Pub, **fields: Any) -> Reply:
    """The reply to a client that has missed *pubs*."""
    return subscribed(id_, **recovery(offset, *pubs, **fields))


def recovery(offset: int, *pubs: Pub, **fields: Any) -> dict[str, Any]:
    """Fields of the result for a client that has missed *pubs*."""
    known = {
        "recoverable": True,
        "positioned": True,
        "was_recovering": True,
        "recovered": True,
        "epoch": EPOCH,
        "offset": offset,
        "publications": list(pubs) or None,
    }
    return known | fields


def positioned(id_: int, offset: int, **fields: Any) -> Reply:
    """The reply to somebody who starts at the top."""
    return subscribed(id_, **({"positioned": True, "epoch": EPOCH, "offset": offset} | fields))


def subs_of(reply: Reply) -> dict[str, SubscribeResult]:
    """Server-side subscriptions in the answer to connect."""
    assert isinstance(reply.connect, ConnectResult)
    return dict(reply.connect.subs or {})


def offsets_of(replies: list[Reply]) -> list[int]:
    """Offsets of the publications among pushes."""
    return [
        reply.push.pub.offset for reply in replies if reply.push is not None and reply.push.pub is not None
    ]


async def enter(client: Far, broker: SlowBroker, channel: str = "news") -> None:
    """Subscribe to a stream; the broker answers at once."""
    client.send(subscribe(2, channel))
    await let_all_go(broker)


async def let_all_go(broker: SlowBroker) -> None:
    """Let the broker do whatever it is asked, until nothing waits."""
    await settle()
    while broker.waiting:
        await broker.let_go(str(broker.waiting[0]))


@dataclass
class LateBroker(SlowBroker):
    """Reads history at once, but the answer is under way until the test lets ``answer`` go."""

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        history = await self.inner.history(channel, wanted, options)
        await self._wait("answer", channel)
        return history


class SlowPresence(MemoryPresence):
    """``contract.PresenceManager`` that waits until the test lets it go, request by request."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.gates: list[tuple[str, asyncio.Future[None]]] = []

    async def add(self, channel: str, info: ClientInfo) -> None:
        await self._wait("add")
        await super().add(channel, info)

    async def remove(self, channel: str, client: str, user: str) -> None:
        await self._wait("remove")
        await super().remove(channel, client, user)

    async def _wait(self, name: str) -> None:
        gate = asyncio.get_running_loop().create_future()
        item = name, gate
        self.gates.append(item)
        try:
            await gate
        finally:
            self.gates.remove(item)

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.gates]

    async def let_go(self, name: str, failure: Exception | None = None) -> None:
        """Let the first such request go, or fail, and everything happen that follows from it."""
        gate = next(gate for waiting, gate in self.gates if waiting == name)
        if failure is None:
            gate.set_result(None)
        else:
            gate.set_exception(failure)
        await settle()


def top(broker: SlowBroker, channel: str = "news") -> StreamPosition:
    """Where the stream is."""
    history: History = done(broker.inner.history(channel, HistoryFilter(), KEPT))
    return history.position


FORCED = replace(SEEN, force_push_join_leave=True)


def joined(client: Far, channel: str = "news") -> Reply:
    return Reply(push=Push(channel=channel, join=Join(Info(user="42", client=client.id))))


def left(client: Far, channel: str = "news") -> Reply:
    return Reply(push=Push(channel=channel, leave=Leave(Info(user="42", client=client.id))))
