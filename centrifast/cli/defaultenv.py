"""``centrifast defaultenv``: every option as a variable."""

from pathlib import Path

import click

from centrifast.cli.command import fail
from centrifast.config.error import ConfigError
from centrifast.config.loader import load
from centrifast.config.writing import variables_of


@click.command()
@click.option("-b", "--base", default="", help="File whose values replace the defaults.")
@click.option("--base-non-zero-only", is_flag=True, help="Leave out options that are zero or empty.")
def defaultenv(base: str, base_non_zero_only: bool) -> None:
    """Print every option as a variable with its default."""
    try:
        config = load(Path(base) if base else None, {}, {}).config
    except ConfigError as error:
        fail(f"error: {error}")
    for line in sorted(variables_of(config, only_set=base_non_zero_only)):
        click.echo(line)
