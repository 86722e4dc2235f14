"""Files that the server writes: can it?"""

import os
from dataclasses import dataclass
from pathlib import Path

from centrifast.config.schema import Config
from centrifast.doctor.finding import Finding, fail, ok


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file that is going to be written, by an option."""

    option: str
    path: str
    folder_exists: bool
    writable: bool
    user: int


def read_files(config: Config) -> list[FileFacts]:
    """Look at the files of the configuration, without making any."""
    wanted = (("pid_file", config.pid_file), ("log.file", config.log.file))
    return [_read_file(option, path) for option, path in wanted if path]


def _read_file(option: str, path: str) -> FileFacts:
    place = Path(path)
    folder = place.parent
    exists = folder.is_dir()
    writable = (
        os.access(place, os.W_OK) and place.is_file()
        if place.exists()
        else exists and os.access(folder, os.W_OK)
    )
    return FileFacts(option, path, exists, writable, os.geteuid())


def check_file(facts: FileFacts) -> Finding:
    """Judge one file."""
    if facts.writable:
        return ok(facts.option, f"{facts.path} can be written by user id {facts.user}")
    folder = str(Path(facts.path).parent)
    if not facts.folder_exists:
        return fail(
            facts.option, f"{folder} does not exist", "the folder", f"install -d -o centrifast {folder}"
        )
    seen = f"{facts.path} can not be written by user id {facts.user}"
    needed = "a file, or a folder, that the user of the server may write"
    return fail(
        facts.option, seen, needed, f"chown centrifast {folder}    # or another path for {facts.option}"
    )


def read_server_pid(pid_file: str) -> int | None:
    """Return the process id of a running server, None if there is none."""
    try:
        pid = int(Path(pid_file).read_text()) if pid_file else 0
    except (OSError, ValueError):
        return None
    return pid if pid > 0 and Path(f"/proc/{pid}").exists() else None
