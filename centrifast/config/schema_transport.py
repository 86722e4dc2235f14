"""Options of the ways a client can connect."""

from dataclasses import dataclass

from centrifast.config.option import Support, items, option, section
from centrifast.config.schema_tls import TlsConfig

MESSAGE_SIZE = 65536


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """What both WebSocket transports share."""

    compression: bool = option(False, "Offer permessage-deflate, without context takeover.")
    compression_min_size: int = option(
        0, "Smaller messages are sent uncompressed; 0 = compress all.", unit="bytes", min=0
    )
    compression_level: int = option(1, "Effort of compression, 1 to 9.", min=1, max=9)
    read_buffer_size: int = option(0, "Read buffer hint.", unit="bytes", support=Support.ACCEPTED)
    use_write_buffer_pool: bool = option(False, "Memory hint.", support=Support.ACCEPTED)
    write_buffer_size: int = option(0, "Write buffer hint.", unit="bytes", support=Support.ACCEPTED)
    write_timeout: float = option(1.0, "A write that takes longer closes the connection (3009).", min=0)
    message_size_limit: int = option(
        MESSAGE_SIZE, "Largest incoming message; a bigger one closes with 1009.", unit="bytes", min=0
    )
    decompressed_message_size_limit: int = option(
        0,
        "Largest incoming message after inflating; a bigger one closes with 1009. 0 = 10 times `message_size_limit`.",
        unit="bytes",
        min=0,
    )


@dataclass(frozen=True, slots=True)
class WebSocketConfig(WebSocketOptions):
    """Bidirectional WebSocket transport."""

    disabled: bool = option(False, "Do not serve WebSocket.")
    handler_prefix: str = option("/connection/websocket", "Path.")


@dataclass(frozen=True, slots=True)
class SseConfig:
    """Server-sent events with emulation."""

    enabled: bool = option(False, "Serve EventSource clients.", support=Support.REFUSED)
    handler_prefix: str = option("/connection/sse", "Path.")
    max_request_body_size: int = option(MESSAGE_SIZE, "Limit of the connect request.", unit="bytes")


@dataclass(frozen=True, slots=True)
class HttpStreamConfig:
    """HTTP streaming with emulation."""

    enabled: bool = option(False, "Serve HTTP streaming clients.", support=Support.REFUSED)
    handler_prefix: str = option("/connection/http_stream", "Path.")
    max_request_body_size: int = option(MESSAGE_SIZE, "Limit of the connect request.", unit="bytes")


@dataclass(frozen=True, slots=True)
class EmulationConfig:
    """Client to server half of server-sent events and HTTP streaming."""

    handler_prefix: str = option("/emulation", "Path; served as soon as one of the two is enabled.")
    max_request_body_size: int = option(MESSAGE_SIZE, "Limit of one request.", unit="bytes")


@dataclass(frozen=True, slots=True)
class WebTransportConfig:
    """WebTransport over HTTP/3."""

    enabled: bool = option(False, "Serve WebTransport clients; needs HTTP/3.", support=Support.REFUSED)
    handler_prefix: str = option("/connection/webtransport", "Path.")
    message_size_limit: int = option(MESSAGE_SIZE, "Largest incoming message.", unit="bytes")


@dataclass(frozen=True, slots=True)
class InitConfig:
    """Endpoint for latency probes before connecting."""

    enabled: bool = option(False, "Answer `{}` to latency probes.")
    handler_prefix: str = option("/connection/init", "Path.")


@dataclass(frozen=True, slots=True)
class HttpResponseTarget:
    """An HTTP answer to a failed connect."""

    status_code: int = option(0, "HTTP status.")
    body: str = option("", "Body of the answer.")


@dataclass(frozen=True, slots=True)
class ConnectCodeToResponse:
    """One row of the translation for streaming transports."""

    code: int = option(0, "Error or disconnect code of the failed connect.")
    to: HttpResponseTarget = section(HttpResponseTarget, "Answer given for it.")


@dataclass(frozen=True, slots=True)
class ConnectCodeToResponseConfig:
    """Which HTTP answer a failed connect gets instead of a stream."""

    enabled: bool = option(False, "Use the list; a code not in it gives status 500.")
    transforms: tuple[ConnectCodeToResponse, ...] = items(ConnectCodeToResponse, "Failed connect to answer.")


@dataclass(frozen=True, slots=True)
class UniSseConfig:
    """Unidirectional server-sent events."""

    enabled: bool = option(False, "Serve unidirectional EventSource clients.", support=Support.REFUSED)
    handler_prefix: str = option("/connection/uni_sse", "Path.")
    max_request_body_size: int = option(MESSAGE_SIZE, "Limit of the connect request.", unit="bytes")
    connect_code_to_http_response: ConnectCodeToResponseConfig = section(
        ConnectCodeToResponseConfig, "HTTP answers to failed connects."
    )


@dataclass(frozen=True, slots=True)
class UniHttpStreamConfig:
    """Unidirectional HTTP streaming."""

    enabled: bool = option(False, "Serve unidirectional streaming clients.", support=Support.REFUSED)
    handler_prefix: str = option("/connection/uni_http_stream", "Path.")
    max_request_body_size: int = option(MESSAGE_SIZE, "Limit of the connect request.", unit="bytes")
    connect_code_to_http_response: ConnectCodeToResponseConfig = section(
        ConnectCodeToResponseConfig, "HTTP answers to failed connects."
    )


@dataclass(frozen=True, slots=True)
class UniWebSocketConfig(WebSocketOptions):
    """Unidirectional WebSocket."""

    enabled: bool = option(False, "Serve unidirectional WebSocket clients.", support=Support.REFUSED)
    compression: bool = option(
        False, "Offer permessage-deflate, without context takeover.", support=Support.REFUSED
    )
    handler_prefix: str = option("/connection/uni_websocket", "Path.")
    disable_closing_handshake: bool = option(False, "Drop the connection without a close frame.")
    disable_disconnect_push: bool = option(False, "Send no disconnect push before the close frame.")
    join_push_messages: bool = option(False, "Several pushes in one message, separated by newlines.")


@dataclass(frozen=True, slots=True)
class UniGrpcConfig:
    """Unidirectional gRPC stream."""

    enabled: bool = option(False, "Serve unidirectional gRPC clients.", support=Support.REFUSED)
    address: str = option("", "Host to bind.")
    port: int = option(11000, "Port of unidirectional gRPC.", min=0, max=65535)
    max_receive_message_size: int = option(0, "Limit of one message; 0 = 4 MiB.", unit="bytes")
    tls: TlsConfig = section(TlsConfig, "TLS of the listener.")
