"""Options of a connection to Redis, and what each part of the server adds to them."""

from dataclasses import dataclass

from centrifast.config.option import Support, option, section
from centrifast.config.schema_tls import TlsConfig


@dataclass(frozen=True, slots=True)
class RedisReplicaConfig:
    """Reading from replicas."""

    enabled: bool = option(
        False,
        "Read history and presence from replicas; with Cluster or Sentinel only.",
        support=Support.ACCEPTED,
    )


@dataclass(frozen=True, slots=True)
class RedisConnectionConfig:
    """How Redis is reached."""

    address: tuple[str, ...] = option(
        ("redis://127.0.0.1:6379",), "`host:port` or URL, one per shard.", secret=True
    )
    connect_timeout: float = option(1.0, "Time to connect.")
    io_timeout: float = option(4.0, "Time limit of one request.")
    db: int = option(0, "Database number; PUB/SUB is shared by all of them.")
    user: str = option("", "User of the access list.")
    password: str = option("", "Password.", secret=True)
    client_name: str = option("", "Connection name shown by `CLIENT LIST`.")
    force_resp2: bool = option(False, "Speak RESP2 instead of RESP3.")
    cluster_address: tuple[str, ...] = option(
        (), "Redis Cluster, one entry per cluster, its seeds separated by commas."
    )
    tls: TlsConfig = section(TlsConfig, "TLS towards Redis.")
    sentinel_address: tuple[str, ...] = option(
        (), "Sentinel, one entry per shard, its sentinels separated by commas."
    )
    sentinel_user: str = option("", "User towards Sentinel.")
    sentinel_password: str = option("", "Password towards Sentinel.", secret=True)
    sentinel_master_name: str = option("", "Master's name; required with Sentinel.")
    sentinel_client_name: str = option("", "Connection name towards Sentinel.")
    sentinel_tls: TlsConfig = section(TlsConfig, "TLS towards Sentinel.")
    replica_client: RedisReplicaConfig = section(RedisReplicaConfig, "Reading from replicas.")


@dataclass(frozen=True, slots=True)
class RedisConfig(RedisConnectionConfig):
    """Redis with keys of ours."""

    prefix: str = option("centrifugo", "Prefix of every key and PUB/SUB channel.")


@dataclass(frozen=True, slots=True)
class RedisBrokerConfig(RedisConfig):
    """Redis as broker."""

    history_use_lists: bool = option(False, "Keep history in lists instead of streams.")


@dataclass(frozen=True, slots=True)
class RedisPresenceConfig(RedisConfig):
    """Redis as presence manager."""

    presence_ttl: float = option(60.0, "Lifetime of a presence entry without refresh.")
    presence_hash_field_ttl: bool = option(False, "Use expiry per field; Redis 7.4 or newer.")
    presence_user_mapping: bool = option(False, "Extra hash of users, for cheap presence stats.")


@dataclass(frozen=True, slots=True)
class RedisEngineConfig(RedisPresenceConfig):
    """Redis as broker and presence manager."""

    history_use_lists: bool = option(False, "Keep history in lists instead of streams.")


@dataclass(frozen=True, slots=True)
class RedisMapBrokerConfig(RedisConfig):
    """Redis keeping maps."""

    cleanup_interval: float = option(1.0, "Period of the sweep of expired keys; -1 = never.")
    cleanup_batch_size: int = option(100, "Keys per channel in one sweep.")
    idempotent_result_ttl: float = option(300.0, "Memory of idempotency keys.")
    skip_pub_sub: bool = option(False, "Only update data, do not publish.", support=Support.ACCEPTED)
