"""Every option of the server, once: the root of the configuration.

Names, types and defaults are Centrifugo's (server specification 1.8); the sections are declared in the
``schema_*`` modules beside this one. Values are frozen: a reload makes another :class:`Config`.
"""

from dataclasses import dataclass

from centrifast.config.option import Pem, Support, items, option, section
from centrifast.config.schema_channel import (
    ChannelConfig,
    ChannelOptions,
    Namespace,
    RpcConfig,
    RpcNamespace,
    RpcOptions,
    RpcPingConfig,
)
from centrifast.config.schema_client import ClientConfig, SubscriptionTokenConfig, TokenConfig
from centrifast.config.schema_consumer import ConsumerConfig, RedisApiConfig
from centrifast.config.schema_engine import (
    BrokerConfig,
    ControllerConfig,
    EngineConfig,
    MapBrokerConfig,
    PresenceManagerConfig,
    SharedPollConfig,
)
from centrifast.config.schema_proxy import NamedProxyConfig
from centrifast.config.schema_server import (
    AdminConfig,
    DebugConfig,
    GraphiteConfig,
    GrpcApiConfig,
    HealthConfig,
    HttpApiConfig,
    HttpServerConfig,
    LogConfig,
    NodeConfig,
    OpenTelemetryConfig,
    PrometheusConfig,
    QuickstartConfig,
    ShutdownConfig,
    SwaggerConfig,
    UsageStatsConfig,
)
from centrifast.config.schema_tls import TlsConfig
from centrifast.config.schema_transport import (
    EmulationConfig,
    HttpStreamConfig,
    InitConfig,
    SseConfig,
    UniGrpcConfig,
    UniHttpStreamConfig,
    UniSseConfig,
    UniWebSocketConfig,
    WebSocketConfig,
    WebTransportConfig,
)

__all__ = [
    "ChannelConfig",
    "ChannelOptions",
    "ClientConfig",
    "Config",
    "HttpApiConfig",
    "HttpServerConfig",
    "LogConfig",
    "Namespace",
    "Pem",
    "RpcConfig",
    "RpcNamespace",
    "RpcOptions",
    "RpcPingConfig",
    "SubscriptionTokenConfig",
    "TlsConfig",
    "TokenConfig",
    "WebSocketConfig",
]


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; every field is a section named as in the file."""

    http_server: HttpServerConfig = section(HttpServerConfig, "HTTP listeners.")
    log: LogConfig = section(LogConfig, "Logging.")
    engine: EngineConfig = section(EngineConfig, "Broker and presence manager in one.")
    broker: BrokerConfig = section(BrokerConfig, "Separate broker.")
    presence_manager: PresenceManagerConfig = section(PresenceManagerConfig, "Separate presence manager.")
    map_broker: MapBrokerConfig = section(MapBrokerConfig, "Where maps are kept.", support=Support.ACCEPTED)
    controller: ControllerConfig = section(
        ControllerConfig, "Node-to-node messages outside the broker.", support=Support.ACCEPTED
    )
    shared_poll: SharedPollConfig = section(
        SharedPollConfig, "Shared poll subscriptions.", support=Support.ACCEPTED
    )
    client: ClientConfig = section(ClientConfig, "Client connections.")
    channel: ChannelConfig = section(ChannelConfig, "Channels and their namespaces.")
    rpc: RpcConfig = section(RpcConfig, "Remote procedure calls of clients.")
    http_api: HttpApiConfig = section(HttpApiConfig, "Server API over HTTP.")
    grpc_api: GrpcApiConfig = section(GrpcApiConfig, "Server API over gRPC.", support=Support.ACCEPTED)
    websocket: WebSocketConfig = section(WebSocketConfig, "Bidirectional WebSocket.")
    sse: SseConfig = section(SseConfig, "Server-sent events with emulation.", support=Support.ACCEPTED)
    http_stream: HttpStreamConfig = section(
        HttpStreamConfig, "HTTP streaming with emulation.", support=Support.ACCEPTED
    )
    emulation: EmulationConfig = section(
        EmulationConfig, "Client to server half of the two above.", support=Support.ACCEPTED
    )
    webtransport: WebTransportConfig = section(
        WebTransportConfig, "WebTransport over HTTP/3.", support=Support.ACCEPTED
    )
    init: InitConfig = section(InitConfig, "Endpoint for latency probes.")
    uni_sse: UniSseConfig = section(
        UniSseConfig, "Unidirectional server-sent events.", support=Support.ACCEPTED
    )
    uni_http_stream: UniHttpStreamConfig = section(
        UniHttpStreamConfig, "Unidirectional HTTP streaming.", support=Support.ACCEPTED
    )
    uni_websocket: UniWebSocketConfig = section(
        UniWebSocketConfig, "Unidirectional WebSocket.", support=Support.ACCEPTED
    )
    uni_grpc: UniGrpcConfig = section(UniGrpcConfig, "Unidirectional gRPC stream.", support=Support.ACCEPTED)
    admin: AdminConfig = section(AdminConfig, "Endpoints for an administrator's page.")
    prometheus: PrometheusConfig = section(PrometheusConfig, "Metrics endpoint.")
    health: HealthConfig = section(HealthConfig, "Health endpoint.")
    swagger: SwaggerConfig = section(SwaggerConfig, "Page that explains the HTTP API and calls it.")
    debug: DebugConfig = section(DebugConfig, "For development and conformance suites.")
    graphite: GraphiteConfig = section(GraphiteConfig, "Metrics pushed to Graphite.")
    opentelemetry: OpenTelemetryConfig = section(OpenTelemetryConfig, "Traces.", support=Support.ACCEPTED)
    usage_stats: UsageStatsConfig = section(UsageStatsConfig, "Statistics for the vendor; never sent.")
    node: NodeConfig = section(NodeConfig, "This server among others.")
    shutdown: ShutdownConfig = section(ShutdownConfig, "Graceful stop.")
    quickstart: QuickstartConfig = section(QuickstartConfig, "Page to try the server with.", extension=True)
    proxies: tuple[NamedProxyConfig, ...] = items(
        NamedProxyConfig, "Backend endpoints that namespaces refer to by name.", support=Support.ACCEPTED
    )
    consumers: tuple[ConsumerConfig, ...] = items(
        ConsumerConfig, "Commands and publications taken from queues."
    )
    redis_api: RedisApiConfig = section(
        RedisApiConfig, "Commands from lists in the Redis of `engine.redis`.", extension=True
    )
    workers: str = option(
        "1",
        "Processes that serve clients behind one port, 1 to 64; `auto` = one for each processor this process may use.",
        extension=True,
    )
    pid_file: str = option("", "Write the process id here.")
    enable_unreleased_features: bool = option(False, "Accepted for compatibility.", support=Support.ACCEPTED)
