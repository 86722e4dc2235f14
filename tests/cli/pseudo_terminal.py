"""A command in a terminal of its own: what it draws, which keys it is sent, how it leaves the terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Any

WAIT = 30.0


def _own_the_terminal() -> None:
    """Let the keys that interrupt a program reach it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class PseudoTerminal:
    """One command. Use as a context manager, which ends it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        columns: int = 100,
        rows: int = 30,
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        self._resize(columns, rows)
        self.before = self.settings()
        self.output = ""
        self.process = subprocess.Popen(
            command,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
            start_new_session=True,
            preexec_fn=_own_the_terminal,  # noqa: PLW1509 - only an ioctl runs there
        )

    def __enter__(self) -> "PseudoTerminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def settings(self) -> list[Any]:
        """How the terminal is set: echo, line by line, and so on."""
        return termios.tcgetattr(self._theirs)

    def press(self, keys: str) -> None:
        """Send keys."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as a window manager tells it."""
        self._resize(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def until(self, text: str) -> str:
        """Read until *text* has been drawn; what came before it and with it, which is forgotten."""
        end = time.monotonic() + WAIT
        while text not in self.output:
            assert time.monotonic() < end, f"{text!r} was never drawn:\n{self.output}"
            self._read()
        before, _, self.output = self.output.partition(text)
        return before + text

    def wait(self) -> int:
        """Wait for its end; the exit code. What it has drawn stands in ``output``."""
        end = time.monotonic() + WAIT
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.output}"
            self._read()
        self._read()
        return self.process.returncode

    def _read(self) -> None:
        readable, _, _ = select.select([self._ours], [], [], 0.1)
        if readable:
            self.output += os.read(self._ours, 65536).decode(errors="replace")

    def _resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
