"""``centrifast defaultconfig``: a file with every option and its default."""

from pathlib import Path

import click

from centrifast.cli.command import config_option, fail
from centrifast.cli.config_file import load_base
from centrifast.config.error import ConfigError
from centrifast.config.writing import render, tree_of, write_tree


@click.command()
@config_option
@click.option("-b", "--base", default="", help="File whose values replace the defaults.")
@click.option("-d", "--dry-run", is_flag=True, help="Print instead of writing.")
def defaultconfig(config: str, base: str, dry_run: bool) -> None:
    """Write a configuration file with every option and its default."""
    path = Path(config)
    tree = tree_of(load_base(base).config)
    try:
        if dry_run:
            click.echo(render(path, tree), nl=False)
        else:
            write_tree(path, tree)
    except ConfigError as error:
        fail(f"error: {error}")
