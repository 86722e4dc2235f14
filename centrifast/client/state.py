"""Where a session is in its life.

CONNECTING ──connect answered──▶ CONNECTED ──▶ CLOSED
    │  └─ connect answered with an error ──▶ FAILED: nothing more is read, dropped after FAILED_CONNECT_LINGER
    └──── no connect within client.stale_close_delay: Disconnect 3502
"""

from enum import Enum, auto


class State(Enum):
    """Client protocol 3.1."""

    CONNECTING = auto()
    CONNECTED = auto()
    FAILED = auto()
    CLOSED = auto()


TAKES_COMMANDS = (State.CONNECTING, State.CONNECTED)


class Closed(Exception):
    """The session ended while a handler waited; the handler stops where it is."""
