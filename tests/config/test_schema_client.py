"""Options of connections and tokens."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "client.allowed_origins": (),
        "client.ping_interval": 25.0,
        "client.pong_timeout": 8.0,
        "client.expired_close_delay": 25.0,
        "client.expired_sub_close_delay": 25.0,
        "client.stale_close_delay": 10.0,
        "client.channel_limit": 128,
        "client.queue_max_size": 1048576,
        "client.presence_update_interval": 27.0,
        "client.channel_position_check_delay": 40.0,
        "client.history_max_publication_limit": 300,
        "client.recovery_max_publication_limit": 300,
        "client.connection_limit": 0,
        "client.connect_rate": 0,
        "client.insecure": False,
        "client.token.hmac_secret_key": "",
    }
    assert mismatches(expected) == {}
