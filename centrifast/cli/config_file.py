"""Reading a configuration file alone, for commands that look at files."""

import os
from pathlib import Path

import click

from centrifast.cli.command import fail
from centrifast.config.environment import PREFIXES
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load

REFERENCES = tuple(f"{prefix}VAR_" for prefix in PREFIXES)


def load_file(path: str) -> LoadedConfig:
    """Read a file, with nothing of the environment but what it refers to, or end the command."""
    environ = {name: text for name, text in os.environ.items() if name.startswith(REFERENCES)}
    if not Path(path).exists():
        fail("config file not found")
    try:
        return load(Path(path), {}, environ)
    except ConfigError as error:
        fail(f"error getting config: {error}")


def load_base(path: str) -> LoadedConfig:
    """Read the file that replaces defaults; without one there are the defaults. What is odd is told."""
    if not path:
        return load(None, {}, {})
    loaded = load_file(path)
    for warning in (*loaded.warnings, *(f"unknown key `{key}` is left out" for key in loaded.unknown)):
        click.echo(warning, err=True)
    return loaded
