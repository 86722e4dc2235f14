"""Where lines of the log go, and how: a reader that does not read may cost lines, never time of the event loop.

How it works: until :meth:`Output.start`, and in tools for ever, a line is written at once. From then on lines wait in a
buffer of ``LOG_BUFFER_SIZE`` bytes for a thread that writes them. What does not fit is dropped and counted; the thread
tells the count as soon as it gets on.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

from centrifast.limits import LOG_BATCH_SIZE, LOG_BUFFER_SIZE

RETRY = 1.0
"""Seconds to wait for a descriptor that somebody else has made non-blocking, before the next look."""


class Sink(Protocol):
    """A place for lines. Both calls may block."""

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError."""

    def reopen(self) -> None:
        """Begin anew, if the place can be moved away. Raises OSError, and goes on with the old one."""

    def close(self) -> None:
        """Let go of it."""


class StreamSink:
    """A standard stream, by its descriptor if it has one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError):  # replaced by a test, or closed
            self._fd = None

    def write(self, data: bytes) -> None:
        """See ``Sink.write``."""
        if self._fd is None:
            self._stream.write(data.decode("utf-8", "replace"))
            self._stream.flush()
        else:
            for piece in pieces(data):
                write_all(self._fd, piece)

    def reopen(self) -> None:
        """See ``Sink.reopen``; a stream stays where it is."""

    def close(self) -> None:
        """See ``Sink.close``; the stream is not ours."""


class FileSink:
    """A file that is appended to, created with mode 0644 less the umask."""

    def __init__(self, path: str) -> None:
        """Raises OSError if it can not be opened."""
        self._path = path
        self._fd = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        """See ``Sink.write``."""
        write_all(self._fd, data)

    def reopen(self) -> None:
        """See ``Sink.reopen``: the file may have been moved away, as logrotate does."""
        opened = self._open()
        os.close(self._fd)
        self._fd = opened

    def close(self) -> None:
        """See ``Sink.close``."""
        os.close(self._fd)


def pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes in one step (pipe(7)): lines of processes that share one stay whole.

    Only a line that is longer than that can be torn.
    """
    start = 0
    while len(data) - start > select.PIPE_BUF:
        end = data.rfind(b"\n", start, start + select.PIPE_BUF) + 1
        if end <= start:
            end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]


def write_all(fd: int, data: bytes) -> None:
    """Write everything, however long it takes. Raises OSError."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [], RETRY)


Note = Callable[[str, dict[str, object]], bytes]
"""Makes a line of warning from a message and its fields."""


class Output:
    """Takes lines from any thread. *note* makes the lines by which it tells of itself."""

    def __init__(self, sink: Sink, note: Note, buffer_size: int = LOG_BUFFER_SIZE) -> None:
        self._sink = sink
        self._note = note
        self._buffer_size = buffer_size
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0  # bytes of lines not yet written, also of those in the thread's hands
        self._dropped = 0  # lines for which there was no room: told as soon as the others are written
        self._failed = 0  # lines that could not be written: told with the next that can
        self._reopen = False
        self._ending = False
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Write *line*, or leave it to the thread, or drop it."""
        if self._thread is None:
            self._write(line)
            return
        with self._changed:
            if self._ending or self._size + len(line) > self._buffer_size:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify()

    def reopen(self) -> None:
        """Have the file opened again before the next line; only while the thread runs."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def start(self) -> None:
        """From here on no caller waits for the place where lines go."""
        # A daemon: one that hangs in a write must not hold the end of the process.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Write what waits, for at most *timeout* seconds; what comes later is written at once, if that went well."""
        thread = self._thread
        if thread is None:
            return
        with self._changed:
            self._ending = True
            self._changed.notify()
        thread.join(timeout)
        if not thread.is_alive():
            self._thread = None
            self._ending = False

    def close(self) -> None:
        """Let go of the place, unless a thread still writes to it."""
        if self._thread is None:
            self._sink.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._lines or self._dropped or self._reopen or self._ending):
                    self._changed.wait()
                batch = self._take()
                dropped = 0
                if not self._lines:
                    dropped, self._dropped = self._dropped, 0
                if self._ending and not batch and not dropped and not self._reopen:
                    return
                reopen, self._reopen = self._reopen, False
            if reopen:
                self._try_to_reopen()
            self._write_batch(batch, dropped)

    def _take(self) -> bytes:
        """Some of what waits: not all at once, so that the buffer has room again while the rest is written."""
        batch = bytearray()
        while self._lines and len(batch) < LOG_BATCH_SIZE:
            batch += self._lines.popleft()
        return bytes(batch)

    def _write_batch(self, batch: bytes, dropped: int) -> None:
        lost = dropped + self._failed
        data = batch + (self._note("log lines dropped", {"dropped": lost}) if lost else b"")
        written = not data or self._write(data)
        with self._changed:
            self._failed = 0 if written else lost + batch.count(b"\n")
            self._size -= len(batch)

    def _write(self, data: bytes) -> bool:
        try:
            self._sink.write(data)
        except (OSError, ValueError):  # the disk is full, the reader has gone, the stream is closed
            return False
        return True

    def _try_to_reopen(self) -> None:
        try:
            self._sink.reopen()
        except OSError as error:
            self._write(
                self._note("log file can not be reopened, the old one is used", {"error": str(error)})
            )
