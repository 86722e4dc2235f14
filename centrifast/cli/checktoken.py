"""``centrifast checktoken``: would this connection token be accepted?"""

import click

from centrifast.cli.command import config_option, read_config
from centrifast.cli.token import check_token, payload_text


@click.command()
@config_option
@click.argument("token")
def checktoken(config: str, token: str) -> None:
    """Verify a connection token with the configured keys."""
    client = read_config(config).config.client
    claims = check_token(client, client.token, token, lambda verifier: verifier.verify_connection(token))
    click.echo(f"valid token for {f'user {claims.user}' if claims.user else 'anonymous user'}")
    click.echo(f"payload: {payload_text(token)}")
