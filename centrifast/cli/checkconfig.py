"""``centrifast checkconfig``: would the server start with this?"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from centrifast.cli.command import config_option, fail
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.suggest import advice_on_variable, explain_key, old_keys_below
from centrifast.config.validate import refuse_unsupported, validate, validate_start


@click.command()
@config_option
@click.option("-s", "--strict", is_flag=True, help="Unknown keys in the file make the check fail.")
def checkconfig(config: str, strict: bool) -> None:
    """Check the configuration; silent when it is valid.

    Hints, such as what an unknown key was probably meant to be, go to standard error.
    """
    if not Path(config).exists():
        fail("config file not found")
    try:
        loaded = load(Path(config), {}, os.environ)
    except ConfigError as error:
        show(key_hints(error.unknown))
        fail(f"error getting config: {error}")
    show((*loaded.warnings, *key_hints(loaded.unknown), *variable_hints(loaded)))
    try:
        validate(loaded.config)
        show(refuse_unsupported(loaded.config))
    except ConfigError as error:
        fail(f"error validating config: {error}")
    show(start_hints(loaded))
    if strict and loaded.unknown:
        fail(f"unknown keys in config: {', '.join(loaded.unknown)}")


def show(hints: "Iterator[str] | tuple[str, ...]") -> None:
    """Print what an operator should know although it is no error."""
    for hint in hints:
        click.echo(hint, err=True)


def key_hints(unknown: Mapping[str, object]) -> Iterator[str]:
    """Say of each unknown key what was probably meant; of a list that has moved, also of the keys inside."""
    for key, value in unknown.items():
        yield f"unknown key {explain_key(key)}"
        for below in old_keys_below(key, value):
            yield f"unknown key {explain_key(below)}"


def variable_hints(loaded: LoadedConfig) -> Iterator[str]:
    """Say of each unknown variable what was probably meant, where there is a guess."""
    for name in loaded.unknown_env:
        advice = advice_on_variable(name, loaded.known_env)
        yield f"unknown variable `{name}`" + (f" ({advice})" if advice else "")


def start_hints(loaded: LoadedConfig) -> Iterator[str]:
    """Say what only a start would refuse."""
    try:
        validate_start(loaded.config)
    except ConfigError as error:
        for problem in str(error).splitlines():
            yield f"the server would not start: {problem}"
