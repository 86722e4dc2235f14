"""Events leave as lines: a constant name plus fields, readable on a terminal, JSON anywhere else.

An event is logged once, by whoever knows its outcome. No field ever carries a token or a payload. Built on
the standard ``logging``, so that what asyncio and libraries report comes out in the same form.
"""

import json
import logging
import sys
from datetime import UTC, datetime

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


def configure(level: str = "info", file: str = "") -> bool:
    """Send events of at least *level* to standard error, or append them to *file* as JSON lines.

    Returns False for an unknown word, which counts as ``info``. Raises :exc:`OSError` when the file cannot be
    opened. Other libraries are heard from WARN on.
    """
    threshold = LEVELS.get(level.lower())
    handler = logging.FileHandler(file) if file else logging.StreamHandler()
    handler.setFormatter(TextFormatter() if not file and sys.stderr.isatty() else JsonFormatter())
    root = logging.getLogger()
    for previous in [known for known in root.handlers if isinstance(known.formatter, EventFormatter)]:
        root.removeHandler(previous)
        previous.close()
    root.addHandler(handler)
    _logger.setLevel(INFO if threshold is None else threshold)
    root.setLevel(NONE if threshold == NONE else max(WARN, _logger.level))
    return threshold is not None


def enabled(level: int) -> bool:
    """Whether events of this level are written; ask first when fields are costly to make."""
    return _logger.isEnabledFor(level)


def event(level: int, name: str, fields: dict[str, object], *, traceback: bool = False) -> None:
    """Write one event; *traceback* adds the exception being handled."""
    if not _logger.isEnabledFor(level):
        return
    # makeRecord instead of log: finding the calling line costs most, and no form shows it.
    record = _logger.makeRecord(
        _logger.name, level, "", 0, name, (), sys.exc_info() if traceback else None, extra={"fields": fields}
    )
    _logger.handle(record)


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
    event(ERROR, name, fields, traceback=True)


def fatal(name: str, **fields: object) -> None:
    """The reason why the process is about to end with 1; ending it is the caller's part."""
    event(FATAL, name, fields)


class EventFormatter(logging.Formatter):
    """What both forms share; a record of another library has no fields."""

    def parts(self, record: logging.LogRecord) -> tuple[str, str, dict[str, object]]:
        """Return time (RFC 3339, UTC, milliseconds), level and the fields that are not empty."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = getattr(record, "fields", {})
        present = {key: value for key, value in fields.items() if value is not None and value != ""}
        if record.name != _logger.name:
            present["logger"] = record.name
        return time.replace("+00:00", "Z"), NAMES.get(record.levelno, record.levelname.lower()), present

    def traceback_of(self, record: logging.LogRecord) -> str:
        """Return the traceback, or nothing."""
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""


class JsonFormatter(EventFormatter):
    """One JSON object per line: ``level``, ``time``, ``message``, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time, level, fields = self.parts(record)
        line = {"level": level, "time": time, "message": record.getMessage(), **fields}
        traceback = self.traceback_of(record)
        if traceback:
            line["traceback"] = traceback
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(EventFormatter):
    """``time LEVEL event key=value``; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time, level, fields = self.parts(record)
        words = [time, level.upper().ljust(5), record.getMessage()]
        words += [f"{key}={quoted(value)}" for key, value in fields.items()]
        traceback = self.traceback_of(record)
        return " ".join(words) + (f"\n{traceback}" if traceback else "")


def quoted(value: object) -> str:
    """Write a value so that it stays one word: quoted when it has spaces, quotes, or control characters."""
    text = str(value)
    plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)
