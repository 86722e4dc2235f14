"""Options of consumers: commands and publications taken from queues."""

from dataclasses import dataclass

from centrifast.config.option import Support, option, section
from centrifast.config.schema_redis import RedisConnectionConfig
from centrifast.config.schema_tls import TlsConfig

CONSUMER_TYPES = (
    "postgresql",
    "kafka",
    "redis_stream",
    "nats_jetstream",
    "google_pub_sub",
    "aws_sqs",
    "azure_service_bus",
    "redis_list",
)
BUILT_TYPES = ("redis_stream", "redis_list")
LATER_TYPES = tuple(name for name in CONSUMER_TYPES if name not in BUILT_TYPES)

LISTS = 1000
"""Numbered lists at most; each costs two connections."""


@dataclass(frozen=True, slots=True)
class HeaderDataMode:
    """Messages are publications; everything but the data comes from headers."""

    enabled: bool = option(False, "Use this mode.")
    channels_header: str = option("centrifugo-channels", "Channels, separated by commas.")
    idempotency_key_header: str = option("centrifugo-idempotency-key", "Idempotency key.")
    delta_header: str = option("centrifugo-delta", "Whether to publish with delta.")
    version_header: str = option("centrifugo-version", "Version of the data.")
    version_epoch_header: str = option("centrifugo-version-epoch", "Epoch of the version.")
    tags_header_prefix: str = option("centrifugo-tag-", "Prefix of tags.")


@dataclass(frozen=True, slots=True)
class ValueDataMode:
    """Messages are publications; everything but the data comes from fields."""

    enabled: bool = option(False, "Use this mode.")
    channels_value: str = option("centrifugo-channels", "Channels, separated by commas.")
    idempotency_key_value: str = option("centrifugo-idempotency-key", "Idempotency key.")
    delta_value: str = option("centrifugo-delta", "Whether to publish with delta.")
    version_value: str = option("centrifugo-version", "Version of the data.")
    version_epoch_value: str = option("centrifugo-version-epoch", "Epoch of the version.")
    tags_value_prefix: str = option("centrifugo-tag-", "Prefix of tags.")


@dataclass(frozen=True, slots=True)
class AttributeDataMode:
    """Messages are publications; everything but the data comes from attributes."""

    enabled: bool = option(False, "Use this mode.")
    channels_attribute: str = option("centrifugo-channels", "Channels, separated by commas.")
    idempotency_key_attribute: str = option("centrifugo-idempotency-key", "Idempotency key.")
    delta_attribute: str = option("centrifugo-delta", "Whether to publish with delta.")
    version_attribute: str = option("centrifugo-version", "Version of the data.")
    version_epoch_attribute: str = option("centrifugo-version-epoch", "Epoch of the version.")
    tags_attribute_prefix: str = option("centrifugo-tag-", "Prefix of tags.")


@dataclass(frozen=True, slots=True)
class PropertyDataMode:
    """Messages are publications; everything but the data comes from properties."""

    enabled: bool = option(False, "Use this mode.")
    channels_property: str = option("centrifugo-channels", "Channels, separated by commas.")
    idempotency_key_property: str = option("centrifugo-idempotency-key", "Idempotency key.")
    delta_property: str = option("centrifugo-delta", "Whether to publish with delta.")
    version_property: str = option("centrifugo-version", "Version of the data.")
    version_epoch_property: str = option("centrifugo-version-epoch", "Epoch of the version.")
    tags_property_prefix: str = option("centrifugo-tag-", "Prefix of tags.")


@dataclass(frozen=True, slots=True)
class PostgresqlConsumerConfig:
    """Transactional outbox table."""

    dsn: str = option("", "Connection string.", secret=True)
    outbox_table_name: str = option("", "Table.")
    num_partitions: int = option(1, "Parallel partitions.")
    partition_select_limit: int = option(100, "Rows in one round.")
    partition_poll_interval: float = option(0.3, "Pause after a round that was not full.")
    partition_notification_channel: str = option("", "Channel of LISTEN.")
    partition_notification_dsn: str = option("", "Direct connection for LISTEN.", secret=True)
    tls: TlsConfig = section(TlsConfig, "TLS towards PostgreSQL.")
    use_try_lock: bool = option(False, "Try the lock instead of waiting.")


@dataclass(frozen=True, slots=True)
class KafkaConsumerConfig:
    """Kafka topics."""

    brokers: tuple[str, ...] = option((), "Seeds.")
    topics: tuple[str, ...] = option((), "Topics.")
    consumer_group: str = option("", "Consumer group.")
    max_poll_records: int = option(100, "Records in one poll.")
    fetch_max_bytes: int = option(0, "Limit of one fetch; 0 = 50 MB.", unit="bytes")
    fetch_max_wait: float = option(0.5, "Time a fetch may wait.")
    fetch_read_uncommitted: bool = option(False, "Also read records not committed.")
    partition_queue_max_size: int = option(1000, "Records waiting before a partition is paused.")
    dial_timeout: float = option(3.0, "Time to connect.")
    tls: TlsConfig = section(TlsConfig, "TLS towards Kafka.")
    sasl_mechanism: str = option("", "`plain`, `scram-sha-256`, `scram-sha-512` or `aws-msk-iam`.")
    sasl_user: str = option("", "User.")
    sasl_password: str = option("", "Password.", secret=True)
    assume_role_arn: str = option("", "Role, with `aws-msk-iam`.")
    instance_id: str = option("", "Static group membership.")
    method_header: str = option("centrifugo-method", "Header with the method.")
    publication_data_mode: HeaderDataMode = section(HeaderDataMode, "Messages are publications.")


@dataclass(frozen=True, slots=True)
class RedisStreamConsumerConfig(RedisConnectionConfig):
    """Redis streams."""

    streams: tuple[str, ...] = option((), "Keys of streams.")
    consumer_group: str = option("", "Consumer group; created when missing.")
    visibility_timeout: float = option(
        30.0, "Messages not acknowledged in this time are claimed by others.", min=0.1, max=86400
    )
    num_workers: int = option(1, "Parallel handlers per stream; above 1 the order is lost.", min=1, max=1000)
    payload_value: str = option("payload", "Field with the payload.")
    method_value: str = option("method", "Field with the method.")
    publication_data_mode: ValueDataMode = section(ValueDataMode, "Messages are publications.")


@dataclass(frozen=True, slots=True)
class RedisListConsumerConfig(RedisConnectionConfig):
    """Redis lists, as Centrifugo 1 read them."""

    prefix: str = option("centrifugo", "Prefix of the lists.")
    num_shards: int = option(0, "Also read this many numbered lists.", min=0, max=LISTS)
    batch_size: int = option(64, "Elements taken in one round trip after the first.", min=0, max=10_000)
    block_timeout: float = option(
        5.0,
        "Time one command waits for an element; a server that is away is noticed later by that.",
        min=0.1,
        max=60,
    )


@dataclass(frozen=True, slots=True)
class RedisApiConfig:
    """Commands from lists in the Redis of `engine.redis`, with its prefix; whatever the engine is."""

    enabled: bool = option(False, "Read the list `<prefix>.api`.")
    num_shards: int = option(
        0, "Also read this many lists `<prefix>.api.0`, `<prefix>.api.1`, ...", min=0, max=LISTS
    )


@dataclass(frozen=True, slots=True)
class NatsJetstreamConsumerConfig:
    """NATS JetStream."""

    url: str = option("nats://127.0.0.1:4222", "Server URL.", secret=True)
    credentials_file: str = option("", "Credentials file.")
    username: str = option("", "User.")
    password: str = option("", "Password.", secret=True)
    token: str = option("", "Token.", secret=True)
    stream_name: str = option("", "Stream.")
    use_existing_consumer: bool = option(False, "Do not create the consumer.")
    subjects: tuple[str, ...] = option((), "Subjects.")
    durable_consumer_name: str = option("", "Durable consumer.")
    deliver_policy: str = option("new", "`new` or `all`.")
    max_ack_pending: int = option(100, "Messages not acknowledged at once.")
    method_header: str = option("centrifugo-method", "Header with the method.")
    publication_data_mode: HeaderDataMode = section(HeaderDataMode, "Messages are publications.")
    tls: TlsConfig = section(TlsConfig, "TLS towards NATS.")


@dataclass(frozen=True, slots=True)
class GooglePubSubConsumerConfig:
    """Google Cloud Pub/Sub."""

    project_id: str = option("", "Project.")
    subscriptions: tuple[str, ...] = option((), "Subscriptions.")
    max_outstanding_messages: int = option(100, "Messages held at once.")
    max_outstanding_bytes: int = option(1000000, "Memory held at once.", unit="bytes")
    auth_mechanism: str = option("", "`default` or `service_account`.")
    credentials_file: str = option("", "Credentials file.")
    method_attribute: str = option("centrifugo-method", "Attribute with the method.")
    publication_data_mode: AttributeDataMode = section(AttributeDataMode, "Messages are publications.")


@dataclass(frozen=True, slots=True)
class AwsSqsConsumerConfig:
    """Amazon SQS."""

    queues: tuple[str, ...] = option((), "Queue URLs.")
    sns_envelope: bool = option(False, "Messages are wrapped by SNS.")
    region: str = option("", "Region.")
    max_number_of_messages: int = option(10, "Messages in one poll.")
    wait_time_time: float = option(20.0, "Time a poll may wait.")
    visibility_timeout: float = option(30.0, "Messages not deleted in this time are seen again.")
    max_concurrency: int = option(1, "Parallel handlers.")
    credentials_profile: str = option("", "Profile of the credentials file.")
    assume_role_arn: str = option("", "Role.")
    method_attribute: str = option("centrifugo-method", "Attribute with the method.")
    localstack_endpoint: str = option("", "Endpoint for development.")
    publication_data_mode: AttributeDataMode = section(AttributeDataMode, "Messages are publications.")


@dataclass(frozen=True, slots=True)
class AzureServiceBusConsumerConfig:
    """Azure Service Bus."""

    connection_string: str = option("", "Connection string.", secret=True)
    use_azure_identity: bool = option(False, "Use an identity instead of a connection string.")
    fully_qualified_namespace: str = option("", "Host of the namespace.")
    tenant_id: str = option("", "Tenant.")
    client_id: str = option("", "Application.")
    client_secret: str = option("", "Secret of the application.", secret=True)
    queues: tuple[str, ...] = option((), "Queues.")
    use_sessions: bool = option(False, "Use sessions.")
    max_concurrent_calls: int = option(1, "Parallel handlers.")
    max_receive_messages: int = option(1, "Messages in one receive.")
    method_property: str = option("centrifugo-method", "Property with the method.")
    publication_data_mode: PropertyDataMode = section(PropertyDataMode, "Messages are publications.")


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    """One queue."""

    name: str = option("", "Name, in logs and metrics.")
    enabled: bool = option(False, "Read the queue.")
    type: str = option("", "Kind of queue.", choices=CONSUMER_TYPES, later=LATER_TYPES)
    postgresql: PostgresqlConsumerConfig = section(
        PostgresqlConsumerConfig, "Outbox table.", support=Support.ACCEPTED
    )
    kafka: KafkaConsumerConfig = section(KafkaConsumerConfig, "Kafka topics.", support=Support.ACCEPTED)
    redis_stream: RedisStreamConsumerConfig = section(RedisStreamConsumerConfig, "Redis streams.")
    nats_jetstream: NatsJetstreamConsumerConfig = section(
        NatsJetstreamConsumerConfig, "NATS JetStream.", support=Support.ACCEPTED
    )
    google_pub_sub: GooglePubSubConsumerConfig = section(
        GooglePubSubConsumerConfig, "Google Cloud Pub/Sub.", support=Support.ACCEPTED
    )
    aws_sqs: AwsSqsConsumerConfig = section(AwsSqsConsumerConfig, "Amazon SQS.", support=Support.ACCEPTED)
    azure_service_bus: AzureServiceBusConsumerConfig = section(
        AzureServiceBusConsumerConfig, "Azure Service Bus.", support=Support.ACCEPTED
    )
    redis_list: RedisListConsumerConfig = section(
        RedisListConsumerConfig, "Redis lists, as Centrifugo 1 read them.", extension=True
    )
