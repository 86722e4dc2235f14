import asyncio

from centrifast.server.acceptor import UNAVAILABLE
from centrifast.server.routes import Routes
from centrifast.transports.front_door import FrontDoorSettings
from centrifast.transports.http_connection import SWEEP_PERIOD
from centrifast.transports.refusal import LINGER_TIMEOUT, REFUSED_AT_ONCE
from tests.fakes import FakeClock
from tests.server.http_peer import get, post, run, serving, until

FULL = FrontDoorSettings(descriptor_limit=0)
MIB = 1024 * 1024


def test_a_refused_peer_reads_when_it_may_try_again() -> None:
    async def scenario() -> None:
        async with serving(Routes(), settings=FULL) as served:
            peer = await served.connect()
            peer.send(get())
            answer = await peer.answer()
            assert (answer.status, answer.body) == (503, b"Service Unavailable")
            assert answer.headers["retry-after"].isdigit()
            assert answer.headers["connection"] == "close"
            assert await peer.rest() == b""

    run(scenario())


def test_it_is_not_reset_though_it_goes_on_sending() -> None:
    async def scenario() -> None:
        async with serving(Routes(), settings=FULL) as served:
            peer = await served.connect()
            peer.send(post("/", bytes(8 * MIB)))
            await peer.writer.drain()
            assert await peer.rest() == UNAVAILABLE
            await peer.close()
            await until(lambda: served.door.refused == 0)

    run(scenario())


def test_it_may_not_stay_for_long() -> None:
    async def scenario() -> None:
        clock = FakeClock()
        async with serving(Routes(), clock, FULL) as served:
            peer = await served.connect()
            assert await peer.rest() == UNAVAILABLE
            clock.advance(LINGER_TIMEOUT - SWEEP_PERIOD)
            assert served.door.refused == 1
            clock.advance(2 * SWEEP_PERIOD)
            await until(lambda: served.door.refused == 0)

    run(scenario())


def test_of_very_many_the_last_are_closed_at_once() -> None:
    async def scenario() -> None:
        async with serving(Routes(), settings=FULL) as served:
            peers = [await served.connect() for _ in range(3 * REFUSED_AT_ONCE)]
            assert await asyncio.gather(*(peer.rest() for peer in peers)) == [UNAVAILABLE] * len(peers)
            assert served.door.refused == REFUSED_AT_ONCE
            await peers[0].close()
            await until(lambda: served.door.refused == REFUSED_AT_ONCE - 1)
            assert await (await served.connect()).rest() == UNAVAILABLE
            assert served.door.refused == REFUSED_AT_ONCE

    run(scenario())


def test_closing_the_door_drops_them() -> None:
    async def scenario() -> None:
        async with serving(Routes(), settings=FULL) as served:
            peer = await served.connect()
            assert await peer.rest() == UNAVAILABLE
            await served.door.close()
            await until(lambda: served.door.refused == 0)

    run(scenario())
