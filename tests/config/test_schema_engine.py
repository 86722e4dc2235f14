"""Options of engine, broker and presence manager."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "engine.type": "memory",
        "broker.type": "memory",
        "presence_manager.type": "memory",
        "map_broker.type": "memory",
        "broker.nats.url": "nats://localhost:4222",
        "broker.postgres.pool_size": 16,
        "map_broker.postgres.ttl_check_interval": 1.0,
        "controller.postgres.pool_size": 8,
        "controller.postgres.use_notify": False,
    }
    assert mismatches(expected) == {}
