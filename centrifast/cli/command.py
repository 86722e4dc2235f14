"""What subcommands share: where the configuration is, and how a command fails."""

import os
from pathlib import Path
from typing import NoReturn

import click

from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load

DEFAULT_CONFIG = "config.json"

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(),  # so that shells complete it; whether it is there is for the loader
    default=DEFAULT_CONFIG,
    show_default=True,
    help="Path of the configuration file.",
)


def read_config(path: str) -> LoadedConfig:
    """Read file and environment, or end the command; rules that join options are not checked."""
    try:
        return load(Path(path), {}, os.environ)
    except ConfigError as error:
        fail(f"error getting config: {error}")


def fail(message: str) -> NoReturn:
    """End the command with 1, the message on standard output as every message of a tool."""
    click.echo(message)
    raise SystemExit(1)
