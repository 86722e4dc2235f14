"""The ``centrifast`` command: a subcommand, or the server when there is none."""

import sys

import click

from centrifast.cli import flags
from centrifast.cli.checkconfig import checkconfig
from centrifast.cli.checksubtoken import checksubtoken
from centrifast.cli.checktoken import checktoken
from centrifast.cli.command import config_option
from centrifast.cli.completion import completion
from centrifast.cli.config import config_group
from centrifast.cli.configdoc import configdoc
from centrifast.cli.defaultconfig import defaultconfig
from centrifast.cli.defaultenv import defaultenv
from centrifast.cli.doctor import doctor
from centrifast.cli.genconfig import genconfig
from centrifast.cli.gensubtoken import gensubtoken
from centrifast.cli.gentoken import gentoken
from centrifast.cli.healthcheck import healthcheck
from centrifast.cli.help import help_command
from centrifast.cli.restart import restart
from centrifast.cli.tail import tail
from centrifast.cli.token_explain import token_group
from centrifast.cli.top import top
from centrifast.cli.version import version


class ServerGroup(click.Group):
    """A group whose own flags are those of the server."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let switches stand without a value."""
        return super().parse_args(ctx, flags.with_values(args, flags.switches()))


@click.group(
    cls=ServerGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@config_option
@click.option("--strict", is_flag=True, help="Refuse to start with unknown keys in the file.")
@click.pass_context
def cli(ctx: click.Context, /, config: str, strict: bool, **parameters: object) -> None:
    """Real-time messaging server; without a command, run it."""
    if ctx.invoked_subcommand is None:
        from centrifast.cli.server import run_server

        sys.exit(run_server(config, flags.given(parameters), strict=strict))


cli.params.extend(flags.server_flags())
for command in (
    checkconfig,
    checksubtoken,
    checktoken,
    completion,
    config_group,
    configdoc,
    defaultconfig,
    defaultenv,
    doctor,
    genconfig,
    gensubtoken,
    gentoken,
    healthcheck,
    help_command,
    restart,
    tail,
    token_group,
    top,
    version,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and end the process: 0, 1 for a failure, 2 for a wrong command line."""
    cli(prog_name="centrifast")
