"""``centrifast checkconfig``: would the server start with this?"""

from pathlib import Path

import click

from centrifast.cli.command import config_option, fail, read_config
from centrifast.config.error import ConfigError
from centrifast.config.suggest import explain_key
from centrifast.config.validate import refuse_unsupported, validate


@click.command()
@config_option
@click.option("-s", "--strict", is_flag=True, help="Unknown keys in the file make the check fail.")
def checkconfig(config: str, strict: bool) -> None:
    """Check the configuration; silent when it is valid.

    Hints, such as what an unknown key was probably meant to be, go to standard error.
    """
    if not Path(config).exists():
        fail("config file not found")
    loaded = read_config(config)
    try:
        validate(loaded.config)
        hints = refuse_unsupported(loaded.config)
    except ConfigError as error:
        fail(f"error validating config: {error}")
    for hint in (
        *loaded.warnings,
        *hints,
        *(f"unknown key {explain_key(key)}" for key in loaded.unknown_keys),
    ):
        click.echo(hint, err=True)
    if strict and loaded.unknown_keys:
        fail(f"unknown keys in config: {', '.join(loaded.unknown_keys)}")
