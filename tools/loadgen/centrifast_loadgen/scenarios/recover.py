"""All drop, publications are made, all come back and must recover exactly those."""

import time

from centrifast_loadgen._board import Counter
from centrifast_loadgen.details import Recover
from centrifast_loadgen.orders import Drop
from centrifast_loadgen.report import Latency
from centrifast_loadgen.settings import SettingsError
from centrifast_loadgen.stage import Stage


class RecoverAll:
    """Needs channels with history, whose subscriptions are recoverable."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clients = 0
        self._subscriptions = 0
        self._missed = 0  # deliveries that only a subscribe reply can make
        self._seconds = 0.0
        self._connected: list[int] = []  # histogram, before they come back

    def play(self) -> None:
        """Connect, publish, drop, publish, come back, publish. Raises SettingsError where nothing can be recovered."""
        stage, settings, fleet, feed = self._stage, self._stage.settings, self._stage.fleet, self._stage.feed
        self._clients = stage.connect()
        if not self._clients:
            return
        self._subscriptions = fleet.total(Counter.RECOVERABLE)
        if self._subscriptions < self._clients * settings.channels_per_connection:
            raise SettingsError(
                f"only {self._subscriptions:,} of {self._clients * settings.channels_per_connection:,} "
                f"subscriptions can recover: channels like {settings.channel(0)!r} need history_size, history_ttl "
                "and force_recovery (or allow_recovery) on the server"
            )
        with stage.measured():
            feed.publish(settings.messages, rate=settings.rate)
            feed.wait()
            audience = [fleet.board.subscribers(channel) for channel in range(settings.channels)]
            fleet.order(Drop(0, settings.connections))
            fleet.wait(lambda: fleet.total(Counter.OPEN) == 0, settings.connect_timeout, "dropping")
            self._connected = fleet.connect_histogram()
            before = feed.expected
            for everybody in (audience * settings.missed)[: settings.missed]:
                feed.publish(1, everybody=everybody)
            self._missed = feed.expected - before
            fleet.hold(settings.pause, "away")
            self._come_back(audience)

    def details(self) -> Recover:
        """What came in subscribe replies."""
        fleet, settings = self._stage.fleet, self._stage.settings
        before = self._connected or fleet.connect_histogram()
        fresh = [now - then for now, then in zip(fleet.connect_histogram(), before, strict=True)]
        return Recover(
            missed=settings.missed,
            live=settings.live,
            clients=fleet.total(Counter.REOPENED),
            subscriptions=self._subscriptions,
            recoveries=fleet.total(Counter.RECOVERIES),
            unrecovered=fleet.total(Counter.UNRECOVERED),
            recovered=fleet.total(Counter.RECOVERED),
            expected=self._missed,
            seconds=self._seconds,
            connect_us=Latency.of(fresh),
        )

    def _come_back(self, audience: list[int]) -> None:
        stage, settings, fleet, feed = self._stage, self._stage.settings, self._stage.fleet, self._stage.feed
        began = time.monotonic()
        failed = fleet.total(Counter.FAILED)

        def are_back() -> bool:
            back = fleet.total(Counter.OPEN)
            self._seconds = time.monotonic() - began if back else 0.0
            return back + fleet.total(Counter.FAILED) - failed >= settings.connections

        fleet.open(resume=True)
        for everybody in (audience * settings.live)[: settings.live]:
            feed.publish(1, everybody=everybody)
            stage.look("publishing while all come back")
        fleet.wait(are_back, settings.wave_timeout, "coming back")
        feed.wait()
