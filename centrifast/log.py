"""Events leave as lines: a constant name plus fields, readable on a terminal, JSON anywhere else.

An event is logged once, by whoever knows its outcome. No field ever carries a token, a key or a payload. Fields that
have a name here: ``client`` ``user`` ``channel`` ``transport`` ``method`` ``code`` ``reason`` ``error`` (server
specification 9.4). Built on the standard ``logging``, so that what asyncio and libraries report comes out in the same
form; where lines go, and that nobody waits for it, is ``log_output``'s part.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from centrifast.limits import LOG_END_TIMEOUT
from centrifast.log_output import FileSink, Output, StreamSink

TRACE = 5
DEBUG = logging.DEBUG
INFO = logging.INFO
WARN = logging.WARNING
ERROR = logging.ERROR
FATAL = logging.CRITICAL
NONE = FATAL + 10
"""Above every event."""

LEVELS = {
    "none": NONE,
    "trace": TRACE,
    "debug": DEBUG,
    "info": INFO,
    "warn": WARN,
    "error": ERROR,
    "fatal": FATAL,
}
NAMES = {number: name for name, number in LEVELS.items()}

_logger = logging.getLogger("centrifast")
_logger.setLevel(INFO)


class OutputHandler(logging.Handler):
    """What the standard ``logging`` calls: record to line to output."""

    def __init__(self, output: Output, formatter: "EventFormatter") -> None:
        super().__init__()
        self.output = output
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line on."""
        try:
            self.output.write(encoded(self.format(record)))
        except Exception:  # noqa: BLE001 - a field that can not be written must not end what logged it
            self.handleError(record)

    def close(self) -> None:
        """Let go of file or stream."""
        self.output.close()
        super().close()


def configure(level: str = "info", file: str = "", *, worker: int = 0) -> bool:
    """Send events of at least *level* to standard error as JSON lines, or append them to *file*.

    On a terminal, without *file*, they go to standard output in a readable form. Each line of a *worker* carries its
    number. Returns False for an unknown word, which counts as ``info``. Raises :exc:`OSError` when the file cannot be
    opened. Other libraries are heard from WARN on.
    """
    threshold = LEVELS.get(level.lower())
    formatter: EventFormatter = JsonFormatter(worker=worker)
    if file:
        sink: FileSink | StreamSink = FileSink(file)
    elif sys.stdout.isatty():
        sink, formatter = (
            StreamSink(sys.stdout),
            TextFormatter(coloured=wants_colours(os.environ), worker=worker),
        )
    else:
        sink = StreamSink(sys.stderr)
    output = Output(sink, lambda name, fields: encoded(formatter.format(record_of(WARN, name, fields))))
    root = logging.getLogger()
    for previous in handlers():
        root.removeHandler(previous)
        previous.close()
    root.addHandler(OutputHandler(output, formatter))
    _logger.setLevel(INFO if threshold is None else threshold)
    root.setLevel(NONE if threshold == NONE else max(WARN, _logger.level))
    return threshold is not None


def handlers() -> list[OutputHandler]:
    """What ``configure`` has set up: one, or none yet."""
    return [known for known in logging.getLogger().handlers if isinstance(known, OutputHandler)]


def start_thread() -> None:
    """From here on nobody waits for the log: call it before the event loop runs."""
    for handler in handlers():
        handler.output.start()


def stop_thread(timeout: float = LOG_END_TIMEOUT) -> None:
    """Write what waits, for at most *timeout* seconds: call it when the process ends."""
    for handler in handlers():
        handler.output.stop(timeout)


def reopen() -> None:
    """Open the file again: it may have been moved away."""
    for handler in handlers():
        handler.output.reopen()


def wants_colours(environ: Mapping[str, str]) -> bool:
    """Whether a terminal is to be written to in colours."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def encoded(line: str) -> bytes:
    """The line as it is written; what is no Unicode text is escaped."""
    return f"{line}\n".encode("utf-8", "backslashreplace")


def enabled(level: int) -> bool:
    """Whether events of this level are written; ask first when fields are costly to make."""
    return _logger.isEnabledFor(level)


def event(level: int, name: str, fields: dict[str, object], exception: BaseException | None = None) -> None:
    """Write one event, with the traceback of *exception* if there is one."""
    if not _logger.isEnabledFor(level):
        return
    _logger.handle(record_of(level, name, fields, exception))


def record_of(
    level: int, name: str, fields: dict[str, object], exception: BaseException | None = None
) -> logging.LogRecord:
    """Make the record by hand: finding the calling line costs most, and no form shows it."""
    info = (type(exception), exception, exception.__traceback__) if exception is not None else None
    return _logger.makeRecord(_logger.name, level, "", 0, name, (), info, extra={"fields": fields})


def trace(name: str, **fields: object) -> None:
    """Something for whoever debugs the server itself."""
    event(TRACE, name, fields)


def debug(name: str, **fields: object) -> None:
    """A step in the life of one connection."""
    event(DEBUG, name, fields)


def info(name: str, **fields: object) -> None:
    """Something an operator may want to know later."""
    event(INFO, name, fields)


def warn(name: str, **fields: object) -> None:
    """Something an operator should look at some day."""
    event(WARN, name, fields)


def error(name: str, **fields: object) -> None:
    """Something a human must act on."""
    event(ERROR, name, fields)


def exception(name: str, **fields: object) -> None:
    """A bug or an outage: an error with the traceback of the exception being handled."""
    event(ERROR, name, fields, sys.exc_info()[1])


def failure(name: str, failed: BaseException | None, **fields: object) -> None:
    """A bug that was caught elsewhere: an error with its traceback."""
    event(ERROR, name, fields, failed)


def fatal(name: str, **fields: object) -> None:
    """The reason why the process is about to end with 1; ending it is the caller's part."""
    event(FATAL, name, fields)


class EventFormatter(logging.Formatter):
    """What both forms share; a record of another library has no fields. A *worker* is named in every line."""

    def __init__(self, *, worker: int = 0) -> None:
        super().__init__()
        self._worker = worker

    def parts(self, record: logging.LogRecord) -> tuple[str, str, dict[str, object]]:
        """Return time (RFC 3339, UTC, milliseconds), level and the fields that are not empty."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = getattr(record, "fields", {})
        present = {key: value for key, value in fields.items() if value is not None and value != ""}
        if record.name != _logger.name:
            present["logger"] = record.name
        if self._worker:
            present = {"worker": self._worker, **present}
        return time.replace("+00:00", "Z"), NAMES.get(record.levelno, record.levelname.lower()), present

    def traceback_of(self, record: logging.LogRecord) -> str:
        """Return the traceback, or nothing."""
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class JsonFormatter(EventFormatter):
    """One JSON object per line: ``level``, ``time``, ``message``, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time, level, fields = self.parts(record)
        line: dict[str, object] = {"level": level, "time": time, "message": record.getMessage()}
        line.update((name, value) for name, value in fields.items() if name not in line)
        traceback = self.traceback_of(record)
        if traceback:
            line["traceback"] = traceback
        return json.dumps(line, default=str, ensure_ascii=False)


COLOURS = {"trace": 90, "debug": 90, "info": 32, "warn": 33, "error": 31, "fatal": 31}
"""SGR codes (ECMA-48): grey, green, yellow, red."""


class TextFormatter(EventFormatter):
    """``time LEVEL event key=value``; a traceback follows on lines of its own."""

    def __init__(self, *, coloured: bool = False, worker: int = 0) -> None:
        super().__init__(worker=worker)
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time, level, fields = self.parts(record)
        words = [time, self.painted(level), printable(record.getMessage())]
        words += [f"{key}={quoted(value)}" for key, value in fields.items()]
        traceback = self.traceback_of(record)
        return " ".join(words) + (f"\n{traceback}" if traceback else "")

    def painted(self, level: str) -> str:
        """The level, five letters wide."""
        word = level.upper().ljust(5)
        return f"\x1b[{COLOURS.get(level, 0)}m{word}\x1b[0m" if self._coloured else word


def quoted(value: object) -> str:
    """Write a value so that it stays one word: quoted when it has spaces, quotes, or control characters."""
    text = str(value)
    plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if plain else printable(json.dumps(text, ensure_ascii=False))


def printable(text: str) -> str:
    """Write what would move a terminal's cursor, or change its colours, as escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
