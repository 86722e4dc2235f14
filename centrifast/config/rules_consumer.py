"""What consumers must fulfil (server specification 1.7 and 8)."""

import re
from collections.abc import Iterator

from centrifast.config.schema import Config
from centrifast.config.schema_consumer import ConsumerConfig
from centrifast.config.schema_redis import RedisConnectionConfig

NAME = re.compile(r"[a-zA-Z0-9_]{2,}", re.ASCII)

REQUIRED = {
    "postgresql": ("dsn", "outbox_table_name"),
    "kafka": ("brokers", "topics", "consumer_group"),
    "redis_stream": ("streams", "consumer_group"),
    "nats_jetstream": ("stream_name", "durable_consumer_name"),
}
"""Options without which a consumer of a type can not work; only demanded of those that are switched on."""

SASL_MECHANISMS = ("", "plain", "scram-sha-256", "scram-sha-512", "aws-msk-iam")


def check(config: Config) -> Iterator[str]:
    """Give a sentence for each rule that is broken."""
    seen = {"redis_api"} if config.redis_api.enabled else set()
    for index, consumer in enumerate(config.consumers):
        path = f"consumers.[{index}]"
        if not NAME.fullmatch(consumer.name):
            yield f"{path}.name: {consumer.name!r} is not valid; use two or more letters, digits, underscores"
        if consumer.name in seen:
            yield f"{path}.name: {consumer.name!r} is used twice; names must be unique"
        seen.add(consumer.name)
        if consumer.enabled:
            yield from check_enabled(path, consumer)


def check_enabled(path: str, consumer: ConsumerConfig) -> Iterator[str]:
    """What the type asks for is there."""
    for name in REQUIRED.get(consumer.type, ()):
        if not getattr(getattr(consumer, consumer.type), name):
            yield f"{path}.{consumer.type}.{name} must be set"
    if consumer.type == "redis_stream" and shards_of(consumer.redis_stream) != 1:
        yield f"{path}.redis_stream.address: streams are read from exactly one shard"
    nats = consumer.nats_jetstream
    if consumer.type == "nats_jetstream" and not (nats.subjects or nats.use_existing_consumer):
        yield f"{path}.nats_jetstream.subjects must be set, or use_existing_consumer"
    mechanism = consumer.kafka.sasl_mechanism
    if consumer.type == "kafka" and mechanism not in SASL_MECHANISMS:
        words = ", ".join(SASL_MECHANISMS[1:])
        yield f"{path}.kafka.sasl_mechanism: {mechanism!r} is not valid; use one of {words}"


def shards_of(redis: RedisConnectionConfig) -> int:
    """Return how many shards the addresses name; Cluster wins over Sentinel, that over plain addresses."""
    return len(redis.cluster_address or redis.sentinel_address or redis.address)
