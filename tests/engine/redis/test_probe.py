"""When a connection that hears nothing is asked whether it can hear."""

import asyncio
from itertools import pairwise

from centrifast.engine.redis.contract import RedisError, Reply
from centrifast.engine.redis.probe import Probe
from tests.fakes import FakeClock
from tests.server.http_peer import run, until


class Silence:
    """A connection; *accepts* is what Redis says of a probe, *echoes* whether it is heard."""

    def __init__(self, *, accepts: bool = True, echoes: bool = False) -> None:
        self.clock = FakeClock()
        self.messages = 0
        self.is_usable = True
        self.probes: list[float] = []
        self.restarts: list[float] = []
        self.errors: list[str] = []
        self.accepts = accepts
        self.echoes = echoes
        self.began = self.clock.monotonic()
        self.probe = Probe(self, self.publish, self.clock, self.errors.append, 30.0)

    async def publish(self) -> Reply:
        self.probes.append(self.clock.monotonic() - self.began)
        if not self.accepts:
            raise RedisError("OOM no")
        self.messages += self.echoes
        return 1

    def restart(self, reason: str) -> None:
        self.restarts.append(self.clock.monotonic() - self.began)
        self.messages = 0

    async def live(self, seconds: int) -> None:
        self.probe.start()
        for _ in range(seconds // 10):
            self.clock.advance(10.0)
            for _ in range(3):
                await asyncio.sleep(0)
        self.probe.close()
        assert self.clock.timers == 0


def test_a_connection_that_hears_is_left_alone() -> None:
    async def test() -> None:
        silence = Silence(echoes=True)
        await silence.live(300)
        assert silence.probes == [30.0, 90.0, 150.0, 210.0, 270.0]  # what it hears is its own probe
        assert (silence.restarts, silence.errors) == ([], [])

    run(test())


def test_where_something_comes_nothing_is_asked() -> None:
    async def test() -> None:
        silence = Silence()
        silence.clock.call_later(25.0, lambda: setattr(silence, "messages", 1))
        await silence.live(50)
        assert silence.probes == []

    run(test())


def test_who_does_not_hear_is_made_again_at_growing_intervals() -> None:
    async def test() -> None:
        silence = Silence()
        await silence.live(1200)
        gaps = [after - before for before, after in pairwise(silence.restarts)]
        assert silence.restarts[0] == 60.0
        # 1, 2, 4, 8, 10 intervals until it is asked again, and one for the answer
        assert gaps == [60.0, 90.0, 150.0, 270.0, 330.0]
        assert silence.errors == ["probe_timeout"] * 6

    run(test())


def test_who_hears_again_is_trusted_again() -> None:
    async def test() -> None:
        silence = Silence()

        def hear() -> None:
            silence.echoes = True

        silence.clock.call_later(200.0, hear)
        silence.clock.call_later(400.0, lambda: setattr(silence, "echoes", False))
        await silence.live(900)
        assert silence.restarts[:2] == [60.0, 120.0]
        later = [moment for moment in silence.restarts if moment > 400.0]
        assert later[1] - later[0] == 60.0  # as after the first restart

    run(test())


def test_redis_being_away_is_no_reason_to_make_it_again() -> None:
    async def test() -> None:
        silence = Silence(accepts=False)
        await silence.live(150)
        assert silence.restarts == []
        assert silence.errors == ["probe_publish"] * 5

    run(test())


def test_who_is_not_usable_is_not_asked() -> None:
    async def test() -> None:
        silence = Silence()
        silence.is_usable = False
        await silence.live(300)
        assert silence.probes == []

    run(test())


def test_a_probe_on_its_way_is_given_up_at_the_end() -> None:
    async def test() -> None:
        silence = Silence()
        never: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        probe = Probe(silence, lambda: never, silence.clock, silence.errors.append, 30.0)
        probe.start()
        silence.clock.advance(120.0)  # Redis does not even take it: no verdict
        await asyncio.sleep(0)
        probe.close()
        await until(never.cancelled)
        assert (silence.restarts, silence.errors) == ([], [])

    run(test())
