"""``centrifast checksubtoken``: would this subscription token be accepted?"""

import click

from centrifast.cli.command import config_option, read_config
from centrifast.cli.token import check_token, payload_text, subscription_settings, user_text


@click.command()
@config_option
@click.argument("token")
def checksubtoken(config: str, token: str) -> None:
    """Verify a subscription token with the configured keys."""
    client = read_config(config).config.client
    claims = check_token(
        client, subscription_settings(client), token, lambda verifier: verifier.verify_subscription(token)
    )
    click.echo(f'valid subscription token for {user_text(claims.user)} and channel "{claims.channel}"')
    click.echo(f"payload: {payload_text(token)}")
