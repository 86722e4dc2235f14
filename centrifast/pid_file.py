"""The file that names the process while it runs (server specification 12.1, ``pid_file``)."""

import os
import stat
from pathlib import Path


class PidFile:
    """Written at start, removed at the end, if it still names this process by then."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self) -> None:
        """Name this process in it, mode 0600; what a dead process has left is overwritten.

        Raises OSError, also for something that is no file.
        """
        # Without waiting: what stands there may be a pipe that nobody reads.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(self._path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(f"{self._path} is no regular file")
            os.fchmod(fd, 0o600)
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
        finally:
            os.close(fd)

    def remove(self) -> None:
        """Remove it, unless it is gone, or another process has written its own since; never raises."""
        try:
            if self._path.read_text().strip() == str(os.getpid()):
                self._path.unlink()
        except (OSError, ValueError):  # it is no longer ours to care about
            return
