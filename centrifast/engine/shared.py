"""A worker's half of the shared engine: the contract, carried out by the supervisor (``host``).

Requests go out in the order of the calls and are carried out in that order, so what one client does to presence takes
effect as it was done. An event that a request caused is delivered before the request returns.
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, Protocol

from centrifast import eager
from centrifast.clock import Clock, TimerHandle
from centrifast.engine.contract import (
    PUBLISHED,
    BrokerEvents,
    History,
    HistoryFilter,
    HistoryOptions,
    PublishOptions,
    PublishResult,
)
from centrifast.engine.link import Link
from centrifast.engine.messages import (
    AddPresence,
    CallAnswered,
    Done,
    Event,
    HistoryRead,
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
    Request,
    StatsRead,
    Subscribe,
    Unsubscribe,
    decode_told,
    encode,
)
from centrifast.errors import CLIENT_ERRORS, INTERNAL, ClientError
from centrifast.limits import ENGINE_REQUESTS, ENGINE_TIMEOUT
from centrifast.model import ClientInfo, PresenceStats

_SWEEP = 1.0
"""Seconds between two looks at requests that wait: a timeout is late by up to as much."""

_ERRORS = {error.code: error for error in CLIENT_ERRORS}


class RawCalls(Protocol):
    """Who carries out what other workers ask for (``shared_control``)."""

    async def on_call(self, name: str, data: bytes) -> bytes | None:
        """The answer, None if there is none. Raises nothing."""


class _Answer(eager.Reply[Any]):
    """What a request waits for until *deadline*; one that is cancelled takes itself out of those that *wait*."""

    def __init__(
        self, number: int, deadline: float, waiting: "dict[int, _Answer]", loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(loop=loop)
        self.deadline = deadline
        self.number = number
        self._waiting = waiting

    def cancel(self, msg: Any = None) -> bool:
        """Forget the request, too."""
        self._waiting.pop(self.number, None)
        return super().cancel(msg)


class EngineLink:
    """The connection to the supervisor, which both halves of the engine use. *on_lost*: the supervisor is gone."""

    _loop: asyncio.AbstractEventLoop

    def __init__(self, clock: Clock, on_lost: Callable[[], None]) -> None:
        self._clock = clock
        self._on_lost = on_lost
        self._events: BrokerEvents | None = None
        self._calls: RawCalls | None = None
        self._running: set[asyncio.Task[None]] = set()  # calls of other workers
        self._link: Link | None = None
        self._number = 0
        self._waiting: dict[int, _Answer] = {}  # in the order of their deadlines
        self._timer: TimerHandle | None = None

    def protocol(self) -> Link:
        """Make the protocol of the socket to the supervisor."""
        self._loop = asyncio.get_running_loop()
        self._link = Link(self)
        return self._link

    def listen(self, events: BrokerEvents) -> None:
        """Deliver to *events* from here on."""
        self._events = events

    def take_calls(self, calls: RawCalls) -> None:
        """Have *calls* carry out what other workers ask for from here on."""
        self._calls = calls

    def ask(self, make: Callable[[int], Request]) -> eager.Reply[Any]:
        """Send a request, given its number; the answer is to be awaited.

        Raises ``ConnectionError`` when the supervisor is gone or too many requests wait, ``TimeoutError``, and
        ``ClientError`` when it was refused.
        """
        if self._link is None:
            raise ConnectionError("the supervisor is gone")
        if len(self._waiting) >= ENGINE_REQUESTS:
            raise ConnectionError(f"{ENGINE_REQUESTS} requests to the engine wait already")
        self._number += 1
        number = self._number
        deadline = self._clock.monotonic() + ENGINE_TIMEOUT
        answer = self._waiting[number] = _Answer(number, deadline, self._waiting, self._loop)
        if self._timer is None:
            self._timer = self._clock.call_later(_SWEEP, self._sweep)
        self._link.send(encode(make(number)))
        return answer

    def close(self) -> None:
        """Let go of the supervisor; no event follows."""
        self._events = self._calls = None
        for task in self._running:
            task.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._end_requests()

    # ------------------------------------------------- called by the link

    def on_message(self, link: Link, message: bytes) -> None:
        """An answer wakes who waits for it; an event is delivered at once."""
        told = decode_told(message)
        if isinstance(told, Event):
            self._on_event(told)
            return
        answer = self._waiting.pop(told.id, None)
        if answer is None:
            return
        if isinstance(told, Refused):
            answer.fail(ClientError(_ERRORS.get(told.code, INTERNAL)))
        else:
            answer.give(told)

    def _on_event(self, told: Event) -> None:
        if isinstance(told, OnPublication):
            if self._events is not None:
                self._events.on_publication(told.channel, told.publication, told.position, told.previous)
        elif isinstance(told, OnJoin):
            if self._events is not None:
                self._events.on_join(told.channel, told.info)
        elif isinstance(told, OnLeave):
            if self._events is not None:
                self._events.on_leave(told.channel, told.info)
        elif isinstance(told, OnCall):
            task = eager.start(self._carry_out(told))
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def on_crowded(self, link: Link, is_crowded: bool) -> None:
        """Those who ask wait for their answers anyway."""

    def on_lost(self, link: Link) -> None:
        """Nobody is answered any more."""
        known, self._link = self._link, None  # first: those who are told may ask again
        self._end_requests()
        if known is not None:
            self._on_lost()

    # -------------------------------------------------------------- inside

    async def _carry_out(self, call: OnCall) -> None:
        answer = await self._calls.on_call(call.name, call.data) if self._calls is not None else None
        if self._link is not None:
            self._link.send(encode(CallAnswered(call.id, answer)))

    def _end_requests(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = tuple(self._waiting.values())
        self._waiting.clear()
        for answer in waiting:
            answer.fail(ConnectionError("the supervisor is gone"))

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for answer in list(takewhile(lambda answer: answer.deadline <= now, self._waiting.values())):
            self._waiting.pop(answer.number, None)
            answer.fail(TimeoutError(f"the supervisor has not answered for {ENGINE_TIMEOUT:g} s"))
        if self._waiting:
            self._timer = self._clock.call_later(_SWEEP, self._sweep)


class SharedBroker:
    """``contract.Broker`` in the supervisor."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link

    async def start(self, events: BrokerEvents) -> None:
        """Deliver to *events* from here on; the link is open already."""
        self._link.listen(events)

    async def close(self) -> None:
        """Let go of the supervisor."""
        self._link.close()

    async def subscribe(self, channel: str) -> None:
        """See ``Broker.subscribe``."""
        await self._link.ask(lambda number: Subscribe(number, channel))

    async def unsubscribe(self, channel: str) -> None:
        """See ``Broker.unsubscribe``."""
        await self._link.ask(lambda number: Unsubscribe(number, channel))

    async def publish(self, channel: str, data: bytes, options: PublishOptions) -> PublishResult:
        """See ``Broker.publish``."""
        answer: Done | Published = await self._link.ask(
            lambda number: Publish(number, channel, data, options)
        )
        return PUBLISHED if isinstance(answer, Done) else answer.result

    async def publish_join(self, channel: str, info: ClientInfo) -> None:
        """See ``Broker.publish_join``."""
        await self._link.ask(lambda number: PublishJoin(number, channel, info))

    async def publish_leave(self, channel: str, info: ClientInfo) -> None:
        """See ``Broker.publish_leave``."""
        await self._link.ask(lambda number: PublishLeave(number, channel, info))

    async def history(self, channel: str, wanted: HistoryFilter, options: HistoryOptions) -> History:
        """See ``Broker.history``."""
        answer: HistoryRead = await self._link.ask(
            lambda number: ReadHistory(number, channel, wanted, options)
        )
        return answer.history

    async def remove_history(self, channel: str) -> None:
        """See ``Broker.remove_history``."""
        await self._link.ask(lambda number: RemoveHistory(number, channel))


class SharedPresence:
    """``contract.PresenceManager`` in the supervisor."""

    def __init__(self, link: EngineLink) -> None:
        self._link = link

    async def start(self) -> None:
        """The link is open already."""

    async def close(self) -> None:
        """The broker's half closes the link."""

    async def add(self, channel: str, info: ClientInfo) -> None:
        """See ``PresenceManager.add``."""
        await self._link.ask(lambda number: AddPresence(number, channel, info))

    async def remove(self, channel: str, client: str, user: str) -> None:
        """See ``PresenceManager.remove``."""
        await self._link.ask(lambda number: RemovePresence(number, channel, client, user))

    async def presence(self, channel: str) -> Mapping[str, ClientInfo]:
        """See ``PresenceManager.presence``."""
        answer: PresenceRead = await self._link.ask(lambda number: ReadPresence(number, channel))
        return answer.infos

    async def stats(self, channel: str) -> PresenceStats:
        """See ``PresenceManager.stats``."""
        answer: StatsRead = await self._link.ask(lambda number: ReadStats(number, channel))
        return answer.stats
