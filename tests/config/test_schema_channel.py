"""Options of channels and RPC methods."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "channel.history_meta_ttl": 2592000.0,
        "channel.max_length": 255,
        "channel.private_prefix": "$",
        "channel.namespace_boundary": ":",
        "channel.user_boundary": "#",
        "channel.user_separator": ",",
        "channel.without_namespace.history_size": 0,
        "channel.without_namespace.allow_subscribe_for_client": False,
        "channel.without_namespace.subscribe_proxy_name": "default",
        "rpc.namespace_boundary": ":",
        "rpc.ping.method": "ping",
    }
    assert mismatches(expected) == {}
