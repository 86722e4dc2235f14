"""The variables of the process that belong to the server: which one counts, which ones nobody asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PREFIXES = ("CENTRIFAST_", "CENTRIFUGO_")
"""Ours first: it wins when both are set."""

INJECTED = re.compile(r"CENTRI(?:FAST|FUGO)(?:_[A-Z0-9_]+)?_(PORT|SERVICE_)")
"""What Kubernetes sets for a service called like the server; never reported as unknown."""

REFERENCE = re.compile(r"\$\{CENTRI(?:FAST|FUGO)_VAR_(\w+)\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable that is set: its full name, for messages, and its text."""

    name: str
    text: str


class Environment:
    """Variables by the part of the name after the prefix; remembers which were asked for."""

    __slots__ = ("asked", "environ", "overridden")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = {name: text for name, text in environ.items() if name.startswith(PREFIXES)}
        self.asked: set[str] = set()
        self.overridden: list[tuple[str, str]] = []

    def take(self, name: str) -> Variable | None:
        """Return the variable for *name* (without prefix); an empty one counts as not set."""
        found = []
        for prefix in PREFIXES:
            self.asked.add(prefix + name)
            text = self.environ.get(prefix + name, "")
            if text:
                found.append(Variable(prefix + name, text))
        if len(found) > 1:
            self.overridden.append((found[0].name, found[1].name))
        return found[0] if found else None

    def unknown(self) -> tuple[str, ...]:
        """Return the variables with a prefix of ours that no option asked for."""
        return tuple(
            sorted(
                name
                for name in self.environ
                if name not in self.asked
                and not name.startswith(tuple(prefix + "VAR_" for prefix in PREFIXES))
                and not INJECTED.match(name)
            )
        )

    def substitute(self, text: str) -> str:
        """Replace ``${CENTRIFAST_VAR_X}`` and ``${CENTRIFUGO_VAR_X}``; raise ValueError for a missing one."""
        return REFERENCE.sub(self._referred, text)

    def _referred(self, match: re.Match[str]) -> str:
        for prefix in PREFIXES:
            value = self.environ.get(f"{prefix}VAR_{match[1]}")
            if value is not None:
                return value
        raise ValueError(f"the variable of {match[0]} is not set; set it or remove the reference")
