"""All workers of a node: started, watched, replaced, stopped (server specification 12; ``slot`` has the states).

How it works: each slot has a worker. One that dies is followed by another, later each time it dies young; one that
does not answer pings is made to die. To replace a worker in order, the next one is started beside it with the same
sockets, and only when that one serves the old one is told to leave. No connection is refused meanwhile.
"""

import asyncio
import dataclasses
import signal
from collections.abc import Callable
from functools import partial

from centrifast import log
from centrifast.clock import Clock, TimerHandle
from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.limits import (
    WORKER_ABORT,
    WORKER_HANG,
    WORKER_PING_PERIOD,
    WORKER_RECONFIGURE,
    WORKER_START,
)
from centrifast.workers.messages import (
    NotStarted,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    ReopenLog,
    Report,
    pack,
)
from centrifast.workers.process import ProcessOwner, WorkerProcess
from centrifast.workers.slot import Member, Slot, State
from centrifast.workers.sockets import SocketSet, SocketSets

Spawn = Callable[[ProcessOwner, int, LoadedConfig, SocketSet], WorkerProcess]
"""Starts the worker of a number. Raises OSError."""


class WorkersFailedError(OSError):
    """Workers can not be started; the text tells an operator why."""


class Crew:
    """See above; ``process.ProcessOwner``."""

    def __init__(
        self, loaded: LoadedConfig, count: int, sockets: SocketSets, spawn: Spawn, clock: Clock
    ) -> None:
        """*loaded* is what workers are started with."""
        self.loaded = loaded
        self._revision = 0  # of the configuration
        self._sockets = sockets
        self._spawn = spawn
        self._clock = clock
        self._slots = [Slot(number) for number in range(1, count + 1)]
        self._members: dict[WorkerProcess, Member] = {}
        self._timers: dict[Slot, TimerHandle] = {}
        self._look_timer: TimerHandle | None = None
        self._started: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._has_served = False
        self._is_stopping = False

    @property
    def answers(self) -> bool:
        """Whether a worker has answered lately."""
        return any(
            member.has_served and member.unanswered * WORKER_PING_PERIOD < WORKER_HANG
            for member in self._members.values()
        )

    async def start(self) -> Ready:
        """Start all; return what one of them says when every one serves.

        Raises ``ListenError`` if a port can not be had, ``WorkersFailedError`` if none of them comes so far.
        """
        self._sockets.check()
        for slot in self._slots:
            slot.sockets = self._sockets.open()
        for slot in self._slots:
            slot.current = self._spawn_in(slot)
        self._look()
        return await self._started

    # ------------------------------------------------ called by a process

    def on_report(self, process: WorkerProcess, report: Report) -> None:
        """See ``ProcessOwner``."""
        member = self._members[process]
        match report:
            case Ready():
                self._on_ready(member, report)
            case NotStarted(reason):
                member.reason = reason
            case Pong():
                member.unanswered = 0
            case Reconfigured(number, failure):
                if number == self._revision and member.reconfigured and not member.reconfigured.done():
                    member.reconfigured.set_result(failure)

    def on_exit(self, process: WorkerProcess, code: int) -> None:
        """See ``ProcessOwner``."""
        member = self._members.pop(process)
        how = signal_name(-code) if code < 0 else f"exit code {code}"
        self._on_gone(member, how if not member.reason else f"{how}: {member.reason}", clean=code == 0)

    # ------------------------------------------------ what is asked of all

    async def reconfigure(self, config: Config) -> None:
        """Have all go over to *config*, those that are starting as soon as they serve.

        Who can not, or does not answer, is replaced by one that is started with it.
        """
        self.loaded = dataclasses.replace(self.loaded, config=config)
        self._revision += 1
        waiting = {}
        for member in self._members.values():
            if member.state is State.LEAVING:
                continue
            member.reconfigured = asyncio.get_running_loop().create_future()
            waiting[member.reconfigured] = member
            if member.state is State.SERVING:
                self._tell_configuration(member)
        if not waiting:
            return
        await asyncio.wait(waiting, timeout=WORKER_RECONFIGURE)
        for answer, member in waiting.items():
            failure = answer.result() if answer.done() else "it has not answered"
            if failure and member.process is not None and member.state is State.SERVING:
                log.error(
                    "worker could not be reconfigured, it is replaced",
                    worker=member.slot.number,
                    reason=failure,
                )
                member.process.stop()

    async def replace_all(self, loaded: LoadedConfig) -> None:
        """Replace one worker after the other by one that is started with *loaded*.

        Raises ``WorkersFailedError`` at the first that can not be: the old ones stay. If not even one could be
        replaced, those that die are followed by what they were, not by what does not start.
        """
        before, self.loaded = self.loaded, loaded
        self._revision += 1
        has_replaced = False
        for slot in self._slots:
            old = slot.current
            if old is None:
                continue  # the next one is about to be started
            following = slot.next = self._spawn_in(slot)
            await following.started.wait()
            if not following.has_served:
                if not has_replaced:
                    self.loaded = before
                raise WorkersFailedError(f"worker {slot.number} could not be replaced: {following.reason}")
            has_replaced = True
            await old.gone.wait()

    def reopen_log(self) -> None:
        """Have all open their log file again."""
        for process in self._members:
            process.tell(ReopenLog())

    async def stop(self) -> None:
        """Close the port and end all in order; as long as it takes."""
        self._is_stopping = True
        self._cancel_timers()
        for slot in self._slots:
            self._sockets.close(slot.sockets)
        leaving = list(self._members.items())
        for process, member in leaving:
            member.state = State.LEAVING
            process.stop()
        for _, member in leaving:
            await member.gone.wait()
        if self._look_timer is not None:
            self._look_timer.cancel()

    def kill(self) -> None:
        """End all at once, and wait until they have."""
        self._is_stopping = True
        self._cancel_timers()
        for process in self._members:
            process.kill()
        for process in self._members:
            process.join()

    # -------------------------------------------------------------- inside

    def _spawn_in(self, slot: Slot) -> Member:
        """Start a worker there. What goes wrong is told as its end."""
        member = Member(slot, self._clock.monotonic(), self._revision)
        try:
            slot.sockets = slot.sockets or self._sockets.open()
            member.process = self._spawn(self, slot.number, self.loaded, slot.sockets)
        except OSError as error:
            self._clock.call_later(0.0, partial(self._on_gone, member, str(error)))
        else:
            self._members[member.process] = member
        return member

    def _on_ready(self, member: Member, ready: Ready) -> None:
        slot = member.slot
        log.info("worker serves", worker=slot.number, pid=ready_pid(member))
        if member.state is State.STARTING:
            member.state = State.SERVING
        member.started.set()
        self._has_served = True
        if member.revision != self._revision:
            self._tell_configuration(member)
        if slot.next is member:
            slot.next = None
            old, slot.current = slot.current, member
            if old is not None:
                self._dismiss(old)
        if not self._started.done() and all(slot.is_serving for slot in self._slots):
            self._started.set_result(ready)

    def _tell_configuration(self, member: Member) -> None:
        if member.process is not None:
            member.process.tell(Reconfigure(self._revision, pack(self.loaded.config)))

    def _dismiss(self, member: Member) -> None:
        """Have a worker leave, its clients told; one that takes longer than a stop may is killed."""
        member.state = State.LEAVING
        member.slot.leaving.add(member)
        if member.process is None:
            return
        member.process.stop()
        self._clock.call_later(self.loaded.config.shutdown.timeout, partial(self._give_up, member))

    def _give_up(self, member: Member) -> None:
        if not member.gone.is_set() and member.process is not None:
            log.warn("worker has not left in time, it is killed", worker=member.slot.number)
            member.process.kill()

    def _on_gone(self, member: Member, how: str, *, clean: bool = False) -> None:
        slot = member.slot
        member.reason = member.reason or how
        member.started.set()
        member.gone.set()
        if member.reconfigured is not None and not member.reconfigured.done():
            member.reconfigured.set_result("")  # the one that follows is started with it
        if member.state is State.LEAVING or self._is_stopping:
            slot.leaving.discard(member)
            (log.info if clean else log.warn)("worker ended", worker=slot.number, reason=how)
        elif member is slot.next:
            slot.next = None
            log.error("worker ended before it served", worker=slot.number, reason=how)
        elif slot.next is not None:
            slot.current, slot.next = slot.next, None
            log.error("worker ended, its successor is being started", worker=slot.number, reason=how)
        else:
            self._restart(slot, member, how)

    def _restart(self, slot: Slot, member: Member, how: str) -> None:
        """Start another one after a while; who else serves has its connections until then."""
        slot.current = None
        delay = slot.delay_after(self._clock.monotonic() - member.started_at)
        if any(other.is_serving for other in self._slots):
            self._sockets.close(slot.sockets)
            slot.sockets = ()
        log.error("worker ended, another one is started", worker=slot.number, reason=how, delay=delay)
        if not self._has_served and not self._started.done() and all(one.failures for one in self._slots):
            self._started.set_exception(WorkersFailedError(f"no worker can be started: {member.reason}"))
            return
        self._timers[slot] = self._clock.call_later(delay, partial(self._fill, slot))

    def _fill(self, slot: Slot) -> None:
        slot.current = self._spawn_in(slot)

    def _look(self) -> None:
        """Ask who has answered; end who has not, or was not ready in time."""
        self._look_timer = self._clock.call_later(WORKER_PING_PERIOD, self._look)
        now = self._clock.monotonic()
        for process, member in self._members.items():
            if member.state is State.STARTING:
                if now - member.started_at >= WORKER_START:
                    member.reason = f"it does not serve after {WORKER_START:g} s"
                    process.kill()
            elif not member.unanswered:
                member.unanswered = 1
                process.tell(Ping())
            else:
                # Looks are counted, not time: if it was this process that slept, nobody is to blame.
                member.unanswered += 1
                if member.unanswered == int(WORKER_HANG / WORKER_PING_PERIOD) + 1:
                    self._end_hung(process, member)

    def _end_hung(self, process: WorkerProcess, member: Member) -> None:
        log.error("worker does not answer, it is killed", worker=member.slot.number, limit=WORKER_HANG)
        process.abort()
        self._clock.call_later(WORKER_ABORT, process.kill)

    def _cancel_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()


def signal_name(number: int) -> str:
    """How a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ready_pid(member: Member) -> int | None:
    """The process id, for a line of the log."""
    return member.process.pid if member.process is not None else None
