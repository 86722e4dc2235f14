"""``centrifast genconfig``: a minimal file to begin with."""

import secrets
from pathlib import Path

import click

from centrifast.cli.command import config_option, fail
from centrifast.config.error import ConfigError
from centrifast.config.loader import load
from centrifast.config.validate import validate
from centrifast.config.writing import write_tree

KEY_BYTES = 64
PASSWORD_BYTES = 16


@click.command()
@config_option
def genconfig(config: str) -> None:
    """Write a minimal configuration file with random secrets."""
    tree: dict[str, object] = {
        "client": {
            "token": {"hmac_secret_key": secrets.token_urlsafe(KEY_BYTES)},
            "allowed_origins": [],
        },
        "admin": {
            "enabled": False,
            "password": secrets.token_urlsafe(PASSWORD_BYTES),
            "secret": secrets.token_urlsafe(KEY_BYTES),
        },
        "http_api": {"key": secrets.token_urlsafe(KEY_BYTES)},
    }
    try:
        write_tree(Path(config), tree)
        validate(load(Path(config), {}, {}).config)
    except ConfigError as error:
        fail(f"error: {error}")
