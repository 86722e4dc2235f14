"""Options of calls to the application backend."""

from collections.abc import Mapping
from dataclasses import dataclass

from centrifast.config.option import Support, items, option, section, text_map
from centrifast.config.schema_tls import TlsConfig


@dataclass(frozen=True, slots=True)
class ErrorTarget:
    """A client error to reply in place of an HTTP status."""

    code: int = option(0, "Error code.")
    message: str = option("", "Text that goes with the code; ASCII, at most 123 characters.")
    temporary: bool = option(False, "Whether the client may try again.")


@dataclass(frozen=True, slots=True)
class StatusDisconnectTarget:
    """A disconnect in place of an HTTP status."""

    code: int = option(0, "Disconnect code.")
    reason: str = option("", "Text that goes with the code; ASCII, at most 123 characters.")


@dataclass(frozen=True, slots=True)
class StatusTransform:
    """What an HTTP status of the backend means to the client: an error or a disconnect."""

    status_code: int = option(0, "HTTP status.")
    to_error: ErrorTarget = section(ErrorTarget, "Reply this error.")
    to_disconnect: StatusDisconnectTarget = section(StatusDisconnectTarget, "Disconnect the client.")


@dataclass(frozen=True, slots=True)
class ProxyHttpConfig:
    """A backend reached over HTTP."""

    tls: TlsConfig = section(TlsConfig, "TLS towards the backend.")
    static_headers: Mapping[str, str] = text_map(
        "Headers sent with every call, of lowest priority.", secret=True
    )
    status_to_code_transforms: tuple[StatusTransform, ...] = items(
        StatusTransform, "Meaning of statuses other than 200."
    )


@dataclass(frozen=True, slots=True)
class ProxyGrpcConfig:
    """A backend reached over gRPC."""

    tls: TlsConfig = section(TlsConfig, "TLS towards the backend.")
    credentials_key: str = option("", "Metadata key of per-call credentials.")
    credentials_value: str = option("", "Value of per-call credentials.", secret=True)
    compression: bool = option(False, "Compress calls with gzip.")
    static_metadata: Mapping[str, str] = text_map("Metadata sent with every call.", secret=True)


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """One backend endpoint."""

    endpoint: str = option(
        "", "`http://` or `https://` URL; `grpc://host:port` or anything else is a gRPC target."
    )
    timeout: float = option(1.0, "Limit of one call.")
    http_headers: tuple[str, ...] = option(
        (), "Headers of the client's HTTP request copied to the call; case does not matter."
    )
    grpc_metadata: tuple[str, ...] = option((), "Metadata keys copied for clients on gRPC.")
    emulated_headers: tuple[str, ...] = option(
        (), "Names taken from the headers inside the connect command; the client controls their values."
    )
    binary_encoding: bool = option(False, "Carry data as base64 instead of JSON.")
    include_connection_meta: bool = option(False, "Add the `meta` of the connection.")
    http: ProxyHttpConfig = section(ProxyHttpConfig, "Settings of HTTP endpoints.")
    grpc: ProxyGrpcConfig = section(ProxyGrpcConfig, "Settings of gRPC endpoints.")


@dataclass(frozen=True, slots=True)
class SwitchedProxyConfig(ProxyConfig):
    """A backend endpoint with a switch of its own."""

    enabled: bool = option(False, "Make the calls.", support=Support.REFUSED)


@dataclass(frozen=True, slots=True)
class NamedProxyConfig(ProxyConfig):
    """A backend endpoint that namespaces refer to by name."""

    name: str = option("", "Name used in `*_proxy_name`.")
