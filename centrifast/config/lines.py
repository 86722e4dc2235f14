"""On which line of a configuration file a key stands.

The parsers that read values forget lines, so the file is looked at again, and only when somebody asks. JSON is read
as YAML, of which it is a part; TOML by its headers and assignments. A key that cannot be found there, such as one
inside an inline table, gets the line of what is around it.
"""

import re
from pathlib import Path

import yaml

from centrifast.config.files import CoreLoader

Parts = tuple[str, ...]

HEADER = re.compile(r"\s*(\[\[?)\s*(?P<keys>[^\]]+?)\s*\]\]?\s*(?:#.*)?")
KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
ASSIGNMENT = re.compile(rf"\s*(?P<keys>{KEY}(?:\s*\.\s*{KEY})*)\s*=")
FENCES = ('"""', "'''")


def line_of(path: Path, name: str) -> int | None:
    """Return the line, from 1, of an option's path (items as ``[0]``); None for a file that cannot be read."""
    parts = tuple(name.lower().split("."))
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".toml":
            return line_in_toml(text, parts)
        # A tab stands in JSON between tokens only, where YAML wants blanks.
        root = yaml.compose(text.replace("\t", " "), CoreLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return line_in_node(root, parts)[1]


def line_in_node(node: yaml.Node | None, parts: Parts) -> tuple[int, int | None]:
    """Return how many of *parts* are left when the way ends, and the line of the last one found."""
    best: tuple[int, int | None] = (len(parts), None)
    if not parts:
        return best
    if isinstance(node, yaml.SequenceNode) and parts[0].startswith("["):
        index = int(parts[0][1:-1])
        if index < len(node.value):
            item = node.value[index]
            left, line = line_in_node(item, parts[1:])
            best = left, line or item.start_mark.line + 1
    elif isinstance(node, yaml.MappingNode) and parts[0] == "[0]":
        best = line_in_node(node, parts[1:])  # one object where a list may be
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            keys = tuple(str(key.value).lower().split("."))
            if parts[: len(keys)] == keys:
                left, line = line_in_node(value, parts[len(keys) :])
                if left <= best[0]:
                    best = left, line or key.start_mark.line + 1
    return best


def line_in_toml(text: str, parts: Parts) -> int | None:
    """Return the line of the assignment or header that leads farthest to *parts*."""
    best: tuple[int, int | None] = (0, None)
    table: Parts = ()
    counts: dict[Parts, int] = {}
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
            continue
        header, assignment = HEADER.fullmatch(line), ASSIGNMENT.match(line)
        found = table
        if header:
            table = found = table_of(header, counts)
        elif assignment:
            found = table + split_keys(assignment["keys"])
        if not (header or assignment):
            pass
        elif parts[: len(found)] == found and len(found) >= best[0]:
            best = len(found), number
        elif found[: len(parts)] == parts and len(parts) > best[0]:
            best = len(parts), number  # the first line of something inside
        fence = next((mark for mark in FENCES if line.count(mark) == 1), "")
    return best[1]


def table_of(header: re.Match[str], counts: dict[Parts, int]) -> Parts:
    """Return where the assignments below a header belong; *counts* is how many items each list has so far."""
    place: Parts = ()
    keys = split_keys(header["keys"])
    for position, key in enumerate(keys, 1):
        place += (key,)
        if header[1] == "[[" and position == len(keys):
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place += (f"[{counts[place] - 1}]",)
    return place


def split_keys(text: str) -> Parts:
    """Split a dotted key; quotes only hold it together, dots inside separate as everywhere."""
    keys = (key.strip().strip("\"'").lower() for key in re.findall(KEY, text))
    return tuple(part for key in keys for part in key.split("."))
