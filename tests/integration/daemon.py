"""A daemon whose environment, descriptors and standard error the test chooses, and whose log it reads as events."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.server_process import START_TIMEOUT, ServerProcess, merged

WAIT = 20.0

LAUNCHER = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.executable, [sys.executable, "-m", "centrifast", *sys.argv[2:]])
"""
"""Does what systemd does: numbers the descriptors from 3 and names the process they are for."""


def eventually(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Wait until *condition* gives something true; that."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        pause.wait(0.005)
    return found


class Daemon(ServerProcess):
    """See :class:`ServerProcess`; *sockets* are passed as systemd passes them, *stderr* is where its log goes."""

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        sockets: Sequence[int] = (),
        stderr: int | None = None,
        answers: bool = True,
    ) -> None:
        """*answers*: whether ``start`` waits until it does."""
        super().__init__(folder, changes)
        self.folder = folder
        self._environ = {**os.environ, **(environ or {})}
        self._sockets = sockets
        self._stderr = stderr
        self._answers = answers

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it answers if it shall."""
        self.write_config()
        arguments = ["-c", str(self._config_file)]
        command = [sys.executable, "-m", "centrifast", *arguments]
        if self._sockets:
            command = [sys.executable, "-c", LAUNCHER, ",".join(map(str, self._sockets)), *arguments]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log if self._stderr is None else self._stderr,
                pass_fds=self._sockets,
                env=self._environ,
                cwd=self.folder,
            )
        end = time.monotonic() + START_TIMEOUT
        while self._answers and not self._is_up():
            assert self._process.poll() is None, f"the server ended:\n{self.log()}"
            assert time.monotonic() < end, f"the server does not answer:\n{self.log()}"

    def _is_up(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    @property
    def config_file(self) -> Path:
        """Its configuration."""
        return self._config_file

    def write_config(self, changes: Mapping[str, Any] | None = None) -> None:
        """Write the configuration, with *changes* from here on, in one step."""
        self.config = merged(self.config, changes or {})
        written = self._config_file.with_suffix(".new.json")
        written.write_text(json.dumps(self.config))
        written.rename(self._config_file)

    def reload(self, message: str = "configuration reloaded") -> dict[str, Any]:
        """Send SIGHUP and wait for its outcome; that event."""
        before = len(self.events(message))
        self.signal(signal.SIGHUP)
        eventually(lambda: len(self.events(message)) > before, message)
        return self.events(message)[before]

    def events(self, message: str = "") -> list[dict[str, Any]]:
        """What it has logged so far, with this message if one is given."""
        whole = self.log().rpartition("\n")[0]
        events = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [event for event in events if message in ("", event["message"])]

    def event(self, message: str) -> dict[str, Any]:
        """Wait for an event with this message; the first one."""
        events: list[dict[str, Any]] = eventually(lambda: self.events(message), message)
        return events[0]
