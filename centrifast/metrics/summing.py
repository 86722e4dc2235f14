"""The metrics of several processes that are one node, as one.

What was counted adds up, and so do gauges, except those that say the same in every process. A user with connections to
several processes counts once in each. Quantiles of summaries can not be added: the highest is shown, and histograms,
which can, are exact.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

from centrifast.metrics import registry
from centrifast.metrics.collector import Collected
from centrifast.metrics.exposition import Distribution, Row, Spread
from centrifast.metrics.registry import Family
from centrifast.metrics.vector import Label

_BY_NAME = {family.name: family for family in registry.FAMILIES}

_QUEUES = {registry.QUEUE_LAG, registry.QUEUE_PENDING, registry.QUEUE_PENDING_AGE}
_SAME = frozenset({registry.BUILD, registry.NODES, registry.PYTHON, *_QUEUES})
_EARLIEST = frozenset({registry.START_TIME})

Value = float | Distribution | Spread

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, list[Row]]]).decode


def encode(collected: Iterable[Collected]) -> bytes:
    """What one process tells another."""
    return _encode([(family.name, rows) for family, rows in collected])


def decode(data: bytes) -> list[Collected]:
    """The reverse. Raises ``msgspec.DecodeError``, or ``KeyError`` for a family that is not known here."""
    return [(_BY_NAME[name], rows) for name, rows in _decode(data)]


def summed(processes: Sequence[Sequence[Collected]]) -> list[Collected]:
    """All families, each with the rows of all processes; rows with the same labels become one."""
    if len(processes) == 1:
        return list(processes[0])
    values: dict[Family, dict[tuple[Label, ...], Value]] = {}
    for collected in processes:
        for family, rows in collected:
            known = values.setdefault(family, {})
            for row in rows:
                value = known.get(row.labels)
                known[row.labels] = row.value if value is None else _added(family, value, row.value)
    return [
        (family, [Row(value, labels) for labels, value in by_labels.items()])
        for family, by_labels in values.items()
    ]


def _added(family: Family, one: Value, other: Value) -> Value:
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        counts = [sum(pair) for pair in zip(one.counts, other.counts, strict=True)]
        return Distribution(one.bounds, counts, one.sum + other.sum)
    if isinstance(one, Spread) and isinstance(other, Spread):
        quantiles = [_higher(*pair) for pair in zip(one.quantiles, other.quantiles, strict=True)]
        return Spread(quantiles, one.count + other.count, one.sum + other.sum)
    assert isinstance(one, int | float)
    assert isinstance(other, int | float)
    if family in _SAME:
        return max(one, other)
    if family in _EARLIEST:
        return min(one, other)
    return one + other


def _higher(one: float, other: float) -> float:
    """NaN, of who has measured nothing, is lower than anything."""
    return other if math.isnan(one) else one if math.isnan(other) else max(one, other)
