"""Options of Centrifugo 1 to 5 and what does their work in version 6 (server specification 10.2).

Facts of Centrifugo's public migration guides. Nothing is translated silently: defaults that matter for security have
changed, so a hint names the new option and the operator decides. Regular names (``client_channel_limit`` for
``client.channel_limit``) are not listed; ``suggest`` finds them by their form.
"""

from collections.abc import Iterable, Mapping


def family(old: str, new: str, names: Iterable[str]) -> dict[str, str]:
    """Return options that only moved: *old* and *new* are what stands before each name."""
    return {old + name: new + name for name in names}


def tls_family(old: str, new: str) -> dict[str, str]:
    """Return the options of TLS, which were flat and are one object."""
    names = {"": "enabled", "_server_name": "server_name", "_insecure_skip_verify": "insecure_skip_verify"}
    for part, target in {
        "_cert": "cert_pem",
        "_key": "key_pem",
        "_root_ca": "server_ca_pem",
        "_client_ca": "client_ca_pem",
    }.items():
        names[part] = names[f"{part}_pem"] = target
    return {old + name: f"{new}.{target}" for name, target in names.items()}


TOKEN_NAMES = (
    "hmac_secret_key",
    "rsa_public_key",
    "ecdsa_public_key",
    "jwks_public_endpoint",
    "audience",
    "audience_regex",
    "issuer",
    "issuer_regex",
    "user_id_claim",
)
REDIS_NAMES = (
    "address",
    "prefix",
    "connect_timeout",
    "io_timeout",
    "db",
    "user",
    "password",
    "client_name",
    "force_resp2",
    "cluster_address",
    "sentinel_address",
    "sentinel_user",
    "sentinel_password",
    "sentinel_master_name",
    "sentinel_client_name",
    "presence_ttl",
    "presence_hash_field_ttl",
)
NATS_NAMES = ("prefix", "url", "dial_timeout", "write_timeout", "allow_wildcards", "raw_mode")
CHANNEL_PROXY_KINDS = ("subscribe", "publish", "sub_refresh", "subscribe_stream")
LISTENER_NAMES = ("address", "port", "internal_address", "internal_port", "tls_external")

SWITCHES = {
    **{
        name: f"{name}.enabled"
        for name in (
            "admin",
            "prometheus",
            "health",
            "debug",
            "swagger",
            "graphite",
            "opentelemetry",
            "redis_api",
            "uni_websocket",
            "uni_sse",
            "uni_http_stream",
            "uni_grpc",
            "sse",
            "http_stream",
            "webtransport",
            "grpc_api",
        )
    },
    "engine": "engine.type",
    "broker": "broker.type",
}
"""Single values of the top level that are objects in version 6."""

RENAMED: Mapping[str, str] = {
    **family("token_", "client.token.", TOKEN_NAMES),
    **family("subscription_token_", "client.subscription_token.", TOKEN_NAMES),
    **family("redis_", "engine.redis.", REDIS_NAMES),
    **family("nats_", "broker.nats.", NATS_NAMES),
    **family("", "http_server.", LISTENER_NAMES),
    **tls_family("tls", "http_server.tls"),
    **tls_family("redis_tls", "engine.redis.tls"),
    **tls_family("redis_sentinel_tls", "engine.redis.sentinel_tls"),
    **tls_family("grpc_api_tls", "grpc_api.tls"),
    **tls_family("uni_grpc_tls", "uni_grpc.tls"),
    "tls_autocert": "http_server.tls_autocert.enabled",
    **family(
        "tls_autocert_",
        "http_server.tls_autocert.",
        ("host_whitelist", "cache_dir", "email", "server_name", "http", "http_addr"),
    ),
    "http3": "http_server.http3.enabled",
    "name": "node.name",
    "secret": "client.token.hmac_secret_key",
    "separate_subscription_token_config": "client.subscription_token.enabled",
    "allowed_origins": "client.allowed_origins",
    "allow_anonymous_connect_without_token": "client.allow_anonymous_connect_without_token",
    "disallow_anonymous_connection_tokens": "client.disallow_anonymous_connection_tokens",
    "client_anonymous": "client.allow_anonymous_connect_without_token",
    "insecure": "client.insecure",
    "ping_interval": "client.ping_interval",
    "pong_timeout": "client.pong_timeout",
    "client_ping_interval": "client.ping_interval",
    "websocket_ping_interval": "client.ping_interval",
    "client_presence_ping_interval": "client.presence_update_interval",
    "client_presence_expire_interval": "engine.redis.presence_ttl",
    "client_message_write_timeout": "websocket.write_timeout",
    "client_request_max_size": "websocket.message_size_limit",
    "client_user_id_http_header": "client.user_id_http_header",
    "websocket_disable": "websocket.disabled",
    "usage_stats_disable": "usage_stats.disabled",
    "user_personal_channel_namespace": "client.subscribe_to_user_personal_channel.personal_channel_namespace",
    "user_personal_single_connection": "client.subscribe_to_user_personal_channel.single_connection",
    "user_subscribe_to_personal": "client.subscribe_to_user_personal_channel.enabled",
    "namespaces": "channel.namespaces",
    "rpc_namespaces": "rpc.namespaces",
    "rpc_ping": "rpc.ping.enabled",
    "global_history_meta_ttl": "channel.history_meta_ttl",
    "memory_history_meta_ttl": "channel.history_meta_ttl",
    "redis_history_meta_ttl": "channel.history_meta_ttl",
    "redis_sequence_ttl": "channel.history_meta_ttl",
    "presence_ttl": "engine.redis.presence_ttl",
    "global_presence_ttl": "engine.redis.presence_ttl",
    "global_redis_presence_user_mapping": "engine.redis.presence_user_mapping",
    "redis_host": "engine.redis.address",
    "redis_port": "engine.redis.address",
    "redis_url": "engine.redis.address",
    "redis_cluster_addrs": "engine.redis.cluster_address",
    "redis_sentinels": "engine.redis.sentinel_address",
    "redis_master_name": "engine.redis.sentinel_master_name",
    "redis_tls_skip_verify": "engine.redis.tls.insecure_skip_verify",
    "redis_use_lists": "engine.redis.history_use_lists",
    **family("api_", "http_api.", ("key", "error_mode", "external", "insecure", "handler_prefix")),
    "api_disable": "http_api.disabled",
    "insecure_api": "http_api.insecure",
    "insecure_admin": "admin.insecure",
    "proxy_connect_endpoint": "client.proxy.connect.endpoint",
    "proxy_connect_timeout": "client.proxy.connect.timeout",
    "proxy_refresh_endpoint": "client.proxy.refresh.endpoint",
    "proxy_refresh_timeout": "client.proxy.refresh.timeout",
    "proxy_rpc_endpoint": "rpc.proxy.endpoint",
    "proxy_rpc_timeout": "rpc.proxy.timeout",
    **{
        f"proxy_{kind}_{name}": f"channel.proxy.{kind}.{name}"
        for kind in CHANNEL_PROXY_KINDS
        for name in ("endpoint", "timeout")
    },
}
"""Top-level options and the one that does their work."""

CHANNEL_RENAMED: Mapping[str, str] = {
    "anonymous": "allow_subscribe_for_anonymous",
    "publish": "allow_publish_for_client",
    "subscribe_to_publish": "allow_publish_for_subscriber",
    "presence_disable_for_client": "allow_presence_for_subscriber",
    "history_lifetime": "history_ttl",
    "history_disable_for_client": "allow_history_for_subscriber",
    "recover": "force_recovery",
    "history_recover": "force_recovery",
    "position": "force_positioning",
    "protected": "allow_subscribe_for_client",
    "proxy_subscribe": "subscribe_proxy_enabled",
    "proxy_publish": "publish_proxy_enabled",
    "proxy_sub_refresh": "sub_refresh_proxy_enabled",
    "proxy_subscribe_stream": "subscribe_stream_proxy_enabled",
}
"""The same for channel options; these stood at the top level and in namespaces."""

EACH_PROXY = "of each proxy, such as `client.proxy.connect.{0}`"

ADVICE: Mapping[str, str] = {
    "server_side": (
        "leave `allow_subscribe_for_client` off; personal channels are "
        "`client.subscribe_to_user_personal_channel.enabled`"
    ),
    "watch": "it is gone without a replacement",
    "sockjs": "SockJS is gone; use `http_stream.enabled` and `sse.enabled`",
    "sockjs_url": "SockJS is gone; use `http_stream.enabled` and `sse.enabled`",
    "sockjs_heartbeat_delay": "SockJS is gone; use `client.ping_interval`",
    "sockjs_handler_prefix": "SockJS is gone; use `http_stream.enabled` and `sse.enabled`",
    "tarantool_address": "Tarantool is gone; use `engine.type: redis`",
    "tarantool_mode": "Tarantool is gone; use `engine.type: redis`",
    "tarantool_user": "Tarantool is gone; use `engine.type: redis`",
    "tarantool_password": "Tarantool is gone; use `engine.type: redis`",
    "gomaxprocs": "it set the threads of another runtime; remove it",
    "v3_use_offset": "offsets are always used; remove it",
    "redis_streams": "streams are the default; remove it, or see `engine.redis.history_use_lists`",
    "redis_api_num_shards": "use `redis_api.num_shards`",
    "use_unlimited_history_by_default": "see `client.history_max_publication_limit`",
    "use_client_protocol_v1_by_default": "only the present client protocol is spoken; remove it",
    "disable_client_protocol_v1": "only the present client protocol is spoken; remove it",
    "skip_user_check_in_subscription_token": "subscription tokens need the `sub` of their user",
    "granular_proxy_mode": "named proxies in `proxies` and default ones can be mixed; remove it",
    "connect_proxy_name": "the connect proxy is `client.proxy.connect`",
    "refresh_proxy_name": "the refresh proxy is `client.proxy.refresh`",
    "rpc_proxy_name": "use `rpc.without_namespace.proxy_name`",
    "proxy_http_headers": f"use `http_headers` {EACH_PROXY.format('http_headers')}",
    "proxy_extra_http_headers": f"use `http_headers` {EACH_PROXY.format('http_headers')}",
    "proxy_grpc_metadata": f"use `grpc_metadata` {EACH_PROXY.format('grpc_metadata')}",
    "proxy_binary_encoding": f"use `binary_encoding` {EACH_PROXY.format('binary_encoding')}",
    "proxy_include_connection_meta": (
        f"use `include_connection_meta` {EACH_PROXY.format('include_connection_meta')}"
    ),
    "proxy_static_http_headers": f"use `http.static_headers` {EACH_PROXY.format('http.static_headers')}",
    "redis_read_timeout": "use `engine.redis.io_timeout`",
    "redis_write_timeout": "use `engine.redis.io_timeout`",
    "redis_idle_timeout": "it is gone without a replacement",
    "redis_pubsub_num_workers": "it is gone without a replacement",
    "shutdown_termination_delay": "it is gone without a replacement; see `shutdown.timeout`",
}
"""Options without a single successor, and what to do about them."""

CONSUMER_ADVICE = "use `enabled`: a consumer is off unless it is switched on"
"""For ``disabled`` of a consumer, which version 5 had."""
