"""Durations as operators write them: Go's syntax, float seconds inside."""

import re
from fractions import Fraction

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
}
LIMIT = 2**63 - 1
"""Nanoseconds; Go keeps durations in 64 bits, so a longer one is an error there too."""

PAIR = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
WHOLE = re.compile(rf"[-+]?(?:{PAIR.pattern})+", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of *text*, a sum of numbers with units (``1h30m``), or a bare zero.

    Raises :exc:`ValueError` with a text for the operator.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not WHOLE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a duration; write a number with a unit, such as 10s, 500ms or 1h30m"
        )
    total = sum(Fraction(number.rstrip(".")) * NANOSECONDS[unit] for number, unit in PAIR.findall(text))
    if total > LIMIT:
        raise ValueError(f"{text!r} is too long for a duration; the limit is about 292 years")
    return int(-total if text[0] == "-" else total) / 1e9


def format_duration(seconds: float) -> str:
    """Write *seconds* the way Go prints them: ``25s``, ``720h0m0s``, ``300ms``."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 else ""
    for unit in ("ns", "µs", "ms"):
        if 0 < nanoseconds < 1000 * NANOSECONDS[unit]:
            return sign + decimal(nanoseconds, NANOSECONDS[unit]) + unit
    minutes, rest = divmod(nanoseconds, NANOSECONDS["m"])
    text = decimal(rest, NANOSECONDS["s"]) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = (f"{hours}h" if hours else "") + f"{minutes}m" + text
    return sign + text


def decimal(nanoseconds: int, unit: int) -> str:
    """Write ``nanoseconds / unit`` exactly, without trailing zeros; *unit* is a power of ten."""
    whole, fraction = divmod(nanoseconds, unit)
    digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)
