"""The supervisor's half of the shared engine: one memory engine, served to its workers.

A publication is encoded once and goes to each worker that has a subscriber. The engine never waits, so requests of all
workers are carried out one after another, each whole (invariant 2).

When a worker is gone its channels are forgotten, its clients leave presence, and those who watch are told. While one
does not read as fast as others publish, nobody's requests are read: publishers wait. A worker that hangs for good is
replaced by whoever watches over it, and its link is lost then.
"""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from centrifast import log
from centrifast.engine.contract import PUBLISHED, Engine
from centrifast.engine.link import Link
from centrifast.engine.messages import (
    AddPresence,
    Answer,
    Call,
    CallAnswered,
    Called,
    Done,
    HistoryRead,
    Message,
    OnCall,
    OnJoin,
    OnLeave,
    OnPublication,
    PresenceRead,
    Publish,
    Published,
    PublishJoin,
    PublishLeave,
    ReadHistory,
    ReadPresence,
    ReadStats,
    Refused,
    RemoveHistory,
    RemovePresence,
    Said,
    StatsRead,
    Subscribe,
    Unsubscribe,
    decode_said,
    encode,
)
from centrifast.errors import ClientError
from centrifast.metrics.metrics import Metrics
from centrifast.model import ClientInfo, Publication, StreamPosition

T = TypeVar("T")


class _Worker:
    """What one worker has asked for: all of it ends with its link."""

    __slots__ = ("channels", "joined", "link", "present")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.channels: set[str] = set()
        self.present: dict[str, dict[str, ClientInfo]] = {}
        self.joined: dict[str, dict[str, ClientInfo]] = {}


class _Call:
    """A call that other workers carry out."""

    __slots__ = ("answers", "asked", "caller", "id")

    def __init__(self, caller: Link, number: int, asked: set[Link]) -> None:
        self.caller = caller
        self.id = number  # the caller's
        self.asked = asked  # who has not answered
        self.answers: list[bytes] = []


class EngineHost:
    """Serves *engine*, none of whose methods ever waits, to any number of links; ``contract.BrokerEvents``."""

    def __init__(self, engine: Engine) -> None:
        self._broker, self._presence = engine.broker, engine.presence
        self._workers: dict[Link, _Worker] = {}
        self._subscribed: dict[str, list[Link]] = {}
        self._crowded: set[Link] = set()
        self._calls: dict[int, _Call] = {}
        self._call_number = 0
        self.metrics = Metrics()  # a memory engine counts nothing there

    async def start(self) -> None:
        """Begin to serve."""
        await self._presence.start()
        await self._broker.start(self)

    async def close(self) -> None:
        """Let go of all workers and of the engine."""
        for link in tuple(self._workers):
            link.close()
        await self._broker.close()
        await self._presence.close()

    def protocol(self) -> Link:
        """Make the protocol of the socket of one more worker."""
        link = Link(self)
        self._workers[link] = _Worker(link)
        return link

    # ------------------------------------------------- called by a link

    def on_message(self, link: Link, message: bytes) -> None:
        """Carry out a request and answer it."""
        worker = self._workers.get(link)
        if worker is None:
            return
        said = decode_said(message)
        try:
            answer = self._carry_out(worker, said)
        except ClientError as refused:
            answer = Refused(said.id, refused.error.code)
        if answer is not None:
            link.send(encode(answer))

    def on_crowded(self, link: Link, is_crowded: bool) -> None:
        """Read from nobody while somebody does not keep up."""
        was_crowded = bool(self._crowded)
        if is_crowded:
            self._crowded.add(link)
        else:
            self._crowded.discard(link)
        if was_crowded == bool(self._crowded):
            return
        for other in self._workers:
            if was_crowded:
                other.resume_reading()
            else:
                other.pause_reading()

    def on_lost(self, link: Link) -> None:
        """Forget a worker and everything it held."""
        self.on_crowded(link, False)
        worker = self._workers.pop(link, None)
        if worker is None:
            return
        for number in [number for number, call in self._calls.items() if link in call.asked]:
            self._answered(number, link)
        clients = sum(map(len, worker.present.values()))
        log.debug("worker link closed", channels=len(worker.channels), presence=clients)
        for channel in tuple(worker.channels):
            self._unsubscribe(worker, channel)
        for channel, present in worker.present.items():
            for info in present.values():
                at_once(self._presence.remove(channel, info.client, info.user))
        for channel, joined in worker.joined.items():
            for info in joined.values():
                at_once(self._broker.publish_leave(channel, info))

    # ------------------------------------------------ called by the engine

    def on_publication(
        self, channel: str, publication: Publication, position: StreamPosition, previous: Publication | None
    ) -> None:
        """Tell those who have subscribers."""
        self._tell(channel, OnPublication(channel, publication, position, previous))

    def on_join(self, channel: str, info: ClientInfo) -> None:
        """Tell those who have subscribers."""
        self._tell(channel, OnJoin(channel, info))

    def on_leave(self, channel: str, info: ClientInfo) -> None:
        """Tell those who have subscribers."""
        self._tell(channel, OnLeave(channel, info))

    def on_interrupted(self, channels: Sequence[str]) -> None:
        """What is in this process is never interrupted."""

    def on_rewound(self, channel: str) -> None:
        """It does not go back either."""

    # -------------------------------------------------------------- inside

    def _tell(self, channel: str, event: Message) -> None:
        links = self._subscribed.get(channel)
        if links:
            message = encode(event)
            for link in links:
                link.send(message)

    def _carry_out(self, worker: _Worker, said: Said) -> Answer | None:
        """Do what a worker says; the answer, if there is one by now. What comes most often stands first.

        Raises ClientError.
        """
        match said:
            case Publish(number, channel, data, options):
                result = at_once(self._broker.publish(channel, data, options))
                return Done(number) if result is PUBLISHED else Published(number, result)
            case Subscribe(_, channel):
                self._subscribe(worker, channel)
            case Unsubscribe(_, channel):
                self._unsubscribe(worker, channel)
            case PublishJoin(_, channel, info):
                worker.joined.setdefault(channel, {})[info.client] = info
                at_once(self._broker.publish_join(channel, info))
            case PublishLeave(_, channel, info):
                forget(worker.joined, channel, info.client)
                at_once(self._broker.publish_leave(channel, info))
            case ReadHistory(number, channel, wanted, options):
                return HistoryRead(number, at_once(self._broker.history(channel, wanted, options)))
            case RemoveHistory(_, channel):
                at_once(self._broker.remove_history(channel))
            case AddPresence(_, channel, info):
                worker.present.setdefault(channel, {})[info.client] = info
                at_once(self._presence.add(channel, info))
            case RemovePresence(_, channel, client, user):
                forget(worker.present, channel, client)
                at_once(self._presence.remove(channel, client, user))
            case ReadPresence(number, channel):
                return PresenceRead(number, at_once(self._presence.presence(channel)))
            case ReadStats(number, channel):
                return StatsRead(number, at_once(self._presence.stats(channel)))
            case Call():
                self._call(worker.link, said)
                return None
            case CallAnswered(number, answer):
                self._answered(number, worker.link, answer)
                return None
        return Done(said.id)

    def _call(self, caller: Link, request: Call) -> None:
        """Ask all others; who has to wait for nobody is answered at once."""
        others = {link for link in self._workers if link is not caller and link.is_open}
        if not others:
            caller.send(encode(Called(request.id, ())))
            return
        self._call_number += 1
        self._calls[self._call_number] = _Call(caller, request.id, others)
        message = encode(OnCall(self._call_number, request.name, request.data))
        for link in tuple(others):
            link.send(message)

    def _answered(self, number: int, link: Link, answer: bytes | None = None) -> None:
        """One worker has answered, or can not any more; when all have, so is the caller."""
        call = self._calls.get(number)
        if call is None or link not in call.asked:
            return
        call.asked.discard(link)
        if answer is not None:
            call.answers.append(answer)
        if not call.asked:
            del self._calls[number]
            call.caller.send(encode(Called(call.id, call.answers)))

    def _subscribe(self, worker: _Worker, channel: str) -> None:
        if channel in worker.channels:
            return
        worker.channels.add(channel)
        links = self._subscribed.get(channel)
        if links is None:
            self._subscribed[channel] = [worker.link]
            at_once(self._broker.subscribe(channel))
        else:
            links.append(worker.link)

    def _unsubscribe(self, worker: _Worker, channel: str) -> None:
        if channel not in worker.channels:
            return
        worker.channels.discard(channel)
        links = self._subscribed[channel]
        links.remove(worker.link)
        if not links:
            del self._subscribed[channel]
            at_once(self._broker.unsubscribe(channel))


def forget(clients: dict[str, dict[str, ClientInfo]], channel: str, client: str) -> None:
    """Take a client out of what is held by channel."""
    held = clients.get(channel)
    if held is not None and held.pop(client, None) is not None and not held:
        del clients[channel]


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of an engine that never waits. Raises what it raises, and ``RuntimeError`` if it waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("an engine that waits can not be shared this way")
