"""What ``top`` shows, as lines of text for a terminal of any size. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from textwrap import wrap

from centrifast.cli.live_text import count_text, duration_text, printable, size_text
from centrifast.cli.top_numbers import LATENCIES, Rates, Row, View

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*%#"

LABELS = {
    "publish_to_socket": "publish to socket",
    "client_command": "client command",
    "api_command": "API command",
    "loop_lag": "loop lag",
}
LABEL_WIDTH = 19
NAME_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One line; *heading* ones stand out."""

    text: str
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of processes; of too many the one with the highest *rank* goes first."""

    title: str
    width: int
    rank: int
    text: Callable[[Row], str]


def number(name: str) -> Callable[[Row], str]:
    """How many."""
    return lambda row: count_text(row.numbers[name])


def size(name: str) -> Callable[[Row], str]:
    """How many bytes."""
    return lambda row: size_text(row.numbers[name])


def rate(name: str, text: Callable[[float], str] = count_text) -> Callable[[Row], str]:
    """How many a second; a dash until that is known."""
    return lambda row: "-" if row.rates is None else text(getattr(row.rates, name))


def latency(seconds: float) -> str:
    """How long; a dash while nothing was measured."""
    return duration_text(seconds) if seconds else "-"


def cpu(row: Row) -> str:
    """Percent of one core."""
    return "-" if row.rates is None else f"{row.rates.cpu * 100:.0f}%"


def descriptors(row: Row) -> str:
    """Those in use, of those allowed; the system may not say."""
    used = row.numbers["open_descriptors"]
    return f"{'?' if used < 0 else count_text(used)}/{count_text(row.numbers['descriptor_limit'])}"


COLUMNS = (
    Column("CONNS", 6, 0, number("num_clients")),
    Column("USERS", 6, 6, number("num_users")),
    Column("CHANS", 6, 8, number("num_channels")),
    Column("SUBS", 6, 7, number("num_subs")),
    Column("OUT/S", 6, 1, rate("messages_sent")),
    Column("IN/S", 6, 3, rate("messages_received")),
    Column("PUB/S", 6, 5, rate("publications")),
    Column("CPU", 5, 2, cpu),
    Column("MEMORY", 8, 4, size("rss")),
    Column("QUEUED", 8, 10, size("outbox_bytes")),
    Column("LAG p99", 8, 9, lambda row: latency(row.latencies["loop_lag"]["p99"])),
    Column("FDS", 12, 11, descriptors),
)


def frame(
    view: View,
    url: str,
    width: int,
    height: int | None = None,
    *,
    zone: tzinfo | None = None,
    bars: str = BARS,
    note: str = "",
) -> list[Line]:
    """The whole picture, at most *height* lines, none longer than *width*; *note* stands at the bottom."""
    top = [*summary(view, url, width, zone, bars), Line("")]
    nodes = table(view, width)
    slow = slow_clients(view)
    foot = [Line(text) for text in wrap(note, width)[: min(3, height or 3)]]
    if height is not None:
        room = height - len(top) - len(foot)
        slow = slow[: max(0, room - len(nodes))] if len(slow) > 1 else []
        nodes = nodes[: max(0, room)]
        top = top[: max(0, height - len(foot))]
    return [Line(line.text[:width].rstrip(), line.heading) for line in (*top, *nodes, *slow, *foot)]


def summary(view: View, url: str, width: int, zone: tzinfo | None, bars: str) -> list[Line]:
    """What all processes do together."""
    total = view.total
    time = datetime.fromtimestamp(view.time, zone).strftime("%H:%M:%S")
    processes = f"{len(view.rows)} process{'' if len(view.rows) == 1 else 'es'}"
    left = printable(f"centrifast {' '.join(view.versions)}  {url}  {processes}")
    counts = (
        ("connections", "num_clients"),
        ("users", "num_users"),
        ("channels", "num_channels"),
        ("subscriptions", "num_subs"),
    )
    lines = [
        Line(left + time.rjust(max(len(time) + 2, width - len(left))), heading=True),
        Line("   ".join(f"{label} {count_text(total.numbers[name])}" for label, name in counts)),
        graph("messages out", view, "messages_sent", width, bars, size_of="bytes_sent"),
        graph("messages in", view, "messages_received", width, bars, size_of="bytes_received"),
        graph("publications", view, "publications", width, bars),
        Line(
            f"{'queued':<{LABEL_WIDTH}}{size_text(total.numbers['outbox_bytes'])} for clients, "
            f"{count_text(total.numbers['drain_length'])} to be written, "
            f"{count_text(total.numbers['slow_disconnects'])} disconnected as slow"
        ),
        Line(f"{'latency':<{LABEL_WIDTH}}{'p50':>9}{'p99':>9}{'p99.9':>9}", heading=True),
    ]
    for name in LATENCIES:
        quantiles = "".join(f"{latency(value):>9}" for value in total.latencies[name].values())
        lines.append(Line(f"{LABELS[name]:<{LABEL_WIDTH}}{quantiles}"))
    return lines


def graph(label: str, view: View, name: str, width: int, bars: str, size_of: str = "") -> Line:
    """A rate now, and how it was in the last minute as far as there is room."""
    now = f"{rate(name)(view.total)}/s"
    sizes = f"{rate(size_of, size_text)(view.total)}/s" if size_of else ""
    text = f"{label:<{LABEL_WIDTH}}{now:>9}{sizes:>14}  "
    return Line(text + sparkline([value_of(rates, name) for rates in view.minute], width - len(text), bars))


def value_of(rates: Rates | None, name: str) -> float | None:
    """One of the rates, if they are known."""
    return None if rates is None else float(getattr(rates, name))


def sparkline(values: Sequence[float | None], room: int, bars: str = BARS) -> str:
    """The latest *values*, as many as there is room for; the highest one has the highest bar."""
    shown = values[-room:] if room > 0 else ()
    highest = max((value for value in shown if value is not None), default=0.0)
    return "".join(
        " " if value is None else bars[0 if not highest else min(7, int(value / highest * 7.999))]
        for value in shown
    )


def table(view: View, width: int) -> list[Line]:
    """A row for each process, and their sum if there are several; as many columns as there is room for."""
    columns = fitting(width)
    rows = [*view.rows, view.total] if len(view.rows) > 1 else list(view.rows)
    lines = [
        Line(
            "PROCESS".ljust(NAME_WIDTH) + "".join(column.title.rjust(column.width + 1) for column in columns),
            heading=True,
        )
    ]
    for row in rows:
        cells = "".join(column.text(row).rjust(column.width + 1) for column in columns)
        lines.append(Line(shortened(row.name, NAME_WIDTH).ljust(NAME_WIDTH) + cells))
    return lines


def fitting(width: int) -> list[Column]:
    """The most important columns that fit, in their order."""
    room = width - NAME_WIDTH
    kept = []
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        room -= column.width + 1
        if room < 0:
            break
        kept.append(column)
    return [column for column in COLUMNS if column in kept]


def slow_clients(view: View) -> list[Line]:
    """Those for whom most is queued."""
    if not view.slow:
        return []
    lines = [Line(""), Line(f"{'SLOW CLIENT':<38}{'QUEUED':>9}  USER", heading=True)]
    for client in view.slow:
        user = printable(client.user) or "(anonymous)"
        lines.append(Line(f"{shortened(client.client, 36):<38}{size_text(client.bytes):>9}  {user}"))
    return lines


def shortened(text: str, width: int) -> str:
    """*text*, or as much as there is room for."""
    text = printable(text)
    return text if len(text) <= width else text[: width - 1] + "…"
