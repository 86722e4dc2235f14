"""``centrifast version``."""

import platform

import click

from centrifast import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"centrifast v{__version__} (Python version: {platform.python_version()})")
