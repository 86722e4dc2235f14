"""What the workers of a node have let in, in memory that they share: limits of connections hold for all together.

How it works: each worker has a line, in which only it writes, and reads those of all. So there is no lock that could
stay locked, and nothing to ask: a connection costs a sum. The supervisor closes the line of a worker that has ended.

```
clients   | worker 1 | worker 2 | ... |   int64: who has connected there
full_at   | worker 1 | worker 2 | ... |   double: RateLimit, as the worker saw it last; the latest one counts
```

Between looking and noting another worker may do the same. Two who are let in within the same microseconds may so count
as one for the rate. For the number it makes no difference: a client counts when it has connected, not when it is let
in (server specification 2.5).
"""

import mmap
import os

WORD = 8
"""Bytes of each number: written and read by one machine instruction, so never half."""


class Lines:
    """All numbers, in the memory behind a descriptor."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, 0)
        half = len(self._memory) // 2
        self._bytes = memoryview(self._memory)
        self.clients = self._bytes[:half].cast("q")
        self.full_at = self._bytes[half:].cast("d")

    def close(self) -> None:
        """Let go of the memory, but not of the descriptor."""
        for view in (self.clients, self.full_at, self._bytes):
            view.release()
        self._memory.close()


class Ledger:
    """The supervisor's side: makes the memory, gives out its lines."""

    def __init__(self, lines: int) -> None:
        """*lines*: processes at a time. Raises OSError."""
        self.fd = os.memfd_create("centrifast-ledger")
        os.ftruncate(self.fd, lines * 2 * WORD)
        self._lines = Lines(self.fd)
        self._free = list(reversed(range(lines)))

    def open_line(self) -> int:
        """The number of a line nobody has. Raises OSError when all are taken."""
        if not self._free:
            raise OSError("there are more workers than were planned for")
        return self._free.pop()

    def close_line(self, number: int) -> None:
        """Its process is gone, and who was connected there."""
        self._lines.clients[number] = 0  # full_at stays: those were let in
        self._free.append(number)

    def close(self) -> None:
        """Let go of everything."""
        self._lines.close()
        os.close(self.fd)


class Line:
    """A worker's side: ``admission.NodeCount``."""

    def __init__(self, fd: int, number: int) -> None:
        """*fd* is that of the supervisor's ledger."""
        self._lines = Lines(fd)
        self._number = number

    def clients(self) -> int:
        """See ``NodeCount``."""
        return sum(self._lines.clients)

    def note_clients(self, count: int) -> None:
        """See ``NodeCount``."""
        self._lines.clients[self._number] = count

    def full_at(self) -> float:
        """See ``NodeCount``."""
        return max(self._lines.full_at)

    def note_full_at(self, at: float) -> None:
        """See ``NodeCount``."""
        self._lines.full_at[self._number] = at

    def close(self) -> None:
        """Let go of the memory."""
        self._lines.close()
