"""The text format of Prometheus, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats)."""

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from centrifast.metrics.registry import QUANTILES, Family
from centrifast.metrics.vector import Label

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Distribution(Struct, frozen=True, tag=True):
    """A histogram's value: *counts* are cumulative, one for each bound and one for all."""

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


class Spread(Struct, frozen=True, tag=True):
    """A summary's value: *quantiles* in the order of ``QUANTILES``; sum and count since the start."""

    quantiles: Sequence[float]
    count: int
    sum: float


class Row(Struct, frozen=True):
    """One value with its labels, in the order of its family's."""

    value: float | Distribution | Spread
    labels: tuple[Label, ...] = ()


Sample = tuple[str, str, float]
"""Name, labels as they are written without their braces, value."""


def samples_of(family: Family, row: Row) -> Iterable[Sample]:
    """What a row is in the text format: one sample, or several for histograms and summaries."""
    name, value = family.name, row.value
    labels = ",".join(
        f'{label}="{_escaped(str(said))}"' for label, said in zip(family.labels, row.labels, strict=True)
    )
    comma = "," if labels else ""
    if isinstance(value, Distribution):
        for bound, count in zip(value.bounds, value.counts, strict=False):
            yield f"{name}_bucket", f'{labels}{comma}le="{_number(bound)}"', count
        yield f"{name}_bucket", f'{labels}{comma}le="+Inf"', value.counts[-1]
    elif isinstance(value, Spread):
        for fraction, quantile in zip(QUANTILES, value.quantiles, strict=True):
            yield name, f'{labels}{comma}quantile="{_number(fraction)}"', quantile
        yield f"{name}_sum", labels, value.sum
        yield f"{name}_count", labels, value.count
        return
    else:
        yield name, labels, value
        return
    yield f"{name}_sum", labels, value.sum
    yield f"{name}_count", labels, value.counts[-1]


def write(families: Iterable[tuple[Family, Sequence[Row]]]) -> bytes:
    """The whole answer to a scrape; a family without a row is left out."""
    lines: list[str] = []
    for family, rows in families:
        if not rows:
            continue
        lines.append(
            f"# HELP {family.name} {_escaped_help(family.help)}\n# TYPE {family.name} {family.kind.value}\n"
        )
        for row in rows:
            for name, labels, value in samples_of(family, row):
                lines.append(
                    f"{name}{{{labels}}} {_number(value)}\n" if labels else f"{name} {_number(value)}\n"
                )
    return "".join(lines).encode()


def _number(value: float) -> str:
    """As Go writes it: integers without a point, and NaN, +Inf, -Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
