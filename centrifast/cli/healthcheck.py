"""``centrifast healthcheck``: for container images without curl."""

import http.client
import ssl
import urllib.error
import urllib.request

import click

from centrifast.cli.command import config_option, fail, read_config
from centrifast.config.schema import Config, HttpServerConfig

TIMEOUT = 5.0
"""Seconds; orchestrators ask every few seconds and give up about as fast."""


@click.command()
@config_option
@click.option("--url", default="", help="Health endpoint; default: the one of the configuration.")
def healthcheck(config: str, url: str) -> None:
    """Ask a running server whether it is healthy."""
    target = url or health_url(read_config(config).config)
    if not target.startswith(("http://", "https://")):
        fail(f"unhealthy: {target}: the URL must begin with http:// or https://")
    # The server is this machine's own; its certificate names the host the world knows, not this address.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Straight there: a proxy of the environment is for the world outside.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(target, timeout=TIMEOUT):
            return
    except urllib.error.HTTPError as error:
        error.close()
        fail(f"unhealthy: {target}: {error}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        fail(f"unhealthy: {target}: {error}")


def health_url(config: Config) -> str:
    """Return where the configuration serves its health endpoint; end the command when it does not."""
    if not config.health.enabled:
        fail("error: health.enabled is off; switch it on or give --url")
    return internal_url(config.http_server) + config.health.handler_prefix


def internal_url(server: HttpServerConfig) -> str:
    """Return where this machine reaches the internal listener, without a path."""
    port = server.internal_port or str(server.port)
    separate = port != str(server.port) or (server.internal_address or server.address) != server.address
    tls = server.tls.enabled and not (separate and server.tls_external)
    scheme = "https" if tls or (separate and server.internal_tls.enabled) else "http"
    return listener_url(scheme, server.internal_address or server.address, port)


def listener_url(scheme: str, address: str, port: str | int) -> str:
    """Return where this machine reaches a listener, which may be bound to all of its addresses."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
