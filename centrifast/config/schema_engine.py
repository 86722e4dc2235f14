"""Options of engine, broker, presence manager and node-to-node control."""

from collections.abc import Mapping
from dataclasses import dataclass

from centrifast.config.option import Support, option, section, text_map
from centrifast.config.schema_redis import (
    RedisBrokerConfig,
    RedisEngineConfig,
    RedisMapBrokerConfig,
    RedisPresenceConfig,
)
from centrifast.config.schema_tls import TlsConfig


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Broker and presence manager in one."""

    type: str = option("memory", "`memory` keeps everything in this node.", choices=("memory", "redis"))
    redis: RedisEngineConfig = section(RedisEngineConfig, "Redis engine.")


@dataclass(frozen=True, slots=True)
class NatsRawModeConfig:
    """NATS subjects shared with other applications."""

    enabled: bool = option(False, "Exchange payloads without prefix and wrapping.")
    channel_replacements: Mapping[str, str] = text_map("Text replacements from channel to subject.")
    prefix: str = option("", "Subject prefix.")


@dataclass(frozen=True, slots=True)
class NatsConfig:
    """NATS broker."""

    prefix: str = option("centrifugo", "Prefix of subjects.")
    url: str = option("nats://localhost:4222", "Server URLs, separated by commas.", secret=True)
    dial_timeout: float = option(1.0, "Time to connect.")
    write_timeout: float = option(1.0, "Time to flush.")
    tls: TlsConfig = section(TlsConfig, "TLS towards NATS.")
    allow_wildcards: bool = option(False, "Clients may subscribe with wildcards.")
    raw_mode: NatsRawModeConfig = section(NatsRawModeConfig, "Raw payloads.")


@dataclass(frozen=True, slots=True)
class PostgresOutboxConfig:
    """Reading of the publication table."""

    poll_interval: float = option(0.1, "Idle poll.")
    batch_size: int = option(1000, "Rows in one batch.")


@dataclass(frozen=True, slots=True)
class PostgresBrokerConfig:
    """PostgreSQL broker."""

    dsn: str = option("", "Connection string.", secret=True)
    tls: TlsConfig = section(TlsConfig, "TLS towards PostgreSQL.")
    pool_size: int = option(16, "Connections in the pool.")
    num_shards: int = option(8, "Parallel delivery workers.")
    cleanup_interval: float = option(60.0, "Period of cleanup and partition work.")
    idempotent_result_ttl: float = option(300.0, "Lifetime of idempotency entries.")
    binary_data: bool = option(False, "BYTEA instead of JSONB.")
    stream_retention: float = option(24 * 3600.0, "Floor of the meta lifetime.")
    use_notify: bool = option(False, "Wake up by LISTEN/NOTIFY.")
    notify_dsn: str = option("", "Direct connection for LISTEN when the main one is pooled.", secret=True)
    table_prefix: str = option("cf", "Prefix of tables.")
    skip_schema_init: bool = option(False, "Do not create tables.")
    outbox: PostgresOutboxConfig = section(PostgresOutboxConfig, "Reading of the publication table.")
    partition_lookahead_days: int = option(2, "Daily partitions created ahead.")
    partition_retention_days: int = option(7, "Days until a partition is dropped.")


@dataclass(frozen=True, slots=True)
class PostgresMapBrokerConfig(PostgresBrokerConfig):
    """PostgreSQL keeping maps."""

    ttl_check_interval: float = option(1.0, "Period of the search for expired keys.")


@dataclass(frozen=True, slots=True)
class PostgresControllerConfig:
    """PostgreSQL carrying node-to-node messages."""

    dsn: str = option("", "Connection string.", secret=True)
    tls: TlsConfig = section(TlsConfig, "TLS towards PostgreSQL.")
    pool_size: int = option(8, "Connections in the pool.")
    num_shards: int = option(1, "Serialised publishing shards.")
    table_prefix: str = option("cf", "Prefix of tables.")
    poll_interval: float = option(0.05, "Idle poll.")
    use_notify: bool = option(False, "Wake up by LISTEN/NOTIFY.")
    notify_dsn: str = option("", "Direct connection for LISTEN.", secret=True)
    partition_retention_days: int = option(1, "Days until a partition is dropped.")
    partition_lookahead_days: int = option(2, "Daily partitions created ahead.")
    partition_cleanup_interval: float = option(60.0, "Period of partition work.")
    batch_size: int = option(1000, "Rows in one poll.")
    skip_schema_init: bool = option(False, "Do not create tables.")


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """A broker in place of the engine's."""

    enabled: bool = option(False, "Use a broker other than the engine's.")
    type: str = option(
        "memory",
        "Kind of broker.",
        choices=("memory", "nats", "redis", "redisnats", "postgres"),
        later=("nats", "redisnats", "postgres"),
    )
    redis: RedisBrokerConfig = section(RedisBrokerConfig, "Redis broker.")
    nats: NatsConfig = section(NatsConfig, "NATS broker.", support=Support.ACCEPTED)
    postgres: PostgresBrokerConfig = section(
        PostgresBrokerConfig, "PostgreSQL broker.", support=Support.ACCEPTED
    )
    redisnats: object = option(None, "Unreleased combination; ignored.", support=Support.ACCEPTED)


@dataclass(frozen=True, slots=True)
class PresenceManagerConfig:
    """A presence manager in place of the engine's."""

    enabled: bool = option(False, "Use a presence manager other than the engine's.")
    type: str = option("memory", "Kind of presence manager.", choices=("memory", "redis"))
    redis: RedisPresenceConfig = section(RedisPresenceConfig, "Redis presence manager.")


@dataclass(frozen=True, slots=True)
class MapBrokerConfig:
    """Where maps are kept."""

    type: str = option("memory", "Kind of map broker.", choices=("memory", "redis", "postgres"))
    redis: RedisMapBrokerConfig = section(RedisMapBrokerConfig, "Redis map broker.")
    postgres: PostgresMapBrokerConfig = section(PostgresMapBrokerConfig, "PostgreSQL map broker.")


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """Node-to-node messages outside the broker."""

    enabled: bool = option(False, "Use it for messages between nodes.", support=Support.REFUSED)
    type: str = option("", "Kind of controller.")
    postgres: PostgresControllerConfig = section(PostgresControllerConfig, "PostgreSQL controller.")


@dataclass(frozen=True, slots=True)
class SharedPollConfig:
    """Keys of shared poll subscriptions."""

    hmac_secret_key: str = option("", "Key of track signatures.", secret=True)
    hmac_previous_secret_key: str = option("", "Previous key during a rotation.", secret=True)
    hmac_previous_secret_key_valid_until: int = option(
        0, "Time until which the previous key counts.", unit="Unix seconds"
    )
    concurrency_limit: int = option(0, "Parallel polls of the backend; 0 = no limit.")
