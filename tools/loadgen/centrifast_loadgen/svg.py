"""Charts as SVG text, for a page that works without anything else. Pure functions.

Colours are classes (``line-0``, ``line-1``...) that the page gives for light and dark; lines differ in dashes as well.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from centrifast_loadgen.histogram import bucket_limit

WIDTH, HEIGHT = 640, 270
LEFT, RIGHT, TOP, BOTTOM = 72, 18, 34, 52  # margins around the plot
TICKS = 6  # about so many on an axis
BINS_PER_OCTAVE = 4  # of a latency histogram

Point = tuple[float, float]
Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a chart."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels, linear or logarithmic; *low* < *high*, and above 0 where it is logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixels of a value; values outside go to the ends."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def linear_ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Round values from *low* to *high*: multiples of 1, 2 or 5 times a power of ten, about *count*."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from *low* to *high*; also twice and five times them when there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


def format_count(value: float) -> str:
    """1,500,000 as 1.5M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def format_us(value: float) -> str:
    """Microseconds with the unit that fits."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g} µs"


def format_mib(value: float) -> str:
    """MiB, or GiB where that is shorter."""
    return f"{value / 1024:.3g} GiB" if value >= 1024 else f"{value:.3g} MiB"


def format_percent(value: float) -> str:
    """A share of one core."""
    return f"{value:.0%}"


def format_seconds(value: float) -> str:
    """Seconds, or minutes and hours of long runs."""
    if value >= 3600:
        return f"{value / 3600:.3g} h"
    return f"{value / 60:.3g} min" if value >= 300 else f"{value:.3g} s"


def line_chart(
    identity: str, title: str, lines: Iterable[Line], format_y: Format, *, log: bool = False
) -> str:
    """Values over seconds; where *log*, values that are not above 0 are left out."""
    kept = [Line(line.name, [p for p in line.points if p[1] > 0 or not log]) for line in lines]
    points = [point for line in kept for point in line.points]
    if not points:
        return _frame(
            identity, title, f"{title}: no data.", _text(WIDTH / 2, HEIGHT / 2, "no data", "middle")
        )
    x = Scale(0.0, max([at for at, _ in points] + [1e-3]), LEFT, WIDTH - RIGHT)
    values = [value for _, value in points]
    y = _value_scale(min(values), max(values), log)
    body = [_axes(x, linear_ticks(x.low, x.high), format_seconds, y, format_y)]
    for index, line in enumerate(kept):
        body.append(_path(line, index, x, y))
        body.append(_legend(index, line.name))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "time since the start", "middle"))
    summary = "; ".join(_summary(line, format_y) for line in kept if line.points)
    return _frame(identity, title, f"{title} over {format_seconds(x.high)}. {summary}.", "".join(body))


def histogram_chart(identity: str, title: str, what: str, buckets: Sequence[int]) -> str:
    """How often which latency of *what* occurred; both axes logarithmic."""
    bins = octave_bins(buckets)
    if not bins:
        return _frame(
            identity, title, f"{title}: no data.", _text(WIDTH / 2, HEIGHT / 2, "no data", "middle")
        )
    x = Scale(bins[0][0], bins[-1][1], LEFT, WIDTH - RIGHT, log=True)
    y = Scale(0.5, max(count for *_, count in bins) * 1.3, HEIGHT - BOTTOM, TOP, log=True)
    body = [_axes(x, log_ticks(x.low, x.high), format_us, y, format_count)]
    for low, high, count in bins:
        left, top = x(low), y(count)
        body.append(
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{max(x(high) - left - 0.5, 0.5):.1f}" '
            f'height="{y.start - top:.1f}"><title>{format_us(low)} to {format_us(high)}: {count:,}</title></rect>'
        )
    body.append(_text(LEFT, 20, what, "start"))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "latency", "middle"))
    total = sum(count for *_, count in bins)
    worst = max(bins, key=lambda entry: entry[2])
    description = (
        f"{title}: {total:,} values from {format_us(bins[0][0])} to {format_us(bins[-1][1])}, "
        f"most of them around {format_us(worst[0])}. Both axes are logarithmic."
    )
    return _frame(identity, title, description, "".join(body))


def octave_bins(buckets: Sequence[int]) -> list[tuple[float, float, int]]:
    """The histogram's buckets in bins of a quarter of a power of two: low and high microseconds, and how many."""

    def bin_of(bucket: int) -> int:
        return math.floor(math.log2(max(bucket_limit(bucket), 1)) * BINS_PER_OCTAVE)

    filled = ((bin_of(bucket), count) for bucket, count in enumerate(buckets) if count)
    return [
        (2 ** (index / BINS_PER_OCTAVE), 2 ** ((index + 1) / BINS_PER_OCTAVE), sum(n for _, n in group))
        for index, group in groupby(filled, key=lambda entry: entry[0])
    ]


def _value_scale(low: float, high: float, log: bool) -> Scale:
    if not log:
        return Scale(0.0, high * 1.08 or 5.0, HEIGHT - BOTTOM, TOP)
    return Scale(low / 1.5, high * 1.5, HEIGHT - BOTTOM, TOP, log=True)


def _axes(x: Scale, x_ticks: list[float], format_x: Format, y: Scale, format_y: Format) -> str:
    low = max(y.low, 1.0) if format_y is format_count and y.log else y.low  # no halves of what is counted
    ticks = log_ticks(low, y.high) if y.log else linear_ticks(low, y.high)
    parts = []
    for value in ticks:
        at = y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(LEFT - 8, at + 4, format_y(value), "end"))
    bottom = HEIGHT - BOTTOM
    for value in x_ticks:
        at = x(value)
        parts.append(f'<line class="tick" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(_text(at, bottom + 24, format_x(value), "middle"))
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    return "".join(parts)


def _path(line: Line, index: int, x: Scale, y: Scale) -> str:
    points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in line.points)
    if len(line.points) == 1:
        at, value = line.points[0]
        return f'<circle class="dot-{index}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3"/>'
    return f'<polyline class="line-{index}" points="{points}"/>'


def _legend(index: int, name: str) -> str:
    left = LEFT + 150 * index
    return (
        f'<line class="line-{index}" x1="{left}" x2="{left + 22}" y1="16" y2="16"/>'
        f"{_text(left + 28, 20, name, 'start')}"
    )


def _summary(line: Line, format_y: Format) -> str:
    values = [value for _, value in line.points]
    return f"{line.name} from {format_y(min(values))} to {format_y(max(values))}, last {format_y(values[-1])}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(identity: str, title: str, description: str, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{identity}-title {identity}-desc">'
        f'<title id="{identity}-title">{escape(title)}</title>'
        f'<desc id="{identity}-desc">{escape(description)}</desc>{body}</svg>'
    )
