"""A worker of which the test says what it does."""

import itertools

from centrifast.config.loader import LoadedConfig
from centrifast.workers.messages import (
    NotStarted,
    Order,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    Report,
    unpack_config,
)
from centrifast.workers.process import ProcessOwner
from centrifast.workers.sockets import SocketSet

READY = Ready("serving on :1", [(["api"], "", 1)])


class FakeProcess:
    """``WorkerProcess``; notes what it is told."""

    _pids = itertools.count(1000)

    def __init__(self, owner: ProcessOwner, number: int, loaded: LoadedConfig, sockets: SocketSet) -> None:
        self.owner = owner
        self.number = number
        self.config = loaded.config
        self.sockets = sockets
        self.pid = next(self._pids)
        self.told: list[Order] = []
        self.signals: list[str] = []
        self.answers_pings = True
        self.failure: str | None = ""
        """What it answers to a reconfiguration; None: nothing."""

    def tell(self, order: Order) -> None:
        self.told.append(order)
        if isinstance(order, Ping) and self.answers_pings:
            self.report(Pong())
        if isinstance(order, Reconfigure) and self.failure is not None:
            if not self.failure:
                self.config = unpack_config(order.config)
            self.report(Reconfigured(order.number, self.failure))

    def stop(self) -> None:
        self.signals.append("stop")

    def abort(self) -> None:
        self.signals.append("abort")

    def kill(self) -> None:
        self.signals.append("kill")

    def join(self) -> None:
        self.signals.append("join")

    # -------------------------------------------------- what the test has it do

    def report(self, report: Report) -> None:
        self.owner.on_report(self, report)

    def serve(self) -> None:
        self.report(READY)

    def fail(self, reason: str) -> None:
        """Say that it can not start, and end."""
        self.report(NotStarted(reason))
        self.end(1)

    def end(self, code: int = 0) -> None:
        self.owner.on_exit(self, code)
