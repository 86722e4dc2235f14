"""Questions and answers for tests of the driver."""

from dataclasses import replace

from bench._provenance import Provenance
from bench._row import Bound, Question, Row, Unit

PROVENANCE = Provenance(
    date="2026-01-02T03:04:05+00:00",
    commit="0123456789ab",
    is_clean=True,
    machine={
        "cores": 2,
        "cpu": "A CPU",
        "kernel": "Linux 6.1",
        "python": "CPython 3.11.2",
        "python_is_optimized": True,
    },
)
ELSEWHERE = replace(PROVENANCE, commit="fedcba987654", is_clean=False, date="2026-02-03T00:00:00+00:00")

SPEED = Row(
    "speed: deliveries/s",
    "per_s",
    floor="floor_per_s",
    ratio="ratio",
    required=Bound(0.9, of_floor=True),
    in_readme=True,
)
MEMORY = Row("memory", "inner.kib", Unit("KiB"), required=Bound(10, is_upper=True))
FIGURES = {"per_s": 152_188.5, "floor_per_s": 160_000, "ratio": 0.951, "inner": {"kib": 5.42}}
QUESTION = Question(
    "answering",
    "nothing of interest",
    (SPEED, MEMORY),
    module="tests.bench.answering",
    rounds=2,
    seconds=1,
    quick=("--connections", "5"),
)
