"""One module per scenario: what is done to the server, in which order, and what must come of it."""

from typing import Protocol

from centrifast_loadgen.report import Details
from centrifast_loadgen.scenarios.fanout import Fanout
from centrifast_loadgen.scenarios.presence import PresenceRoom
from centrifast_loadgen.scenarios.recover import RecoverAll
from centrifast_loadgen.scenarios.slow import SlowReaders
from centrifast_loadgen.scenarios.soak import SoakTest
from centrifast_loadgen.scenarios.storm import ReconnectStorm
from centrifast_loadgen.settings import Scenario
from centrifast_loadgen.stage import Stage


class Play(Protocol):
    """A scenario on its stage."""

    def play(self) -> None:
        """Do it. May be interrupted anywhere by KeyboardInterrupt."""

    def details(self) -> Details | None:
        """What was measured beyond the report; called once the workers have stopped, also after an interruption."""


def on(stage: Stage) -> Play:
    """The scenario of the stage's settings."""
    plays: dict[Scenario, type[Play]] = {
        Scenario.FANOUT: Fanout,
        Scenario.CHANNELS: Fanout,  # the same, with other defaults
        Scenario.STORM: ReconnectStorm,
        Scenario.RECOVER: RecoverAll,
        Scenario.PRESENCE: PresenceRoom,
        Scenario.SLOW: SlowReaders,
        Scenario.SOAK: SoakTest,
    }
    return plays[stage.settings.scenario](stage)  # type: ignore[call-arg]  # each takes its stage
