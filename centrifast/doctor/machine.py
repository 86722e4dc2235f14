"""Thin reader of what the kernel tells: files below ``/proc`` and ``/sys``.

In containers some are missing, and some may not be read: then the answer is None, never an error.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_DEPTH = 32
"""Levels of control groups that are looked at."""


class Machine:
    """Files of the kernel below *root*, which tests make up."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def text(self, path: str) -> str | None:
        """Return the text of a small file, None if it can not be read."""
        try:
            return (self._root / path.lstrip("/")).read_text(errors="replace").strip()
        except OSError:
            return None

    def numbers(self, path: str) -> tuple[int, ...]:
        """Return the numbers of a file; none if it can not be read or holds something else."""
        try:
            return tuple(int(word) for word in (self.text(path) or "").split())
        except ValueError:
            return ()

    def number(self, path: str) -> int | None:
        """Return the first number of a file, None if there is none."""
        return next(iter(self.numbers(path)), None)

    def sysctl(self, name: str) -> tuple[int, ...]:
        """Return the numbers of a kernel setting, by the name ``sysctl`` gives it."""
        return self.numbers("proc/sys/" + name.replace(".", "/"))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self._root / path.lstrip("/")).exists()

    def field(self, path: str, name: str) -> int | None:
        """Return the first number of the line that begins with *name*, as in ``/proc/meminfo``."""
        for line in (self.text(path) or "").splitlines():
            if line.startswith(name):
                word = next(iter(line[len(name) :].strip(": \t").split()), "")
                return int(word) if word.isdecimal() else None
        return None

    @property
    def in_container(self) -> bool:
        """Whether this looks like the inside of a container."""
        return (
            self.exists(".dockerenv")
            or self.exists("run/.containerenv")
            or "container=" in (self.text("proc/1/environ") or "")
            or self.exists("var/run/secrets/kubernetes.io")
        )

    def cgroup_files(self, controller: str, name: str, name_v1: str) -> Iterator[tuple[str, str]]:
        """Give path and text of a setting in this process's control group and in all above it.

        *name* is the file of version 2, *name_v1* that of version 1, where each controller has a tree of its own.
        Inside a container the group's path may be that of the host: then the root of the tree is what there is.
        """
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, group = rest.partition(":")
            if number == "0" and not controllers:
                tree, file = "sys/fs/cgroup", name
            elif controller in controllers.split(","):
                tree, file = f"sys/fs/cgroup/{controller}", name_v1
            else:
                continue
            path = PurePosixPath(group)
            for level in (path, *path.parents)[:CGROUP_DEPTH]:
                found = f"{tree}/{str(level).strip('/')}/{file}".replace("//", "/")
                text = self.text(found)
                if text is not None:
                    yield found, text
