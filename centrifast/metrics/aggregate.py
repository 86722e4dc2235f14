"""Metrics for those who are no Prometheus: flat names, and counters as what was added in the last interval.

The server API's ``info`` and Graphite show the same values under the same names: those of a metric with a dot after
each of its first two words, then its labels that are not empty, ordered by name. Histograms are not among them.

    centrifugo.node.messages_sent_count.type.publication
    centrifugo.client.command_duration_seconds.quantile.99.method.subscribe
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from centrifast.clock import Clock, TimerHandle
from centrifast.metrics.exposition import Row, Spread
from centrifast.metrics.registry import QUANTILES, Family, Kind
from centrifast.model import Metrics

Collect = Callable[[], Iterable[tuple[Family, Sequence[Row]]]]

_QUANTILE_NAMES = ("50", "99", "999")


class Value(Struct, frozen=True):
    """One value. *adds_up*: it only grows, so its growth is of interest."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    adds_up: bool

    @property
    def key(self) -> str:
        """Name and labels in one."""
        return ".".join((self.name, *(part for label in self.labels for part in label)))


def flatten(families: Iterable[tuple[Family, Sequence[Row]]]) -> Iterator[Value]:
    """Every value but those of histograms, and of quantiles that nothing was measured for."""
    for family, rows in families:
        if family.kind is Kind.HISTOGRAM:
            continue
        name = family.name.replace("_", ".", 2)
        for row in rows:
            labels = tuple(
                (label, str(said))
                for label, said in sorted(zip(family.labels, row.labels, strict=True))
                if said != ""
            )
            if isinstance(row.value, Spread):
                yield from _spread(name, labels, row.value)
            elif isinstance(row.value, int | float):
                yield Value(name, labels, row.value, family.kind is Kind.COUNTER)


def _spread(name: str, labels: tuple[tuple[str, str], ...], spread: Spread) -> Iterator[Value]:
    yield Value(f"{name}.sum", labels, spread.sum, True)
    yield Value(f"{name}.count", labels, spread.count, True)
    for quantile, value in zip(_QUANTILE_NAMES, spread.quantiles, strict=True):
        if not math.isnan(value):
            yield Value(f"{name}.quantile.{quantile}", labels, value, False)


assert len(_QUANTILE_NAMES) == len(QUANTILES)


class Aggregate:
    """Looks at all metrics every *interval* seconds, and remembers how much each has grown since."""

    def __init__(self, collect: Collect, clock: Clock, interval: float) -> None:
        self.interval = interval
        self._collect = collect
        self._clock = clock
        self._totals: dict[str, float] = {}
        self._growth: dict[str, float] = {}
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Look for the first time after one interval; one of 0 or less is none."""
        if self.interval > 0:
            self._timer = self._clock.call_later(self.interval, self._on_interval)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def values(self) -> list[Value]:
        """What grows as its growth in the last whole interval, until there was one as its total; the rest as it is."""
        return [self._grown(value) for value in flatten(self._collect())]

    def report(self) -> Metrics:
        """What ``info`` shows of a node."""
        return Metrics(self.interval, {value.key: value.value for value in self.values()})

    def _grown(self, value: Value) -> Value:
        if not value.adds_up:
            return value
        return Value(value.name, value.labels, self._growth.get(value.key, value.value), True)

    def look(self) -> None:
        """An interval ends now."""
        totals = {value.key: value.value for value in flatten(self._collect()) if value.adds_up}
        self._growth = {key: total - self._totals.get(key, 0) for key, total in totals.items()}
        self._totals = totals

    def _on_interval(self) -> None:
        self.look()
        self.start()
