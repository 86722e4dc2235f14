"""How many workers a node has: what is configured, or one for each processor this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from centrifast.config.rules_server import AUTO, MOST_WORKERS


def worker_count(configured: str, root: Path = Path("/")) -> int:
    """The number of workers; for ``auto`` what affinity mask and control group allow, at least 1."""
    if configured != AUTO:
        return int(configured)
    allowed: float = len(os.sched_getaffinity(0))
    return max(1, min(MOST_WORKERS, int(min((allowed, *quotas(root))))))


def quotas(root: Path) -> Iterator[float]:
    """Processors that the control group of this process, and each above it, may use.

    Inside a container the path of the group may be that of the host: then the root of the tree is what there is.
    """
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        path = PurePosixPath(group.lstrip("/"))
        for level in (path, *path.parents):
            if number == "0" and not controllers:  # version 2: one tree
                words = (text_of(root / "sys/fs/cgroup" / level / "cpu.max") or "").split()
            elif "cpu" in controllers.split(","):
                folder = root / "sys/fs/cgroup/cpu" / level
                names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                words = [(text_of(folder / name) or "").strip() for name in names]
            else:
                break
            if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):
                yield int(words[0]) / int(words[1])


def text_of(path: Path) -> str | None:
    """The content of a small file of the system, None where it can not be read."""
    try:
        return path.read_text()
    except OSError:
        return None
