"""A worker's half: what happens to requests when the supervisor is slow, gone, or says no."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from centrifast import eager
from centrifast.engine import shared
from centrifast.engine.contract import HistoryFilter, HistoryOptions, PublishOptions
from centrifast.engine.messages import Done, OnPublication, encode
from centrifast.engine.shared import EngineLink, SharedBroker, SharedPresence
from centrifast.errors import UNRECOVERABLE_POSITION, ClientError
from centrifast.limits import ENGINE_TIMEOUT
from centrifast.model import NO_POSITION, Publication, StreamPosition
from tests.contract.test_broker import Recorder
from tests.engine.linked import LinkedBroker
from tests.engine.test_link import framed
from tests.fakes import FakeClock


class Silent:
    """A worker whose supervisor never answers; ``peer`` is the supervisor's socket."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lost = asyncio.Event()
        self.link = EngineLink(self.clock, self.lost.set)
        self.broker, self.presence = SharedBroker(self.link), SharedPresence(self.link)
        ours, self.peer = socket.socketpair()
        self._ours = ours

    async def __aenter__(self) -> "Silent":
        await asyncio.get_running_loop().create_connection(self.link.protocol, sock=self._ours)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.link.close()
        self.peer.close()


def run(test: Callable[[Silent], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with Silent() as silent:
            await test(silent)

    asyncio.run(main())


async def waiting(request: Coroutine[Any, Any, Any]) -> "asyncio.Future[Any]":
    """A request that has been sent."""
    asked = asyncio.ensure_future(request)
    await asyncio.sleep(0)
    return asked


def test_a_supervisor_that_does_not_answer_is_a_timeout() -> None:
    async def test(silent: Silent) -> None:
        first = await waiting(silent.presence.stats("news"))
        silent.clock.advance(ENGINE_TIMEOUT - 1)
        second = await waiting(silent.presence.stats("news"))
        silent.clock.advance(1)
        with pytest.raises(TimeoutError, match="has not answered"):
            await first
        assert not second.done()
        silent.clock.advance(ENGINE_TIMEOUT)
        with pytest.raises(TimeoutError):
            await second
        assert silent.link._waiting == {}

    run(test)


def test_a_supervisor_that_is_gone_fails_what_waits_and_what_comes() -> None:
    async def test(silent: Silent) -> None:
        asked = await waiting(silent.broker.publish("news", b"1", PublishOptions()))
        silent.peer.close()
        with pytest.raises(ConnectionError):
            await asked
        await silent.lost.wait()
        with pytest.raises(ConnectionError):
            await silent.presence.stats("news")

    run(test)


def test_who_asks_again_when_it_hears_of_the_loss_is_told_as_well() -> None:
    async def test(silent: Silent) -> None:
        async def insisting() -> None:
            with suppress(ConnectionError):
                await silent.broker.subscribe("news")
            await silent.broker.subscribe("news")

        ended: list[eager.Running[None]] = []
        eager.run(insisting(), ended.append)
        silent.peer.close()
        await silent.lost.wait()
        with pytest.raises(ConnectionError):
            ended[0].result()
        assert silent.link._waiting == {}
        assert silent.clock.timers == 0

    run(test)


def test_what_was_told_before_and_behind_an_answer_takes_effect_in_that_order() -> None:
    async def test(silent: Silent) -> None:
        events = Recorder()
        await silent.broker.start(events)
        seen: list[int] = []

        async def publish() -> None:
            await silent.broker.publish("news", b"1", PublishOptions())
            seen.append(len(events.publications))

        assert isinstance(eager.run(publish(), lambda _: None), eager.Running)
        event = encode(OnPublication("news", Publication(b"1"), NO_POSITION, None))
        link = silent.link._link
        assert link is not None
        link.data_received(framed(event, encode(Done(1)), event))
        assert seen == [1]
        assert len(events.publications) == 2

    run(test)


def test_closing_is_no_loss() -> None:
    async def test(silent: Silent) -> None:
        asked = await waiting(silent.presence.stats("news"))
        silent.link.close()
        with pytest.raises(ConnectionError):
            await asked
        assert not silent.lost.is_set()
        assert silent.clock.timers == 0

    run(test)


def test_requests_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ENGINE_REQUESTS", 3)

    async def test(silent: Silent) -> None:
        asked = [await waiting(silent.presence.stats("news")) for _ in range(3)]
        with pytest.raises(ConnectionError, match="3 requests"):
            await silent.presence.stats("news")
        silent.link.close()
        await asyncio.gather(*asked, return_exceptions=True)

    run(test)


def test_a_request_that_is_cancelled_is_forgotten() -> None:
    async def test(silent: Silent) -> None:
        asked = await waiting(silent.presence.stats("news"))
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert silent.link._waiting == {}

    run(test)


def test_a_refusal_is_a_row_of_the_table_of_errors() -> None:
    async def test() -> None:
        broker = LinkedBroker(FakeClock())
        await broker.start(Recorder())
        with pytest.raises(ClientError) as refused:
            await broker.history(
                "news", HistoryFilter(since=StreamPosition(1, "other")), HistoryOptions(5, 60.0, 600.0)
            )
        assert refused.value.error is UNRECOVERABLE_POSITION
        await broker.close()

    asyncio.run(test())
