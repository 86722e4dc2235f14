"""Reads a Dockerfile and its list of ignored files, as far as the shipped ones go."""

import fnmatch
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass
class Stage:
    """What stands between two FROM."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Arguments of every such instruction, in order."""
        return [arguments for known, arguments in self.instructions if known == instruction]

    def last(self, instruction: str) -> str:
        """Arguments of the last such instruction, which is the one that counts."""
        return self.all(instruction)[-1]

    @property
    def steps(self) -> list[str]:
        """Commands that RUN instructions join with ``&&``."""
        return [step.strip() for run in self.all("RUN") for step in run.split("&&")]


@dataclass
class Dockerfile:
    """All stages."""

    stages: list[Stage]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse a file; every instruction must be a known one."""
        text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
        stages: list[Stage] = []
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            if not line:
                continue
            instruction, _, arguments = line.partition(" ")
            if instruction == "FROM":
                base, _, name = arguments.partition(" AS ")
                stages.append(Stage(base, name))
            elif instruction == "ARG" and not stages:
                continue
            else:
                assert instruction in KNOWN, f"no instruction of Docker: {line}"
                stages[-1].instructions.append((instruction, arguments))
        return cls(stages)


KNOWN = {"CMD", "COPY", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR"}


def exec_form(arguments: str) -> list[str]:
    """A command written as a JSON list, behind options."""
    words: list[str] = json.loads(arguments[arguments.index("[") :])
    return words


def sent_files(root: Path, ignore_file: Path, files: list[str]) -> list[str]:
    """Those of *files* (relative to *root*) that a build is given (docker build, .dockerignore; last match wins)."""
    rules = [line for line in ignore_file.read_text().splitlines() if line and not line.startswith("#")]
    return [file for file in files if (root / file).is_file() and not is_ignored(file, rules)]


def is_ignored(file: str, rules: list[str]) -> bool:
    """Whether the last rule that fits a file, or a folder it is in, leaves it out."""
    ignored = False
    parts = file.split("/")
    places = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for rule in rules:
        pattern = rule.removeprefix("!")
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            fits = any(
                place.count("/") == pattern.count("/") and fnmatch.fnmatchcase(place, pattern)
                for place in places
            )
        if fits:
            ignored = not rule.startswith("!")
    return ignored
