"""Values as operators may see them."""

import pytest

from centrifast.config.option import walk
from centrifast.config.schema import Config
from centrifast.config.shown import shown, text_of
from tests.config.building import config_of

OPTIONS = dict(walk(Config))


@pytest.mark.parametrize(
    ("path", "value", "result"),
    [
        ("http_api.key", "hush", "***"),
        ("http_api.key", "", ""),
        ("engine.redis.address", ("redis://:hush@a:1",), "***"),
        ("engine.redis.address", ("redis://127.0.0.1:6379",), ["redis://127.0.0.1:6379"]),
        ("rpc.proxy.http.static_headers", {"authorization": "hush"}, "***"),
        ("rpc.proxy.endpoint", "http://user:hush@host/path", "http://***@host/path"),
        ("client.allowed_origins", ("https://a", "https://u:p@b"), ["https://a", "https://***@b"]),
        ("client.ping_interval", 90.0, "1m30s"),
        ("client.insecure", True, True),
        ("broker.nats.raw_mode.channel_replacements", {":": "."}, {":": "."}),
    ],
)
def test_secrets_are_masked_and_the_rest_is_plain(path: str, value: object, result: object) -> None:
    assert shown(OPTIONS[path], value) == result


def test_items_are_their_names() -> None:
    config = config_of(
        {
            "channel.namespaces": [{"name": "chat"}, {"name": "news"}],
            "uni_sse.connect_code_to_http_response.transforms": [{"code": 1}],
        }
    )
    assert shown(OPTIONS["channel.namespaces"], config.channel.namespaces) == ["chat", "news"]
    transforms = config.uni_sse.connect_code_to_http_response.transforms
    option = OPTIONS["uni_sse.connect_code_to_http_response.transforms"]
    assert shown(option, transforms) == ["[0]"]


def test_text_is_json_but_for_the_mask() -> None:
    assert [text_of(value) for value in ("***", "a", 1, True, ["é"])] == ["***", '"a"', "1", "true", '["é"]']
