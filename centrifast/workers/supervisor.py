"""The process above several workers: it owns the engine, the port, the signals and what systemd is told.

It serves no client. Its loop carries out what workers ask of the engine, and watches over them (``crew``).
"""

import asyncio
import dataclasses
import os
import signal
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from centrifast import log
from centrifast.app import settle_memory
from centrifast.auth.tokens import TokenVerifier, verifiers
from centrifast.clock import SystemClock
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.engine.host import EngineHost
from centrifast.engines import memory_engine
from centrifast.pid_file import PidFile
from centrifast.process import FAILED, log_loop_error, log_parts
from centrifast.reload import Reloader, in_thread, is_below, let_go, prepare
from centrifast.server.listeners import Address
from centrifast.server.listeners import log_start as log_serving
from centrifast.systemd import Notifier, take_sockets, watchdog_period
from centrifast.workers.crew import Crew
from centrifast.workers.ledger import Ledger
from centrifast.workers.process import ChildProcess, ProcessOwner
from centrifast.workers.sockets import SocketSet, SocketSets, listeners_of

OURS = (
    "http_server.address",
    "http_server.port",
    "http_server.internal_address",
    "http_server.internal_port",
    "http_server.reuse_port",
    "log.file",
    "engine",
    "broker",
    "presence_manager",
    "controller",
    "pid_file",
    "workers",
)
"""Options and sections that workers can not get anew while this process stays."""


class Supervisor:
    """See above. Told by signals what to do."""

    def __init__(
        self, loaded: LoadedConfig, pid_file: PidFile | None, count: int, *, strict: bool = False
    ) -> None:
        """*count* workers; the rest as for ``daemon.run``."""
        self._loaded = loaded
        self._pid_file = pid_file
        self._count = count
        self._notifier = Notifier(os.environ)
        self._strict = strict
        self._stopping = asyncio.Event()
        self._restarting: asyncio.Task[None] | None = None

    async def serve(self) -> int:
        """Start every worker, wait for a signal, stop; the exit code. Raises OSError or ValueError: no start."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        config = self._loaded.config
        self._clock = SystemClock(loop)
        log_parts(config, *verifiers(config.client, self._clock))
        host = EngineHost(memory_engine(config, self._clock))
        self._crew = self._make_crew(host)
        self._reloader = Reloader(self._loaded, self._apply, self._notifier, strict=self._strict)
        await host.start()
        settle_memory()
        self._handle_signals(loop)
        try:
            if await self._start_crew():
                self._feed_watchdog(loop, watchdog_period(os.environ))
                await self._stopping.wait()
            await self._stop()
        finally:
            self._crew.kill()
            await host.close()
        return 0

    def _make_crew(self, host: EngineHost) -> Crew:
        ledger = Ledger(2 * self._count)  # while one is replaced there are two

        def spawn(owner: ProcessOwner, number: int, loaded: LoadedConfig, sockets: SocketSet) -> ChildProcess:
            return ChildProcess(owner, number, loaded, sockets, host.protocol, ledger)

        sockets = SocketSets(self._loaded.config, take_sockets(os.environ))
        return Crew(self._loaded, self._count, sockets, spawn, self._clock)

    async def _start_crew(self) -> bool:
        """Wait until all serve, and tell; False if a signal to stop came first."""
        log.info("starting workers", workers=self._count)
        starting = asyncio.ensure_future(self._crew.start())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            return False
        ready = starting.result()
        for names, host, port in ready.serving:
            log_serving(names, Address(host, port))
        self._notifier.ready(ready.status)
        return True

    # -------------------------------------------------------------- signals

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)
        loop.add_signal_handler(signal.SIGUSR2, self._on_restart_signal)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # else it would end the process (12.2)

    def _on_stop_signal(self, name: str) -> None:
        if self._stopping.is_set():
            log.warn("second signal, exiting at once", signal=name)
            self._end_at_once()
        log.info("signal received", signal=name)
        log.info("shutting down ...")
        self._notifier.stopping()
        self._stopping.set()

    def _on_reload_signal(self) -> None:
        log.info("signal received", signal="SIGHUP")
        log.reopen()
        self._crew.reopen_log()
        if not self._stopping.is_set():
            self._reloader.request()

    def _on_restart_signal(self) -> None:
        log.info("signal received", signal="SIGUSR2")
        if self._stopping.is_set():
            return
        if self._restarting is not None:
            log.warn("workers are being replaced already")
            return
        self._restarting = asyncio.get_running_loop().create_task(self._restart())
        self._restarting.add_done_callback(self._on_restarted)

    def _feed_watchdog(self, loop: asyncio.AbstractEventLoop, period: float) -> None:
        """While a worker answers; goes on during a stop."""
        if period > 0:
            if self._crew.answers:
                self._notifier.alive()
            loop.call_later(period, self._feed_watchdog, loop, period)

    # ------------------------------------------------------- configuration

    async def _apply(self, config: Config) -> Sequence[TokenVerifier]:
        """Check that workers can go over to it before any of them does. Raises ValueError or OSError."""
        await self._check(config)
        await self._crew.reconfigure(config)
        return ()

    async def _check(self, config: Config) -> None:
        prepared = await in_thread(partial(prepare, self._reloader.running, config, self._clock))
        await let_go(prepared.verifiers or ())

    async def _restart(self) -> None:
        """Replace all workers; they get what the configuration says by now, but for what is this process's own."""
        async with self._reloader.turn:
            log.info("replacing workers")
            try:
                reread = await self._reloader.read(lambda path: not is_below(path, OURS))
                await self._check(reread.config)
                if listeners_of(reread.config) != listeners_of(self._loaded.config):
                    raise ConfigError("a listener would come or go; that needs a whole restart")
            except (ConfigError, OSError, ValueError) as error:
                log.error("workers are not replaced", error=error)
                return
            loaded = dataclasses.replace(reread.loaded, config=reread.config)
            try:
                await self._crew.replace_all(loaded)
            except OSError as error:
                log.error("workers could not be replaced, the rest stays as it is", error=error)
            else:
                log.info("workers replaced", changed=", ".join(reread.changed))
            if self._crew.loaded is loaded:
                self._reloader.adopt(reread, as_start=True)

    def _on_restarted(self, task: "asyncio.Task[None]") -> None:
        self._restarting = None
        if not task.cancelled() and task.exception() is not None:
            log.failure("workers could not be replaced", task.exception())

    # ----------------------------------------------------------------- stop

    async def _stop(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
        timeout = self._reloader.running.shutdown.timeout

        async def stop() -> None:
            await self._reloader.close()
            await self._crew.stop()

        try:
            await asyncio.wait_for(stop(), timeout)
        except TimeoutError:
            log.fatal("shutdown timeout reached", timeout=timeout)
            self._end_at_once()

    def _end_at_once(self) -> NoReturn:
        """End with 1, all workers before."""
        self._crew.kill()
        if self._pid_file is not None:
            self._pid_file.remove()
        log.stop_thread()
        os._exit(FAILED)
