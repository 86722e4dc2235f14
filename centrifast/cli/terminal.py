"""A terminal that a program draws on: its own screen, keys without Enter, and everything as before in the end."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

CLEAN = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
"""The second screen, without cursor, lines cut at the edge, empty."""

RESTORE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Screen:
    """Standard input and output, which must be a terminal. Use as a context manager, in the main thread."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._before: list[Any] = []
        self._wake_reader, self._wake_writer = -1, -1
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Screen":
        self._before = termios.tcgetattr(self._input)
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)
        self._handlers = {
            signal.SIGWINCH: signal.signal(signal.SIGWINCH, self._on_resize),
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end),
            signal.SIGHUP: signal.signal(signal.SIGHUP, _end),
        }
        tty.setcbreak(self._input)
        self._write(CLEAN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write(RESTORE)
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
        except (OSError, termios.error):
            pass  # the terminal itself has gone
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return os.get_terminal_size(self._output)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines and nothing else; without a flicker, for nothing is cleared that stays."""
        self._write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def key(self, seconds: float) -> str:
        """The key that is pressed within *seconds*; empty if none is, or the size has changed."""
        readable, _, _ = select.select([self._input, self._wake_reader], [], [], max(0.0, seconds))
        if self._wake_reader in readable:
            os.read(self._wake_reader, 1024)
        if self._input not in readable:
            return ""
        pressed = os.read(self._input, 1024)
        if not pressed:
            raise SystemExit(0)  # nobody is there any more
        return pressed[:1].decode("ascii", errors="replace")

    def _on_resize(self, number: int, frame: FrameType | None) -> None:
        try:
            os.write(self._wake_writer, b"r")
        except BlockingIOError:
            pass  # it has been told often enough

    def _write(self, text: str) -> None:
        data = text.encode(sys.stdout.encoding or "ascii", errors="replace")
        while data:
            data = data[os.write(self._output, data) :]


def _end(number: int, frame: FrameType | None) -> None:
    """End by the ordinary way, which gives the terminal back."""
    raise SystemExit(128 + number)


def is_terminal() -> bool:
    """Whether somebody sits there who can be drawn for."""
    return sys.stdin.isatty() and sys.stdout.isatty()
