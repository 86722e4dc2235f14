"""``centrifast completion``: a script that lets a shell complete commands, flags and option paths."""

from collections.abc import Mapping

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from centrifast.config.option import Kind, walk
from centrifast.config.schema import Config

PROGRAM = "centrifast"
VARIABLE = "_CENTRIFAST_COMPLETE"
"""What the scripts set when they ask the program; click answers instead of running a command."""


class QuietBashComplete(BashComplete):
    """Without the question to bash for its version: the script may be made on another machine."""

    @staticmethod
    def _check_version() -> None:
        """Take for granted what has been true since bash 4.4 (2016)."""


SHELLS: Mapping[str, type[ShellComplete]] = {
    "bash": QuietBashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, flags and option paths.

    \b
    bash:  centrifast completion bash > /etc/bash_completion.d/centrifast
    zsh:   centrifast completion zsh > "${fpath[1]}/_centrifast"
    fish:  centrifast completion fish > ~/.config/fish/completions/centrifast.fish
    """
    click.echo(SHELLS[shell](ctx.find_root().command, {}, PROGRAM, VARIABLE).source())


def complete_option_path(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer paths of the configuration, with their help: for arguments that name an option."""
    return [
        CompletionItem(path, help=option.facts.help)
        for path, option in walk(Config)
        if path.startswith(incomplete) and option.kind is not Kind.IGNORED
    ]
