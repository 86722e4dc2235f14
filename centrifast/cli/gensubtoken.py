"""``centrifast gensubtoken``: a subscription token."""

import click

from centrifast.cli.command import config_option, fail, read_config
from centrifast.cli.token import DEFAULT_TTL, expiration_text, make_token, subscription_settings, user_text


@click.command()
@config_option
@click.option("-u", "--user", default="", help="User id; empty = anonymous.")
@click.option("-s", "--channel", default="", help="Channel the user may subscribe to.")
@click.option("-t", "--ttl", default=DEFAULT_TTL, show_default=True, help="Lifetime in seconds; -1 = no end.")
@click.option("-q", "--quiet", is_flag=True, help="Print the token only, without newline.")
def gensubtoken(config: str, user: str, channel: str, ttl: int, quiet: bool) -> None:
    """Make a subscription token for a user and a channel."""
    if not channel:
        fail("channel is required")
    settings = subscription_settings(read_config(config).config.client)
    token = make_token(settings, user, ttl, {"channel": channel})
    if quiet:
        click.echo(token, nl=False)
    else:
        target = f'{user_text(user)} and channel "{channel}"'
        click.echo(f"HMAC SHA-256 JWT for {target} {expiration_text(ttl)}:\n{token}")
