"""What differs from the defaults."""

from centrifast.config.differences import Difference, differences
from centrifast.config.schema import Config
from tests.config.building import config_of


def test_the_defaults_do_not_differ() -> None:
    assert list(differences(Config())) == []


def test_each_option_with_another_value_is_named() -> None:
    config = config_of(
        {
            "http_server.port": 9000,
            "client": {"channel_limit": 128, "ping_interval": "90s", "token.hmac_secret_key": "hush"},
            "channel.namespaces": [{"name": "chat", "history_size": 5, "map": {"mode": "ephemeral"}}],
            "uni_sse.connect_code_to_http_response.transforms": [{"code": 1}],
            "node.name": "one",
        }
    )
    assert list(differences(config)) == [
        Difference("http_server.port", 8000, 9000),
        Difference("client.token.hmac_secret_key", "", "***"),
        Difference("client.ping_interval", "25s", "1m30s"),
        Difference("channel.namespaces", [], ["chat"]),
        Difference("channel.namespaces.chat.history_size", 0, 5),
        Difference("channel.namespaces.chat.map.mode", "", "ephemeral"),
        Difference("uni_sse.connect_code_to_http_response.transforms", [], ["[0]"]),
        Difference("uni_sse.connect_code_to_http_response.transforms.[0].code", 0, 1),
        Difference("node.name", "", "one"),
    ]
