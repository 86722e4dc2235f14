"""What a question and its rows are: where a figure comes from, what is required of it, how it is shown."""

from dataclasses import dataclass, field
from typing import Any

DESCRIPTORS_AROUND = 300  # that a process needs besides one for each connection


@dataclass(frozen=True, slots=True)
class Unit:
    """How a figure is shown: multiplied by *scale*, followed by *name*."""

    name: str = ""
    scale: float = 1.0

    def show(self, value: float) -> str:
        """Three digits that count, thousands apart."""
        scaled = value * self.scale
        if abs(scaled) >= 1000:
            step = 10 ** (len(str(int(abs(scaled)))) - 3)
            return self._named(f"{round(scaled / step) * step:,}")
        return self._named(f"{scaled:.0f}" if scaled.is_integer() or abs(scaled) >= 100 else f"{scaled:#.3g}")

    def show_whole(self, value: float) -> str:
        """A round number: all its digits count."""
        return self._named(f"{value * self.scale:,.10g}")

    def _named(self, text: str) -> str:
        return f"{text} {self.name}" if self.name else text


COUNT, TIMES, CORES = Unit(), Unit("×"), Unit("cores")
SECONDS, MILLISECONDS, MICROSECONDS, NANOSECONDS = Unit("s"), Unit("ms"), Unit("µs"), Unit("ns")
SECONDS_OF_US, MILLISECONDS_OF_US = Unit("s", 1e-6), Unit("ms", 1e-3)
KIB, GIB_OF_MIB = Unit("KiB"), Unit("GiB", 1 / 1024)

FEW = ("--connections", "500")  # for a quick run


@dataclass(frozen=True, slots=True)
class Bound:
    """At least or at most so much: of the figure, in its own unit, or of its ratio to the floor."""

    limit: float
    is_upper: bool = False
    of_floor: bool = False

    def is_met(self, value: float | None, ratio: float | None) -> bool:
        """Whether a measured figure is within; what was not measured is not."""
        measured = ratio if self.of_floor else value
        return measured is not None and (measured <= self.limit if self.is_upper else measured >= self.limit)

    def show(self, unit: Unit) -> str:
        """As it stands in a table."""
        if self == NONE:
            return "none"
        sign = "≤" if self.is_upper else "≥"
        return f"{sign} {self.limit:g} × floor" if self.of_floor else f"{sign} {unit.show_whole(self.limit)}"


NONE = Bound(0.0, is_upper=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. *figure*, *floor* and *ratio* name figures of the question; a dot leads into an object."""

    text: str
    figure: str
    unit: Unit = COUNT
    floor: str = ""
    ratio: str = ""  # median of the ratios of each round, which is not the ratio of the medians
    floor_is: str = ""  # where it is not the plain C server
    required: Bound | None = None
    in_readme: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One run of a module."""

    name: str
    asks: str
    rows: tuple[Row, ...] = field(repr=False)
    module: str = ""  # by default bench. and the name
    options: tuple[str, ...] = ()
    rounds: int = 0  # 0: it knows none
    seconds: float = 30.0  # it takes about, for one round
    quick: tuple[str, ...] = ()  # options that make it a matter of seconds
    connections: int = 0  # that server and load generator each hold in one process
    runs: str = "always"  # "always", "peers" (with --peers), "alone" (only by its name)

    def command(self, rounds: int = 0, quick: bool = False) -> list[str]:
        """Module and options, to be run with ``python -m``."""
        options = [*self.options, *(self.quick if quick else ())]
        if self.rounds:
            options += ["--rounds", str(self.rounds_of(rounds, quick))]
        return [self.module or f"bench.{self.name}", *options]

    def rounds_of(self, rounds: int = 0, quick: bool = False) -> int:
        """How many rounds it makes when *rounds* are wished; 0: its own number."""
        return min(self.rounds, 1) if quick and not rounds else rounds or self.rounds

    def expected_seconds(self, rounds: int = 0, quick: bool = False) -> float:
        """How long it takes, about."""
        return 8.0 if quick else self.seconds * max(self.rounds_of(rounds), 1)

    @property
    def descriptors(self) -> int:
        """A process needs so many."""
        return self.connections + DESCRIPTORS_AROUND


def figure_of(figures: dict[str, Any], path: str) -> float | None:
    """The number a dotted path leads to; None where the question could not tell. Raises KeyError where it is wrong."""
    value: Any = figures
    for key in path.split("."):
        value = value[key]
    return None if value is None else float(value)
