"""Flags of the server, derived from the schema: ``--http_server.port 9000``, ``--client.insecure``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from centrifast.config.loader import FlagValue
from centrifast.config.option import Kind, walk
from centrifast.config.reference import FLAGS, SHORT_FLAGS
from centrifast.config.schema import Config

TYPES: Mapping[Kind, click.ParamType[Any]] = {
    Kind.BOOL: click.BOOL,
    Kind.INT: click.INT,
    Kind.STR: click.STRING,
}


def server_flags() -> list[click.Option]:
    """Return an option of click for each flag."""
    declared = dict(walk(Config))
    return [
        click.Option(
            [parameter_of(path), f"--{path}", *([SHORT_FLAGS[path]] if path in SHORT_FLAGS else [])],
            type=TYPES[declared[path].kind],
            help=declared[path].facts.help,
        )
        for path in FLAGS
    ]


def switches() -> frozenset[str]:
    """Return the flags that can stand without a value."""
    declared = dict(walk(Config))
    return frozenset(f"--{path}" for path in FLAGS if declared[path].kind is Kind.BOOL)


def with_values(arguments: Sequence[str], known: Iterable[str]) -> list[str]:
    """Write a lone ``--switch`` as ``--switch=true``; click would take the next word for its value."""
    return [f"{argument}=true" if argument in known else argument for argument in arguments]


def given(parameters: Mapping[str, object]) -> dict[str, FlagValue]:
    """Return the flags that were given, by option path."""
    found = {path: parameters.get(parameter_of(path)) for path in FLAGS}
    return {path: value for path, value in found.items() if isinstance(value, str | bool | int)}


def parameter_of(path: str) -> str:
    """Return the name click knows a flag by; it has to be an identifier."""
    return path.replace(".", "__")
