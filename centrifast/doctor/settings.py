"""What in a configuration is dangerous, or will keep clients out, although it is valid."""

import ipaddress
from collections.abc import Iterator

from centrifast.config.schema import Config
from centrifast.doctor.finding import Finding, Level, fail, ok, warn

SECRET_BYTES = 32
"""RFC 7518 section 3.2 wants a key of HS256 to be no shorter."""

KEY_CHARACTERS = 16
LOCALHOST = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def is_public(host: str) -> bool:
    """Whether others than this machine can reach a listener on *host*; empty = all addresses."""
    if host in LOCALHOST:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def check_settings(config: Config) -> list[Finding]:
    """Look at what operators regret later."""
    found = [
        *_check_api(config),
        *_check_grpc(config),
        *_check_insecure(config),
        *_check_origins(config),
        *_check_authentication(config),
        *_check_exposed(config),
    ]
    if all(finding.level is Level.OK for finding in found):
        found.append(ok("settings", "nothing dangerous is switched on"))
    return found


def _internal_host(config: Config) -> str:
    return config.http_server.internal_address or config.http_server.address


def _is_merged(config: Config) -> bool:
    server = config.http_server
    return _internal_host(config) == server.address and server.internal_port in ("", str(server.port))


def _check_api(config: Config) -> Iterator[Finding]:
    api = config.http_api
    if api.disabled:
        return
    host = config.http_server.address if api.external else _internal_host(config)
    name = "http_api.key"
    if api.insecure:
        seen = "http_api.insecure: whoever reaches the port can publish, disconnect and read everything"
        needed = "a key, and http_api.insecure off"
        mend = '"http_api": {"key": "..."}    # centrifast genconfig makes one'
        yield (fail if is_public(host) else warn)(name, seen, needed, mend)
    elif not api.key:
        yield warn(
            name,
            "empty: every call of the server API is refused",
            "a key, or http_api.disabled if nobody calls it",
            "python3 -c 'import secrets; print(secrets.token_urlsafe(64))'",
        )
    elif len(api.key) < KEY_CHARACTERS:
        yield warn(name, f"{len(api.key)} characters", f"at least {KEY_CHARACTERS}, made at random")


def _check_grpc(config: Config) -> Iterator[Finding]:
    api = config.grpc_api
    if api.enabled and not api.key:
        seen = "empty: gRPC calls need no key, whoever reaches the port can publish and read everything"
        yield (fail if is_public(api.address) else warn)(
            "grpc_api.key", seen, "a key", '"grpc_api": {"key": "..."}'
        )


def _check_insecure(config: Config) -> Iterator[Finding]:
    outside = is_public(config.http_server.address)
    client = config.client
    for option, is_on, what in (
        ("client.insecure", client.insecure, "connections need no token, permissions are not checked"),
        (
            "client.insecure_skip_token_signature_verify",
            client.insecure_skip_token_signature_verify,
            "anybody can make a token for any user",
        ),
        (
            "admin.insecure",
            config.admin.enabled and config.admin.insecure,
            "the admin page and its API need no login",
        ),
    ):
        if is_on:
            yield (fail if outside else warn)(
                option, what, "off, except on a developer's machine", f"{option}: false"
            )
    if client.user_id_http_header:
        yield warn(
            "client.user_id_http_header",
            f"the header {client.user_id_http_header} is believed",
            "a proxy in front that sets it itself and drops what clients send",
            f"proxy_set_header {client.user_id_http_header} $authenticated_user;    # nginx: replaces the client's",
        )


def _check_origins(config: Config) -> Iterator[Finding]:
    name, origins = "client.allowed_origins", config.client.allowed_origins
    example = '"client": {"allowed_origins": ["https://example.com"]}'
    if not origins:
        seen = "empty: browsers are refused (HTTP 403), other clients are not"
        yield warn(name, seen, "the origins of your pages, if browsers connect", example)
    elif "*" in origins:
        seen = "`*`: pages of every site may connect with the cookies and headers of their visitors"
        yield warn(name, seen, "the origins of your pages", example)


def _check_authentication(config: Config) -> Iterator[Finding]:
    client = config.client
    token = client.token
    keys = (
        token.hmac_secret_key,
        token.hmac_previous_secret_key,
        token.rsa_public_key,
        token.ecdsa_public_key,
        token.jwks_public_endpoint,
    )
    others = (
        client.insecure_skip_token_signature_verify,
        client.allow_anonymous_connect_without_token,
        client.insecure,
        client.user_id_http_header,
        client.proxy.connect.enabled,
    )
    if not any(keys) and not any(others):
        yield warn(
            "client.token",
            "there is no key for tokens: no client can connect (disconnect 3501)",
            "a key in client.token, or client.allow_anonymous_connect_without_token",
            "centrifast genconfig -c new.json    # makes a secret to copy",
        )
    for section, settings in (
        ("client.token", token),
        ("client.subscription_token", client.subscription_token),
    ):
        size = len(settings.hmac_secret_key.encode())
        if 0 < size < SECRET_BYTES:
            name = f"{section}.hmac_secret_key"
            yield warn(
                name, f"{size} bytes: it can be guessed", f"at least {SECRET_BYTES} bytes, made at random"
            )


def _check_exposed(config: Config) -> Iterator[Finding]:
    """Endpoints for operators stand on the listener of clients unless they get one of their own."""
    if not _is_merged(config) or not is_public(config.http_server.address):
        return
    inside = [
        name
        for name, is_served in (
            ("server API", not config.http_api.disabled),
            ("health", config.health.enabled),
            ("metrics", config.prometheus.enabled),
            ("admin", config.admin.enabled),
            ("debug", config.debug.enabled),
            ("swagger", config.swagger.enabled),
        )
        if is_served
    ]
    if inside:
        yield warn(
            "internal endpoints",
            f"{', '.join(inside)} on the port that clients use, {config.http_server.port}",
            "a listener of their own, or a proxy that passes only /connection/ from outside",
            '"http_server": {"internal_address": "127.0.0.1", "internal_port": "9000"}',
        )
