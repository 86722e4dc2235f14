"""Some do not read while publications are made: the others must not notice, and nobody may lose anything silently."""

from centrifast_loadgen._board import Counter, Histogram
from centrifast_loadgen.details import Slow
from centrifast_loadgen.orders import Pause, Resume
from centrifast_loadgen.report import Latency
from centrifast_loadgen.stage import Stage


class SlowReaders:
    """The report is about those that read. In the end a slow one has been disconnected, or has got everything."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def play(self) -> None:
        """Connect, let some stop reading, publish, let them read again, wait for them."""
        stage, settings, fleet, feed = self._stage, self._stage.settings, self._stage.fleet, self._stage.feed
        if not stage.connect() or not settings.messages:
            return
        fleet.order(Pause())
        with stage.measured():
            feed.publish(
                settings.messages,
                rate=settings.rate,
                duration=settings.duration,
                inflight=settings.inflight,
            )
            feed.wait()
        fleet.order(Resume())
        fleet.wait_steady(self._level, settings.slow_count * feed.published, "waiting for the slow clients")

    def _level(self) -> int:
        """What slow clients have got, counting those that are gone as if they had got everything."""
        fleet = self._stage.fleet
        gone = fleet.total(Counter.SLOW_CLOSED) * self._stage.feed.published
        return fleet.total(Counter.SLOW_DELIVERED) - fleet.total(Counter.SLOW_GONE) + gone

    def details(self) -> Slow:
        """What became of the slow ones."""
        fleet = self._stage.fleet
        return Slow(
            slow=self._stage.settings.slow_count,
            disconnected=fleet.total(Counter.SLOW_CLOSED),
            caught_up=fleet.total(Counter.SLOW_LEVEL),
            behind=fleet.total(Counter.SLOW_LOST),
            delivered=fleet.total(Counter.SLOW_DELIVERED),
            latency_us=Latency.of(
                fleet.board.histogram(Histogram.SLOW), fleet.board.largest(Counter.MAX_SLOW_US)
            ),
        )
