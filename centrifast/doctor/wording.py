"""Numbers, times and foreign text in words."""

from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 31_557_600
UNITS = ((YEAR, "year"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second"))
SHOWN = 160
"""Characters of a foreign text; what is longer is cut."""


def span(seconds: float) -> str:
    """Write a time span in its two largest units: ``3 days 4 hours``."""
    rest = int(abs(seconds))
    if rest == 0:
        return "less than a second"
    parts: list[str] = []
    for size, name in UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {name}{'s' if number > 1 else ''}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def moment(unix: float, now: float) -> str:
    """Write a point in time and how far it is: ``2026-01-01 00:00:00 UTC, 3 hours ago``."""
    distance = f"in {span(unix - now)}" if unix > now else f"{span(now - unix)} ago"
    try:
        return f"{datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(unix)):%Y-%m-%d %H:%M:%S} UTC, {distance}"
    except OverflowError:  # beyond the year 9999
        return distance


def number(value: float) -> str:
    """Write a number with commas."""
    return f"{value:,.0f}"


def size(count: float) -> str:
    """Write a number of bytes: ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if count == int(count) else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def foreign(text: str, limit: int = SHOWN) -> str:
    """Make text of others fit for a terminal: one line, nothing that moves the cursor, not too long."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
    return line if len(line) <= limit else f"{line[:limit]}… ({len(line)} characters)"
