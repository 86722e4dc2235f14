"""Rules of consumers."""

import pytest

from centrifast.config.rules_consumer import check
from tests.config.building import config_of

STREAM = {"streams": ["s"], "consumer_group": "g"}


def consumer(kind: str, **options: object) -> dict[str, object]:
    return {"consumers": [{"name": "one", "enabled": True, "type": kind, kind: options}]}


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"consumers": [{"name": "one", "type": "kafka"}]},
        consumer("kafka", brokers=["b:1"], topics=["t"], consumer_group="g", sasl_mechanism="plain"),
        consumer("postgresql", dsn="postgresql://x", outbox_table_name="t"),
        consumer("redis_stream", **STREAM),
        consumer("redis_stream", **STREAM, cluster_address="a:1,b:1", sentinel_address=["c:1", "d:1"]),
        consumer("nats_jetstream", stream_name="s", durable_consumer_name="d", subjects="x"),
        consumer("nats_jetstream", stream_name="s", durable_consumer_name="d", use_existing_consumer=True),
        consumer("redis_list", address=["a:1", "b:1"]),
        consumer("aws_sqs"),
    ],
)
def test_what_fits_together_passes(tree: dict[str, object]) -> None:
    assert list(check(config_of(tree))) == []


@pytest.mark.parametrize(
    ("tree", "problems"),
    [
        (
            {"consumers": [{"name": "a-b"}]},
            ["consumers.[0].name: 'a-b' is not valid; use two or more letters, digits, underscores"],
        ),
        (
            {"consumers": [{"name": "ab"}, {"name": "ab"}]},
            ["consumers.[1].name: 'ab' is used twice; names must be unique"],
        ),
        (
            {"redis_api": {"enabled": True}, "consumers": [{"name": "redis_api"}]},
            ["consumers.[0].name: 'redis_api' is used twice; names must be unique"],
        ),
        (
            consumer("kafka"),
            [f"consumers.[0].kafka.{name} must be set" for name in ("brokers", "topics", "consumer_group")],
        ),
        (
            consumer("postgresql"),
            [f"consumers.[0].postgresql.{name} must be set" for name in ("dsn", "outbox_table_name")],
        ),
        (
            consumer("redis_stream"),
            [f"consumers.[0].redis_stream.{name} must be set" for name in ("streams", "consumer_group")],
        ),
        (
            consumer("redis_stream", **STREAM, address=["a:1", "b:1"]),
            ["consumers.[0].redis_stream.address: streams are read from exactly one shard"],
        ),
        (
            consumer("nats_jetstream"),
            [
                "consumers.[0].nats_jetstream.stream_name must be set",
                "consumers.[0].nats_jetstream.durable_consumer_name must be set",
                "consumers.[0].nats_jetstream.subjects must be set, or use_existing_consumer",
            ],
        ),
        (
            consumer("kafka", brokers="b", topics="t", consumer_group="g", sasl_mechanism="gssapi"),
            [
                "consumers.[0].kafka.sasl_mechanism: 'gssapi' is not valid; "
                "use one of plain, scram-sha-256, scram-sha-512, aws-msk-iam"
            ],
        ),
    ],
)
def test_what_does_not_fit_is_told(tree: dict[str, object], problems: list[str]) -> None:
    assert list(check(config_of(tree))) == problems
