"""Options of connections to Redis."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "engine.redis.prefix": "centrifugo",
        "engine.redis.address": ("redis://127.0.0.1:6379",),
        "engine.redis.connect_timeout": 1.0,
        "engine.redis.io_timeout": 4.0,
        "engine.redis.presence_ttl": 60.0,
        "engine.redis.history_use_lists": False,
        "broker.redis.history_use_lists": False,
        "presence_manager.redis.presence_ttl": 60.0,
        "map_broker.redis.cleanup_batch_size": 100,
    }
    assert mismatches(expected) == {}
