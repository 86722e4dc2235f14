"""Is the clock right? Tokens live by it."""

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from centrifast.doctor.finding import Finding, ok, unknown, warn
from centrifast.doctor.wording import span

SKEW = 2.0
"""Seconds of difference that are worth a warning."""

STA_UNSYNC = 0x40
_TIME_ERROR = 5
_TIMEX_SIZE = 512  # more than any architecture's struct timex
_STATUS_OFFSET = struct.calcsize("@Illll")
"""``modes``, ``offset``, ``freq``, ``maxerror`` and ``esterror`` come before ``status`` (adjtimex(2))."""

MEND = ("timedatectl set-ntp true    # or: apt-get install chrony", "timedatectl status")


@dataclass(frozen=True, slots=True)
class Skew:
    """How far this clock is ahead of another, in seconds, and whose that is."""

    source: str
    seconds: float


def read_synchronised() -> bool | None:
    """Ask the kernel whether something keeps the clock right; None where it does not tell."""
    buffer = ctypes.create_string_buffer(_TIMEX_SIZE)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    (status,) = struct.unpack_from("@i", buffer.raw, _STATUS_OFFSET)
    return state != _TIME_ERROR and not status & STA_UNSYNC


def skew_of(date: str, before: float, after: float, source: str) -> Skew | None:
    """Compare a ``Date`` header with the clock before and after the request; None for what is no date.

    A header counts whole seconds, so up to half of one is nothing.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (ValueError, OverflowError):
        return None
    ours = (before + after) / 2
    blur = (after - before) / 2 + 0.5
    difference = ours - theirs
    return Skew(source, 0.0 if abs(difference) <= blur else difference)


def check_clock(synchronised: bool | None, skews: Sequence[Skew]) -> list[Finding]:
    """Judge both."""
    needed = "a clock that something synchronises: `exp` and `nbf` of tokens are compared with it"
    if synchronised is None:
        findings = [unknown("clock", "the kernel does not tell whether it is synchronised", needed)]
    elif synchronised:
        findings = [ok("clock", "synchronised")]
    else:
        findings = [warn("clock", "the kernel says that nothing synchronises it", needed, *MEND)]
    for skew in skews:
        name = f"clock of {skew.source}"
        if abs(skew.seconds) <= SKEW:
            findings.append(ok(name, "agrees with this one"))
            continue
        side = "ahead of" if skew.seconds > 0 else "behind"
        seen = f"this machine is {span(skew.seconds)} {side} it"
        findings.append(warn(name, seen, "clocks that agree within 2 seconds", *MEND))
    return findings
