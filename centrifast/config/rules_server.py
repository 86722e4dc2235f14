"""What options of listeners and clients must fulfil together (server specification 1.7)."""

from collections.abc import Callable, Iterator
from operator import attrgetter

from centrifast.config.option import values_of
from centrifast.config.rules_proxy import check_reason
from centrifast.config.rules_token import check_claim
from centrifast.config.schema import Config, TlsConfig
from centrifast.glob import Glob

HIGHEST_PORT = 65535
AUTO = "auto"
MOST_WORKERS = 64
"""Workers one node may have."""

LISTENER_TLS = ("http_server.tls", "http_server.internal_tls")


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    yield from check_workers(config)
    yield from check_listeners(config)
    yield from check_endpoints(config)
    yield from check_claim("client.token", config.client.token)
    yield from check_claim("client.subscription_token", config.client.subscription_token)
    yield from check_origins(config)
    if config.client.presence_update_interval < 1:
        yield "client.presence_update_interval must be at least 1s"
    yield from check_transforms(config)
    if config.shutdown.disconnect_spread > config.shutdown.timeout:
        yield "shutdown.disconnect_spread must not be greater than shutdown.timeout"


def check_workers(config: Config) -> Iterator[str]:
    """Workers are counted, or counted by us."""
    word = config.workers
    is_number = word.isascii() and word.isdecimal() and len(word) <= 3
    if word != AUTO and not (is_number and 1 <= int(word) <= MOST_WORKERS):
        yield f"workers: {word!r} is not valid; use a number from 1 to {MOST_WORKERS}, or {AUTO}"


def check_listeners(config: Config) -> Iterator[str]:
    """Ports are numbers, TLS has a certificate, h2c has a listener of its own."""
    server = config.http_server
    if server.internal_port and not (
        server.internal_port.isdecimal() and int(server.internal_port) <= HIGHEST_PORT
    ):
        yield f"http_server.internal_port: {server.internal_port!r} is not a port, 0 to {HIGHEST_PORT}"
    yield from check_tls(config)
    if server.h2c_external:
        if not server.internal_port or server.internal_port == str(server.port):
            yield "http_server.h2c_external needs a separate http_server.internal_port"
        if server.tls.enabled or server.tls_autocert.enabled:
            yield "http_server.h2c_external cannot be combined with TLS"


def check_tls(config: Config) -> Iterator[str]:
    """Where TLS is on, a listener has certificate and key, a client both or neither."""
    for setting in values_of(config):
        tls, path = setting.value, setting.path
        if not (isinstance(tls, TlsConfig) and tls.enabled):
            continue
        if path in LISTENER_TLS and not (tls.cert_pem and tls.key_pem):
            yield f"{path}.enabled needs {path}.cert_pem and {path}.key_pem"
        elif bool(tls.cert_pem) != bool(tls.key_pem):
            yield f"{path}.cert_pem and {path}.key_pem must be set together"


EXTERNAL = "external"
INTERNAL = "internal"
ENDPOINTS: tuple[tuple[str, Callable[[Config], str | None]], ...] = (
    ("websocket", lambda config: None if config.websocket.disabled else EXTERNAL),
    ("sse", lambda config: EXTERNAL if config.sse.enabled else None),
    ("http_stream", lambda config: EXTERNAL if config.http_stream.enabled else None),
    ("emulation", lambda config: EXTERNAL if config.sse.enabled or config.http_stream.enabled else None),
    ("webtransport", lambda config: EXTERNAL if config.webtransport.enabled else None),
    ("uni_websocket", lambda config: EXTERNAL if config.uni_websocket.enabled else None),
    ("uni_sse", lambda config: EXTERNAL if config.uni_sse.enabled else None),
    ("uni_http_stream", lambda config: EXTERNAL if config.uni_http_stream.enabled else None),
    ("init", lambda config: EXTERNAL if config.init.enabled else None),
    ("http_api", lambda config: None if config.http_api.disabled else side(config.http_api.external)),
    ("admin", lambda config: side(config.admin.external) if config.admin.enabled else None),
    ("prometheus", lambda config: INTERNAL if config.prometheus.enabled else None),
    ("health", lambda config: INTERNAL if config.health.enabled else None),
    ("swagger", lambda config: INTERNAL if config.swagger.enabled else None),
    ("debug", lambda config: INTERNAL if config.debug.enabled else None),
)
"""Sections with a ``handler_prefix``, and the listener that serves it, if any (server specification 2.1)."""


def side(external: bool) -> str:
    """Return the listener of an endpoint that can be on either."""
    return EXTERNAL if external else INTERNAL


def check_endpoints(config: Config) -> Iterator[str]:
    """No two endpoints of one listener have the same path."""
    server = config.http_server
    internal = (server.internal_address or server.address, server.internal_port or str(server.port))
    shared = internal == (server.address, str(server.port))
    served: dict[tuple[str, str], str] = {}
    for section, listener_of in ENDPOINTS:
        listener = listener_of(config)
        if listener is None:
            continue
        path = attrgetter(f"{section}.handler_prefix")(config) or "/"
        place = (EXTERNAL if shared else listener, path)
        if place in served:
            yield (
                f"{served[place]}.handler_prefix and {section}.handler_prefix are both {path!r}; "
                "give each endpoint a path of its own"
            )
        served.setdefault(place, section)


def check_origins(config: Config) -> Iterator[str]:
    """Origins are valid patterns."""
    for index, pattern in enumerate(config.client.allowed_origins):
        try:
            Glob(pattern.lower())
        except ValueError as error:
            yield f"client.allowed_origins.[{index}]: {error}"


def check_transforms(config: Config) -> Iterator[str]:
    """Rows that translate failed connects are complete, whether or not they are used."""
    section = "client.connect_code_to_unidirectional_disconnect.transforms"
    for index, row in enumerate(config.client.connect_code_to_unidirectional_disconnect.transforms):
        path = f"{section}.[{index}]"
        if not row.code:
            yield f"{path}.code must be set"
        if not row.to.code:
            yield f"{path}.to.code must be set"
        yield from check_reason(f"{path}.to.reason", row.to.reason)
    for name in ("uni_sse", "uni_http_stream"):
        section = f"{name}.connect_code_to_http_response.transforms"
        for index, answer in enumerate(attrgetter(section)(config)):
            if not answer.code:
                yield f"{section}.[{index}].code must be set"
            if not answer.to.status_code:
                yield f"{section}.[{index}].to.status_code must be set"
