"""Options of consumers."""

from centrifast.config.option import Support, walk
from centrifast.config.schema_consumer import CONSUMER_TYPES, LATER_TYPES, ConsumerConfig


def test_every_type_has_a_section_of_its_name() -> None:
    sections = {path for path, found in walk(ConsumerConfig) if found.section is not None and "." not in path}
    assert sections == set(CONSUMER_TYPES)


def test_what_is_built_has_no_sections_without_effect() -> None:
    without_effect = {
        path for path, found in walk(ConsumerConfig) if found.facts.support is not Support.BUILT
    }
    replicas = {path for path in without_effect if path.endswith(".replica_client.enabled")}
    assert {path.partition(".")[0] for path in without_effect - replicas} == set(LATER_TYPES)


def test_defaults_are_those_of_centrifugo() -> None:
    consumer = ConsumerConfig()
    assert consumer.redis_stream.visibility_timeout == 30.0
    assert consumer.redis_stream.address == ("redis://127.0.0.1:6379",)
    assert consumer.postgresql.partition_poll_interval == 0.3
    assert consumer.kafka.method_header == "centrifugo-method"
    assert consumer.aws_sqs.wait_time_time == 20.0
    assert consumer.redis_list.batch_size == 64
