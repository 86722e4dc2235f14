"""What systemd and a service tell each other: its state, its watchdog, and sockets opened for it.

Everything goes through variables of the environment (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)); without
them nothing happens. Whoever speaks the same protocol may stand in for systemd.
"""

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

FIRST_PASSED_FD = 3


class Notifier:
    """Tells the state of the service; never waits, and what can not be told is lost."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading "@" stands for the zero byte of an abstract name (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """The service serves, or serves again after a reload."""
        self._tell("READY=1", f"STATUS={one_line(status)}")

    def reloading(self) -> None:
        """The configuration is read again; ``ready`` follows."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._tell("STOPPING=1", "STATUS=shutting down")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def _tell(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto("\n".join(assignments).encode(), self._address)
        except OSError:  # nobody listens, or reads too slowly
            return


def one_line(text: str) -> str:
    """The text without what would begin another assignment."""
    return "; ".join(text.splitlines())


def watchdog_period(environ: Mapping[str, str]) -> float:
    """Seconds between two signs of life: half of what the watchdog waits; 0 if none watches this process."""
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(microseconds) / 2_000_000


@dataclass(frozen=True, slots=True)
class PassedSocket:
    """A socket that was opened for this process; the name may be empty."""

    socket: socket.socket
    name: str

    @property
    def description(self) -> str:
        """How messages call it."""
        place = self.socket.getsockname()
        where = f"{place[0]} port {place[1]}" if isinstance(place, tuple) else f"{place!r}"
        return f"file descriptor {self.socket.fileno()} ({self.name or 'no name'}, {where})"


def take_sockets(environ: MutableMapping[str, str]) -> list[PassedSocket]:
    """Take over the sockets passed to this process; the variables are removed, they are meant for nobody else.

    Raises OSError, or ValueError if the variables are malformed.
    """
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if not count or pid != str(os.getpid()):
        return []
    if not count.isdecimal():
        raise ValueError(f"LISTEN_FDS is {count!r}, expected a number")
    passed = []
    for index in range(int(count)):
        fd = FIRST_PASSED_FD + index
        name = names[index] if index < len(names) else ""
        try:
            os.set_inheritable(fd, False)
            passed.append(PassedSocket(socket.socket(fileno=fd), name))
        except OSError as error:
            raise OSError(f"file descriptor {fd}, passed as a socket, can not be used: {error}") from error
    return passed
