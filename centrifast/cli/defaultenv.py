"""``centrifast defaultenv``: every option as a variable."""

import click

from centrifast.cli.config_file import load_base
from centrifast.config.writing import variables_of


@click.command()
@click.option("-b", "--base", default="", help="File whose values replace the defaults.")
@click.option(
    "--base-non-zero-only", is_flag=True, help="Only what the base file sets, and not to zero or empty."
)
def defaultenv(base: str, base_non_zero_only: bool) -> None:
    """Print every option as a variable with its default."""
    loaded = load_base(base)
    only = loaded.sources.keys() if base and base_non_zero_only else None
    for line in sorted(variables_of(loaded.config, only=only)):
        click.echo(line)
