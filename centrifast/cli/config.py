"""``centrifast config``: questions about the configuration."""

import dataclasses
import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from centrifast.cli import flags
from centrifast.cli.command import config_option, fail
from centrifast.cli.completion import complete_option_path
from centrifast.cli.config_file import load_file
from centrifast.config.differences import Difference, differences
from centrifast.config.error import ConfigError
from centrifast.config.explain import Explanation, explain
from centrifast.config.loader import load
from centrifast.config.shown import text_of
from centrifast.config.suggest import advice_on, explain_key

WIDTH = 110


@click.group("config")
def config_group() -> None:
    """Explain an option, or compare a file with the defaults."""


@config_group.command("explain")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("key", shell_complete=complete_option_path)
@click.pass_context
def explain_command(ctx: click.Context, /, config: str, as_json: bool, key: str) -> None:
    """Tell what an option means, its type and default, its value, and where that comes from.

    KEY is the path of an option, items by name: channel.namespaces.chat.history_size. Flags of the server may stand
    before the command, as in a start.
    """
    try:
        loaded = load(Path(config), flags.given(ctx.find_root().params), os.environ)
        explanation = explain(key, loaded)
    except ConfigError as error:
        fail(f"error: {error}")
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(explanation), ensure_ascii=False))
    else:
        click.echo("\n".join(explanation_lines(explanation)))


def explanation_lines(found: Explanation) -> Iterator[str]:
    """Write the facts that apply, one a line."""
    yield f"{found.path}\n  {found.meaning}"
    rows = {
        "type": f"{found.type}, {found.unit}" if found.unit else found.type,
        "default": text_of(found.default) if not found.options else "",
        "bounds": found.bounds,
        "one of": ", ".join(choice or "empty" for choice in found.choices),
        "support": found.support,
        "variables": " or ".join(found.variables) if not found.options or found.source else "",
        "flag": found.flag,
        "value": text_of(found.value) if found.source else "",
        "from": found.source,
        "options": ", ".join(found.options),
    }
    indent = " " * 13
    for name, text in rows.items():
        if text:
            yield textwrap.fill(
                f"  {name:<10} {text}", WIDTH, subsequent_indent=indent, break_long_words=False
            )


@config_group.command("diff")
@click.argument("file", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff_command(file: str, as_json: bool) -> None:
    """Tell how a FILE differs from the defaults; variables and flags are left out."""
    loaded = load_file(file)
    found = list(differences(loaded.config))
    if as_json:
        unknown = [{"key": key, "advice": advice_on(key)} for key in loaded.unknown]
        rows = [dataclasses.asdict(difference) for difference in found]
        click.echo(json.dumps({"differences": rows, "unknown": unknown}, ensure_ascii=False))
        return
    for line in (
        *map(difference_line, found),
        *(f"unknown key {explain_key(key)}" for key in loaded.unknown),
    ):
        click.echo(line)


def difference_line(found: Difference) -> str:
    """Write one difference."""
    return f"{found.path}: {text_of(found.default)} → {text_of(found.value)}"
