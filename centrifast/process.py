"""What a process of the server does around its work: its limits, its last words, what it says at its start (12)."""

import asyncio
import faulthandler
import os
import platform
import resource
import signal
import sys
from typing import Any

from centrifast import __version__, log
from centrifast.auth.tokens import TokenVerifier
from centrifast.config.loader import LoadedConfig
from centrifast.config.schema import Config
from centrifast.limits import DESCRIPTORS_WARNING
from centrifast.transports.front_door import FrontDoorSettings

FAILED = 1
"""Exit code (12.4)."""


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


def log_parts(config: Config, tokens: TokenVerifier, subscription_tokens: TokenVerifier) -> None:
    """Say which engine and which tokens are used (9.4)."""
    log.info("engine", engine=config.engine.type)
    log.info("enabled token algorithms", algorithms=", ".join(tokens.algorithms) or "none")
    if subscription_tokens is not tokens:
        algorithms = ", ".join(subscription_tokens.algorithms) or "none"
        log.info("enabled subscription token algorithms", algorithms=algorithms)


def log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A bug outside of every boundary. Only its message and exception: the callback's arguments may be payloads."""
    log.failure("error in the event loop", context.get("exception"), reason=context.get("message"))
