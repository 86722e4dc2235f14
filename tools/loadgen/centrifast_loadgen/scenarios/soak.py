"""Hours of everything: connections that stay, connections that come and go, publications at a steady rate."""

import statistics
import time

from centrifast_loadgen._board import Counter
from centrifast_loadgen.details import Soak
from centrifast_loadgen.orders import Churn
from centrifast_loadgen.stage import Stage


class SoakTest:
    """Losses are what sequences show: who comes back recovers where it can, else it begins with what comes next."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._began = self._ended = time.monotonic()

    def play(self) -> None:
        """Connect, churn and publish for the duration, then let all come to rest."""
        stage, settings, fleet, feed = self._stage, self._stage.settings, self._stage.fleet, self._stage.feed
        if not stage.connect():
            return
        self._began = time.monotonic()
        fleet.order(Churn(settings.churn / fleet.workers))
        with stage.measured():
            try:
                if settings.messages and settings.rate:
                    feed.publish(settings.messages, rate=settings.rate, duration=settings.duration)
                fleet.hold(self._began + settings.duration - time.monotonic(), "no publications")
            finally:
                self._ended = time.monotonic()
                fleet.order(Churn(0))
            fleet.wait(self._is_whole, settings.retry, "coming to rest")
            self._settle()

    def details(self) -> Soak:
        """What time has done."""
        fleet = self._stage.fleet
        rss = [sample.rss_bytes for sample in fleet.monitor.series if sample.rss_bytes]
        tenth = max(len(rss) // 10, 1)
        return Soak(
            seconds=self._ended - self._began,
            churned=fleet.total(Counter.DROPPED),
            subscriptions_recovered=fleet.total(Counter.RECOVERIES),
            publications_recovered=fleet.total(Counter.RECOVERED),
            unrecovered=fleet.total(Counter.UNRECOVERED),
            recoverable=bool(fleet.total(Counter.RECOVERABLE)),
            rss_begin=int(statistics.median(rss[:tenth])) if rss else None,
            rss_end=int(statistics.median(rss[-tenth:])) if rss else None,
        )

    def _is_whole(self) -> bool:
        fleet = self._stage.fleet
        return fleet.total(Counter.OPEN) + fleet.total(Counter.FAILED) >= self._stage.settings.connections

    def _settle(self) -> None:
        """Publish once to each channel, to who is there now: what was lost before it shows as skipped."""
        settings, fleet, feed = self._stage.settings, self._stage.fleet, self._stage.feed
        if not settings.messages:
            return
        delivered = fleet.total(Counter.DELIVERED)
        audience = sum(fleet.board.subscribers(channel) for channel in range(settings.channels))
        feed.publish(settings.channels)
        fleet.wait_steady(
            lambda: fleet.total(Counter.DELIVERED) - delivered, audience, "waiting for deliveries"
        )
