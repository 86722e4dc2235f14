"""Time, timers, ids and chance behind one small contract; nobody else asks the machine for them."""

import asyncio
import random
import time
from collections.abc import Callable
from os import urandom
from string import ascii_letters
from typing import Protocol


class TimerHandle(Protocol):
    """A timer that has been set."""

    def cancel(self) -> None:
        """Forget it; harmless when it has already run."""


class Clock(Protocol):
    """What the server may ask about time and chance."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""

    def unix(self) -> float:
        """Seconds since 1970."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> TimerHandle:
        """Run *callback* on the loop after *delay* seconds."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def new_id(self) -> str:
        """A fresh UUID v4 as text, for client and node ids."""

    def new_epoch(self) -> str:
        """Eight random ASCII letters that name one incarnation of a stream (client protocol 6.1)."""


_LETTERS = (ascii_letters * 5).encode()[:256]
"""For each byte a letter; 256 is no multiple of 52, so four of them come a little less often."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._random = random.Random()

    def monotonic(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], None]) -> TimerHandle:
        return self._loop.call_later(delay, callback)

    def random(self) -> float:
        return self._random.random()

    def new_id(self) -> str:
        # uuid.uuid4() makes an object for each: 2 µs of a connect instead of 0.6.
        digits = urandom(16).hex()
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def new_epoch(self) -> str:
        # Redis is offered one with every publication, and choices() would be a tenth of what that costs here.
        return self._random.randbytes(8).translate(_LETTERS).decode()
