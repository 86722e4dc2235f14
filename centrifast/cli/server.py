"""No subcommand: run the server."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from centrifast import log
from centrifast.config.error import ConfigError
from centrifast.config.loader import FlagValue, LoadedConfig, load, load_dotenv
from centrifast.config.review import review
from centrifast.pid_file import PidFile

FAILED = 1


def run_server(path: str, flags: Mapping[str, FlagValue], *, strict: bool) -> int:
    """Read the configuration, tell what is odd about it, run; return the exit code (server specification 12.1, 12.4).

    *strict* makes unknown keys of the file an error.
    """
    log.configure()
    with signals_before_start():
        try:
            loaded = read(Path(path), flags)
        except (ConfigError, OSError) as error:
            log.fatal("configuration cannot be used", error=error)
            return FAILED
        if not loaded.config.pid_file:
            return checked_run(loaded, None, strict=strict)
        pid_file = PidFile(Path(loaded.config.pid_file))
        try:
            pid_file.write()
        except OSError as error:
            log.fatal("pid file can not be written", path=loaded.config.pid_file, error=error)
            return FAILED
        try:
            return checked_run(loaded, pid_file, strict=strict)
        finally:
            pid_file.remove()


def read(path: Path, flags: Mapping[str, FlagValue]) -> LoadedConfig:
    """Read file, environment and flags, and log from here on as they say. Raises ConfigError or OSError."""
    oddities = load_dotenv(Path(".env"), os.environ)
    loaded = load(path, flags, os.environ)
    level_known = log.configure(loaded.config.log.level, loaded.config.log.file)
    for oddity in oddities:
        log.warn("configuration", reason=oddity)
    if not level_known:
        log.warn("unknown log level, using info", word=loaded.config.log.level)
    return loaded


def checked_run(loaded: LoadedConfig, pid_file: PidFile | None, *, strict: bool) -> int:
    """Run what can be run; return the exit code."""
    try:
        review(loaded, strict=strict)
    except ConfigError as error:
        log.fatal("configuration cannot be used", error=error)
        return FAILED
    from centrifast.daemon import run

    return run(loaded, pid_file, strict=strict)


@contextmanager
def signals_before_start() -> Iterator[None]:
    """Until the server handles signals itself: a stop ends the process with 0, a reload means nothing yet."""

    def on_stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    stops = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, on_stop) for number in stops}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
