"""The process around the server: its signals, what it tells systemd, its end (server specification 12).

With several workers ``workers.supervisor`` stands in for ``Daemon``.
"""

import asyncio
import os
import signal
from typing import NoReturn

import uvloop

from centrifast import log
from centrifast.app import Server
from centrifast.clock import SystemClock
from centrifast.config.loader import LoadedConfig
from centrifast.engines import memory_engine, open_engine
from centrifast.pid_file import PidFile
from centrifast.process import (
    FAILED,
    log_loop_error,
    log_parts,
    log_start,
    raise_descriptor_limit,
    show_stacks_on_fatal_signals,
)
from centrifast.reload import NodeConfiguration, Reloader
from centrifast.server.listeners import log_start as log_serving
from centrifast.systemd import Notifier, take_sockets, watchdog_period
from centrifast.workers.count import worker_count
from centrifast.workers.supervisor import Supervisor


def run(loaded: LoadedConfig, pid_file: PidFile | None = None, *, strict: bool = False) -> int:
    """Run the server until it is told to stop; the process's exit code (12.4).

    *pid_file* is removed if the process has to end in here; *strict* lets a reload refuse unknown keys.
    """
    log_start(loaded)
    raise_descriptor_limit()
    show_stacks_on_fatal_signals()
    log.start_thread()
    count = worker_count(loaded.config.workers)
    try:
        if count > 1:
            return uvloop.run(Supervisor(loaded, pid_file, count, strict=strict).serve())
        return uvloop.run(Daemon(loaded, pid_file, strict=strict).serve())
    except (OSError, ValueError) as error:
        log.fatal("the server can not start", error=error)
        return FAILED
    finally:
        log.stop_thread()


class Daemon:
    """One server, told by signals what to do."""

    def __init__(self, loaded: LoadedConfig, pid_file: PidFile | None, *, strict: bool) -> None:
        self._loaded = loaded
        self._pid_file = pid_file
        self._strict = strict
        self._notifier = Notifier(os.environ)
        self._stopping = asyncio.Event()

    async def serve(self) -> int:
        """Start every part, wait for a signal, stop; the exit code. Raises OSError or ValueError: no start."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_loop_error)
        config, clock = self._loaded.config, SystemClock(loop)
        engine = await open_engine(config, clock, memory_engine(config, clock))
        server = Server(config, take_sockets(os.environ), engine=engine)
        configuration = NodeConfiguration(server.node, server.clock)
        reloader = Reloader(self._loaded, configuration.apply, self._notifier, strict=self._strict)
        self._handle_signals(loop, reloader)
        log_parts(self._loaded.config, server.node.tokens, server.node.subscription_tokens)
        await server.start()
        for names, place in server.serving:
            log_serving(names, place)
        self._notifier.ready(server.status)
        self._feed_watchdog(loop, watchdog_period(os.environ))
        await self._stopping.wait()
        return await self._stop(server, reloader)

    def _handle_signals(self, loop: asyncio.AbstractEventLoop, reloader: Reloader) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal, reloader)
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # else they would end the process (12.2)
            signal.signal(number, signal.SIG_IGN)

    def _on_stop_signal(self, name: str) -> None:
        if self._stopping.is_set():
            log.warn("second signal, exiting at once", signal=name)
            self._end_at_once()
        log.info("signal received", signal=name)
        log.info("shutting down ...")
        self._notifier.stopping()
        self._stopping.set()

    def _on_reload_signal(self, reloader: Reloader) -> None:
        log.info("signal received", signal="SIGHUP")
        log.reopen()
        if not self._stopping.is_set():
            reloader.request()

    def _feed_watchdog(self, loop: asyncio.AbstractEventLoop, period: float) -> None:
        """From the loop itself, so that one that hangs is noticed; goes on during a stop."""
        if period > 0:
            self._notifier.alive()
            loop.call_later(period, self._feed_watchdog, loop, period)

    async def _stop(self, server: Server, reloader: Reloader) -> int:
        timeout = self._loaded.config.shutdown.timeout

        async def stop() -> None:
            await reloader.close()
            await server.stop()

        try:
            await asyncio.wait_for(stop(), timeout)
        except TimeoutError:
            log.fatal("shutdown timeout reached", timeout=timeout)
            self._end_at_once()
        return 0

    def _end_at_once(self) -> NoReturn:
        """End with 1 and wait for nothing: not for tasks, nor for threads that hang in a look-up of a name."""
        if self._pid_file is not None:
            self._pid_file.remove()
        log.stop_thread()
        os._exit(FAILED)
