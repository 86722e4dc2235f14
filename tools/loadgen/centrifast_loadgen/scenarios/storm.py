"""All drop at once and come back, several times: how long until all are there again, and how long each waits."""

import time

from centrifast_loadgen._board import Counter
from centrifast_loadgen.details import Storm, Wave
from centrifast_loadgen.orders import Drop
from centrifast_loadgen.report import Latency
from centrifast_loadgen.stage import Stage

COUNTED = (Counter.ATTEMPTS, Counter.RETRIED, Counter.TIMEOUTS)


class ReconnectStorm:
    """Waves; after each, publications show that all are really subscribed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._waves: list[Wave] = []

    def play(self) -> None:
        """Connect, then drop all, wait for all, publish, again and again."""
        stage, settings = self._stage, self._stage.settings
        if not stage.connect():
            return
        with stage.measured():
            self._publish()
            for _ in range(settings.waves):
                self._waves.append(self._wave())
                self._publish()

    def details(self) -> Storm:
        """The waves that came to an end."""
        return Storm(self._waves)

    def _publish(self) -> None:
        stage = self._stage
        stage.feed.publish(stage.settings.messages, rate=stage.settings.rate)
        stage.feed.wait()

    def _wave(self) -> Wave:
        fleet, settings = self._stage.fleet, self._stage.settings
        dropped = fleet.total(Counter.OPEN)
        fleet.order(Drop(0, settings.connections))
        fleet.wait(lambda: fleet.total(Counter.OPEN) == 0, settings.connect_timeout, "dropping")
        fleet.hold(settings.pause, "away")
        counts = [fleet.total(counter) for counter in COUNTED]
        histogram, failed = fleet.connect_histogram(), fleet.total(Counter.FAILED)
        began = back_at = time.monotonic()
        back = 0

        def are_back() -> bool:
            nonlocal back, back_at
            now_back = fleet.total(Counter.OPEN)
            if now_back > back:
                back, back_at = now_back, time.monotonic()
            return now_back + fleet.total(Counter.FAILED) - failed >= settings.connections

        fleet.open()
        fleet.wait(are_back, settings.wave_timeout, "coming back")
        fresh = [after - before for after, before in zip(fleet.connect_histogram(), histogram, strict=True)]
        attempts, retried, timeouts = (
            fleet.total(counter) - before for counter, before in zip(COUNTED, counts, strict=True)
        )
        return Wave(dropped, back, back_at - began, attempts, retried, timeouts, Latency.of(fresh))
