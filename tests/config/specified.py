"""The options of the server specification, as transcribed in ``specified.txt``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from centrifast.config.option import Kind

FILE = Path(__file__).with_name("specified.txt")

KINDS = {
    "bool": Kind.BOOL,
    "int": Kind.INT,
    "str": Kind.STR,
    "dur": Kind.DURATION,
    "pem": Kind.PEM,
    "list[str]": Kind.STRINGS,
    "map[str,str]": Kind.MAP,
    "list[obj]": Kind.ITEMS,
    "obj": Kind.IGNORED,
}

PRIORITIES = ("core", "standard", "later")


@dataclass(frozen=True, slots=True)
class Specified:
    """One row of the tables: items of lists appear as ``path[]``; an empty *default* is that of the type."""

    path: str
    kind: Kind
    default: str
    priority: str


def specified() -> Iterator[Specified]:
    """Give every row at every place it stands in."""
    places: list[str] = []
    for line in FILE.read_text().splitlines():
        if line.startswith("["):
            places = [f"{place}." if place else "" for place in line[1:-1].split(", ")]
        elif line and not line.startswith("# "):
            name, kind, default, priority = line.split(" ")
            assert priority in PRIORITIES, line
            for place in places:
                yield Specified(place + name, KINDS[kind], "" if default == "-" else default, priority)
