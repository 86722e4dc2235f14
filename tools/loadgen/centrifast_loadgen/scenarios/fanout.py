"""Everybody subscribes, publications go to the channels in turn, every delivery is counted."""

from centrifast_loadgen.stage import Stage


class Fanout:
    """One channel and many subscribers, or many channels and few."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def play(self) -> None:
        """Connect, publish, wait."""
        stage, settings = self._stage, self._stage.settings
        if not stage.connect() or not settings.messages:
            return
        with stage.measured():
            stage.feed.publish(
                settings.messages,
                rate=settings.rate,
                duration=settings.duration,
                inflight=settings.inflight,
            )
            stage.feed.wait()

    def details(self) -> None:
        """Nothing beyond the report."""
        return
