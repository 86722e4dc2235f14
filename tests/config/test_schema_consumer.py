"""Options of consumers."""

from centrifast.config.option import walk
from centrifast.config.schema_consumer import CONSUMER_TYPES, ConsumerConfig


def test_every_type_has_a_section_of_its_name() -> None:
    sections = {path for path, found in walk(ConsumerConfig) if found.section is not None and "." not in path}
    assert sections == set(CONSUMER_TYPES)


def test_defaults_are_those_of_centrifugo() -> None:
    consumer = ConsumerConfig()
    assert consumer.redis_stream.visibility_timeout == 30.0
    assert consumer.redis_stream.address == ("redis://127.0.0.1:6379",)
    assert consumer.postgresql.partition_poll_interval == 0.3
    assert consumer.kafka.method_header == "centrifugo-method"
    assert consumer.aws_sqs.wait_time_time == 20.0
    assert consumer.redis_list.batch_size == 64
