"""``centrifast gentoken``: a connection token."""

import click

from centrifast.cli.command import config_option, read_config
from centrifast.cli.token import DEFAULT_TTL, expiration_text, make_token, user_text


@click.command()
@config_option
@click.option("-u", "--user", default="", help="User id; empty = anonymous.")
@click.option("-t", "--ttl", default=DEFAULT_TTL, show_default=True, help="Lifetime in seconds; -1 = no end.")
@click.option("-q", "--quiet", is_flag=True, help="Print the token only, without newline.")
def gentoken(config: str, user: str, ttl: int, quiet: bool) -> None:
    """Make a connection token for a user."""
    token = make_token(read_config(config).config.client.token, user, ttl, {})
    if quiet:
        click.echo(token, nl=False)
    else:
        click.echo(f"HMAC SHA-256 JWT for {user_text(user)} {expiration_text(ttl)}:\n{token}")
