"""The process around the server: its limits, its signals, what it tells systemd, its end (server specification 12)."""

import asyncio
import faulthandler
import os
import platform
import resource
import signal
import sys
from typing import Any, NoReturn

import uvloop

from centrifast import __version__, log
from centrifast.app import Server
from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.limits import DESCRIPTORS_WARNING
from centrifast.pid_file import PidFile
from centrifast.reload import Reloader
from centrifast.systemd import Notifier, take_sockets, watchdog_period
from centrifast.transports.front_door import FrontDoorSettings

FAILED = 1


def run(loaded: LoadedConfig, pid_file: PidFile | None = None, *, strict: bool = False) -> int:
    """Run the server until it is told to stop; the process's exit code (12.4).

    *pid_file* is removed if the process has to end in here; *strict* lets a reload refuse unknown keys.
    """
    log_start(loaded)
    raise_descriptor_limit()
    show_stacks_on_fatal_signals()
    log.start_thread()
    try:
        return uvloop.run(Daemon(loaded, pid_file, strict=strict).serve())
    except (OSError, ValueError) as error:
        log.fatal("the server can not start", error=error)
        return FAILED
    finally:
        log.stop_thread()


def log_start(loaded: LoadedConfig) -> None:
    """Say what runs, and with which file (9.4)."""
    if loaded.file_found:
        log.info("configuration file", path=str(loaded.path))
    runtime = f"Python {platform.python_version()}"
    log.info("starting centrifast", version=__version__, runtime=runtime, pid=os.getpid())


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one and say so (12.5)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = FrontDoorSettings(descriptor_limit=hard).descriptor_ceiling
    log.info("descriptor limit", limit=hard, was=soft, connections=connections)
    if hard < DESCRIPTORS_WARNING:
        log.warn(
            "few descriptors: a connection needs one",
            limit=hard,
            hint=f"raise the hard limit (ulimit -Hn, LimitNOFILE=) to {DESCRIPTORS_WARNING} or more",
        )


def show_stacks_on_fatal_signals() -> None:
    """A crash, SIGQUIT, or the abort of a watchdog leaves on standard error where each thread was."""
    if sys.stderr is not None:
        faulthandler.enable()
        faulthandler.register(signal.SIGQUIT, chain=True)


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
        server = Server(self._loaded.config, take_sockets(os.environ))
        reloader = Reloader(self._loaded, server.node, server.clock, self._notifier, strict=self._strict)
        self._handle_signals(loop, reloader)
        log_parts(server, self._loaded.config)
        await server.start()
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


def log_parts(server: Server, config: Config) -> None:
    """Say which engine and which tokens are used (9.4)."""
    log.info("engine", engine=config.engine.type)
    tokens, subscription_tokens = server.node.tokens, server.node.subscription_tokens
    log.info("enabled token algorithms", algorithms=", ".join(tokens.algorithms) or "none")
    if subscription_tokens is not tokens:
        algorithms = ", ".join(subscription_tokens.algorithms) or "none"
        log.info("enabled subscription token algorithms", algorithms=algorithms)


def log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug outside of every boundary. Only its message and exception: the callback's arguments may be payloads."""
    log.failure("error in the event loop", context.get("exception"), reason=context.get("message"))
