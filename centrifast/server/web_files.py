"""A directory served as a page: read once, at start, so that a request can reach nothing else of the disk."""

import mimetypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from centrifast.limits import MIB
from centrifast.protocol.http1 import Response

FILES_LIMIT = 1000
SIZE_LIMIT = 64 * MIB
"""Of all files together: a page has a few hundred, of a few MiB."""

INDEX = "index.html"

_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Cache-Control", "no-cache"),
)


class WebFilesError(ValueError):
    """The directory can not be served; the text tells an operator why."""


def read_folder(folder: str, prefix: str) -> Mapping[str, Response]:
    """Answers by path below *prefix*, which ends with a slash; an index stands for its folder.

    Hidden files are left out, and so are links that lead out of the folder. Raises ``WebFilesError``.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise WebFilesError(f"{folder} is no directory")
    answers: dict[str, Response] = {}
    size = 0
    for path in _files(root):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WebFilesError(f"{path} can not be read: {error.strerror}") from error
        size += len(content)
        if size > SIZE_LIMIT or len(answers) >= 2 * FILES_LIMIT:
            raise WebFilesError(f"{folder} holds more than {FILES_LIMIT} files or {SIZE_LIMIT // MIB} MiB")
        name = path.relative_to(root).as_posix()
        answer = Response(200, content, _content_type(name), _HEADERS)
        answers[prefix + name] = answer
        if path.name == INDEX:
            answers[prefix + name.removesuffix(INDEX)] = answer
    if prefix not in answers:
        raise WebFilesError(f"{folder} has no {INDEX}")
    return answers


def _files(root: Path) -> Iterator[Path]:
    """Regular files that are not hidden, also by links as Kubernetes makes them for a mounted ConfigMap."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.resolve().is_relative_to(root) and path.is_file():
                yield path


def _content_type(name: str) -> str:
    guessed, coding = mimetypes.guess_type(name)
    if guessed is None or coding is not None:
        return "application/octet-stream"
    is_text = guessed.startswith("text/") or guessed in ("application/javascript", "application/json")
    return f"{guessed}; charset=utf-8" if is_text else guessed
