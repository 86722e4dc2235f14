"""Options of listeners, the server API, operation and observability."""

from dataclasses import dataclass

from centrifast.config.option import Support, option, section
from centrifast.config.schema_tls import TlsConfig

ERROR_MODES = ("", "transport")


@dataclass(frozen=True, slots=True)
class TlsAutocertConfig:
    """Certificates by ACME."""

    enabled: bool = option(False, "Get certificates from Let's Encrypt.", support=Support.REFUSED)
    host_whitelist: tuple[str, ...] = option((), "Hosts a certificate may be requested for; empty = any.")
    cache_dir: str = option("", "Directory of issued certificates.")
    email: str = option("", "Contact of the account.")
    server_name: str = option("", "SNI assumed when the client sends none.")
    http: bool = option(False, "Also run a plain server for `http-01` challenges.")
    http_addr: str = option(":80", "Address of that server.")


@dataclass(frozen=True, slots=True)
class Http3Config:
    """HTTP/3 on the same port over UDP."""

    enabled: bool = option(False, "Serve HTTP/3; needs TLS.", support=Support.REFUSED)


@dataclass(frozen=True, slots=True)
class HttpServerConfig:
    """Listeners: external for clients, internal for the API and operation; one when both are the same."""

    address: str = option("", "Host to bind; empty = all interfaces.")
    port: int = option(8000, "External port.", min=0, max=65535)
    internal_address: str = option("", "Host of internal endpoints; empty = same as `address`.")
    internal_port: str = option("", "Port of internal endpoints; empty = same as `port`.")
    tls: TlsConfig = section(TlsConfig, "TLS of both listeners.")
    tls_autocert: TlsAutocertConfig = section(
        TlsAutocertConfig, "Certificates by ACME.", support=Support.ACCEPTED
    )
    tls_external: bool = option(False, "Apply `tls` to the external listener only.")
    internal_tls: TlsConfig = section(TlsConfig, "Separate TLS of the internal listener.")
    http3: Http3Config = section(Http3Config, "HTTP/3.", support=Support.ACCEPTED)
    reuse_port: bool = option(
        False,
        "Let other processes listen on the same port (`SO_REUSEPORT`); the kernel spreads connections over them.",
        extension=True,
    )
    h2c_external: bool = option(
        False, "HTTP/2 without TLS on the external listener.", support=Support.REFUSED
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Log lines."""

    level: str = option("info", "`none`, `trace`, `debug`, `info`, `warn`, `error` or `fatal`.")
    file: str = option("", "Append to this file instead of the standard streams.")


@dataclass(frozen=True, slots=True)
class HttpApiConfig:
    """Server API over HTTP."""

    disabled: bool = option(False, "Do not serve the API.")
    handler_prefix: str = option("/api", "Path prefix.")
    key: str = option("", "Key every call must carry; while empty every call is refused.", secret=True)
    error_mode: str = option(
        "", "Empty = errors in the body with status 200; `transport` = as HTTP status.", choices=ERROR_MODES
    )
    external: bool = option(False, "Serve the API on the external listener.")
    insecure: bool = option(False, "API calls need no key.")
    max_request_body_size: int = option(
        0, "Limit of one request; 0 = the limit built in.", unit="bytes", min=0, extension=True
    )
    tail_enabled: bool = option(
        False, "Serve `tail`, which shows a channel's or a user's traffic with its payloads.", extension=True
    )


@dataclass(frozen=True, slots=True)
class GrpcApiConfig:
    """Server API over gRPC."""

    enabled: bool = option(False, "Serve the gRPC API.", support=Support.REFUSED)
    error_mode: str = option(
        "", "Empty = errors in the reply; `transport` = as gRPC status.", choices=ERROR_MODES
    )
    address: str = option("", "Host to bind.")
    port: int = option(10000, "Port of the gRPC API.", min=0, max=65535)
    tls: TlsConfig = section(TlsConfig, "TLS of the listener.")
    key: str = option("", "Key every call must carry; empty = no check.", secret=True)
    reflection: bool = option(False, "Offer server reflection.")
    max_receive_message_size: int = option(0, "Limit of one message; 0 = 4 MiB.", unit="bytes")


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Endpoints for an administrator's page; the page itself comes from `web_path`."""

    enabled: bool = option(False, "Serve the admin endpoints.")
    handler_prefix: str = option("", "Path prefix; empty = root.")
    password: str = option("", "Password of the login.", secret=True)
    secret: str = option("", "Key that signs login tokens.", secret=True)
    insecure: bool = option(False, "No login: whoever reaches the endpoints is an administrator.")
    web_path: str = option("", "Directory of a page to serve below the prefix; empty = none.")
    web_proxy_address: str = option("", "Development only.", support=Support.ACCEPTED)
    external: bool = option(False, "Serve the admin endpoints on the external listener.")


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """Metrics endpoint."""

    enabled: bool = option(False, "Serve metrics.")
    handler_prefix: str = option("/metrics", "Path.")
    instrument_http_handlers: bool = option(False, "Count HTTP requests by path, method, status.")
    recovered_publications_histogram: bool = option(False, "Measure how many publications were recovered.")
    native_histograms: bool = option(False, "Native histograms.", support=Support.WARNED)


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """Health endpoint."""

    enabled: bool = option(False, "Serve the health endpoint.")
    handler_prefix: str = option("/health", "Path.")


@dataclass(frozen=True, slots=True)
class SwaggerConfig:
    """Page that documents the HTTP API."""

    enabled: bool = option(False, "Serve a page that explains the API and calls it.")
    handler_prefix: str = option("/swagger", "Path.")


@dataclass(frozen=True, slots=True)
class DebugConfig:
    """For development and conformance suites."""

    enabled: bool = option(False, "Serve `/debug/echo`, a WebSocket that sends every message back.")
    handler_prefix: str = option("/debug/pprof", "Path prefix.", support=Support.ACCEPTED)


@dataclass(frozen=True, slots=True)
class GraphiteConfig:
    """Metrics pushed to Graphite."""

    enabled: bool = option(False, "Push them.")
    host: str = option("localhost", "Host.")
    port: int = option(2003, "Port.", min=0, max=65535)
    prefix: str = option("centrifugo", "Prefix of names; the node's name follows.")
    interval: float = option(10.0, "Period.", min=0.1)
    tags: bool = option(False, "Labels as Graphite tags.")


@dataclass(frozen=True, slots=True)
class OpenTelemetryConfig:
    """Traces."""

    enabled: bool = option(False, "Send traces.", support=Support.WARNED)
    api: bool = option(False, "Of API requests.")
    consuming: bool = option(False, "Of consumers.")
    google_cloud_adc_auth: bool = option(False, "Authenticate with Google Cloud.")


@dataclass(frozen=True, slots=True)
class UsageStatsConfig:
    """Statistics for the vendor; none are ever sent."""

    disabled: bool = option(False, "Accepted for compatibility; nothing is sent either way.")


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """This server among others."""

    name: str = option("", "Unique in a cluster; empty = host name and port.")
    info_metrics_aggregate_interval: float = option(
        60.0, "Period of the metrics in the `info` answer; 0 = since the start."
    )


@dataclass(frozen=True, slots=True)
class ShutdownConfig:
    """Graceful stop."""

    timeout: float = option(30.0, "Limit of a graceful stop.", min=0)
    disconnect_spread: float = option(
        0.0,
        "Time over which a stop spreads the disconnects of clients; 0 = all at once. At most `timeout`.",
        min=0,
        extension=True,
    )


@dataclass(frozen=True, slots=True)
class QuickstartConfig:
    """A page to try the server with."""

    enabled: bool = option(False, "Serve the quickstart page at `/`.", extension=True)
