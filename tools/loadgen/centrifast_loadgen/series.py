"""What happened over time, in a bounded number of points. No I/O."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

LIMIT = 600  # points; even, as they are halved


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. Counts are totals since the start; latencies are those of the time since the sample before."""

    seconds: float
    connections: int
    published: int
    delivered: int
    missing: int
    closed: int
    p50_us: int
    p99_us: int
    server_cpu_seconds: float
    loadgen_cpu_seconds: float
    rss_bytes: int


class Series:
    """Samples in order of time. When there are too many, two neighbours become one."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.samples: list[Sample] = []
        self.step = 1  # so many samples were merged into one
        self._limit = limit

    def append(self, sample: Sample) -> bool:
        """Add a sample; True when all were halved, so that half as many should come from now on."""
        self.samples.append(sample)
        if len(self.samples) < self._limit:
            return False
        first, rest = self.samples[0], self.samples[1:]
        self.samples = [first, *(merge(*pair) for pair in zip(rest[::2], rest[1::2], strict=False))]
        if len(rest) % 2:
            self.samples.append(rest[-1])
        self.step *= 2
        return True

    def rates(self, value: Callable[[Sample], float]) -> list[tuple[float, float]]:
        """Time and change per second of a total, between neighbouring samples."""
        return [
            (later.seconds, max(0.0, value(later) - value(earlier)) / (later.seconds - earlier.seconds))
            for earlier, later in pairwise(self.samples)
            if later.seconds > earlier.seconds
        ]

    def values(self, value: Callable[[Sample], float]) -> list[tuple[float, float]]:
        """Time and value of every sample."""
        return [(sample.seconds, value(sample)) for sample in self.samples]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


def merge(earlier: Sample, later: Sample) -> Sample:
    """One for two: the later totals, and the worse latencies, so that no peak disappears."""
    return replace(
        later,
        p50_us=max(earlier.p50_us, later.p50_us),
        p99_us=max(earlier.p99_us, later.p99_us),
        rss_bytes=max(earlier.rss_bytes, later.rss_bytes),
    )
