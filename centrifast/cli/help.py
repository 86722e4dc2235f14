"""``centrifast help``: what a command does."""

import click


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command, or of all."""
    shown = ctx.find_root()
    for name in names:
        command = shown.command
        found = command.get_command(shown, name) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"No such command '{name}'.", shown)  # ends with 2
        shown = click.Context(found, parent=shown, info_name=name)
    click.echo(shown.get_help())
