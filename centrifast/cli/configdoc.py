"""``centrifast configdoc``: the reference of all options."""

import click

from centrifast.cli.command import fail
from centrifast.config.error import ConfigError
from centrifast.config.json_schema import json_schema
from centrifast.config.reference import reference_page, reference_section


@click.command()
@click.option("-m", "--markdown", is_flag=True, help="Print Markdown.")
@click.option(
    "--json-schema", "as_schema", is_flag=True, help="Print a JSON Schema of the file, for editors."
)
@click.option("-s", "--section", default="", help="Only this section, such as client.token.")
@click.option("-l", "--base-level", default=0, show_default=True, help="Shift headings down by this much.")
def configdoc(markdown: bool, as_schema: bool, section: str, base_level: int) -> None:
    """Print the reference of all options."""
    if as_schema == markdown:
        fail("use -m to print the reference as Markdown, or --json-schema to print a schema")
    if as_schema:
        click.echo(json_schema(), nl=False)
        return
    try:
        page = reference_section(section, base_level) if section else reference_page(base_level)
    except ConfigError as error:
        fail(f"error: {error}")
    click.echo(page, nl=False)
