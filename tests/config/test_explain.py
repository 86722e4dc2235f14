"""Everything about one option."""

from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.explain import explain
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.option import walk
from centrifast.config.schema import Config

FILE = """
client:
  ping_interval: 90s
  token:
    hmac_secret_key: hush
channel:
  namespaces:
    - name: chat
      history_size: 5
    - name: my.news
proxies:
  - name: one
    endpoint: http://user:hush@localhost
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedConfig:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    environ = {"CENTRIFUGO_CHANNEL_NAMESPACES_MY_NEWS_PRESENCE": "1", "CENTRIFAST_RPC_NAMESPACES": "ab cd"}
    return load(path, {"client.insecure": True}, environ)


def test_the_facts_of_an_option_are_told(loaded: LoadedConfig) -> None:
    found = explain("http_server.port", loaded)
    assert found.path == "http_server.port"
    assert found.meaning == "External port."
    assert (found.type, found.default, found.bounds) == ("int", 8000, "at least 0, at most 65535")
    assert found.support == "works"
    assert found.variables == ("CENTRIFAST_HTTP_SERVER_PORT", "CENTRIFUGO_HTTP_SERVER_PORT")
    assert found.flag == "--http_server.port, -p"
    assert (found.value, found.source) == (8000, "default")
    assert explain("client.queue_max_size", loaded).unit == "bytes"
    assert explain("channel.without_namespace.force_recovery_mode", loaded).choices == ("", "stream", "cache")
    assert explain("http_server.reuse_port", loaded).support == "works, an addition of centrifast"


def test_the_source_of_the_value_is_told(loaded: LoadedConfig) -> None:
    file = loaded.path
    assert explain("client.ping_interval", loaded).source == f"{file}, line 3"
    assert explain("client.insecure", loaded).source == "flag --client.insecure"
    assert explain("channel.namespaces", loaded).source == f"{file}, line 7"
    assert explain("channel.namespaces.chat", loaded).source == f"{file}, line 8"
    assert explain("rpc.namespaces", loaded).source == "variable CENTRIFAST_RPC_NAMESPACES"
    assert explain("rpc.namespaces.cd", loaded).source == "variable CENTRIFAST_RPC_NAMESPACES"


def test_items_are_found_by_name_and_by_place(loaded: LoadedConfig) -> None:
    by_name = explain("channel.namespaces.chat.history_size", loaded)
    assert by_name == explain("channel.namespaces[0].history_size", loaded)
    assert by_name == explain("Channel.Namespaces.[0].History_Size", loaded)
    assert (by_name.value, by_name.path) == (5, "channel.namespaces.chat.history_size")
    assert by_name.variables[0] == "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE"
    assert explain("channel.namespaces[1]", loaded).path == "channel.namespaces.my.news"
    with_dot = explain("channel.namespaces.my.news.presence", loaded)
    assert with_dot.value is True
    assert with_dot.source == "variable CENTRIFUGO_CHANNEL_NAMESPACES_MY_NEWS_PRESENCE"


@pytest.mark.parametrize("key", ["proxies[].timeout", "proxies.timeout", "proxies.[].timeout"])
def test_what_every_item_has_comes_without_a_value(key: str, loaded: LoadedConfig) -> None:
    found = explain(key, loaded)
    assert (found.path, found.default, found.source, found.is_real) == ("proxies[].timeout", "1s", "", False)
    assert found.variables[1] == "CENTRIFUGO_PROXIES_<NAME>_TIMEOUT"


def test_items_without_a_name_have_no_variables(loaded: LoadedConfig) -> None:
    found = explain("uni_sse.connect_code_to_http_response.transforms[].to.body", loaded)
    assert found.variables == ()


def test_a_section_tells_its_options(loaded: LoadedConfig) -> None:
    found = explain("shutdown", loaded)
    assert found.type == "object"
    assert "timeout" in found.options
    assert found.source == ""


def test_secrets_are_masked(loaded: LoadedConfig) -> None:
    assert explain("client.token.hmac_secret_key", loaded).value == "***"
    assert explain("proxies.one.endpoint", loaded).value == "http://***@localhost"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("client.pong", "there is no option `client.pong` (did you mean `client.pong_timeout`?)"),
        ("clent.insecure", "there is no option `clent.insecure` (did you mean `client.insecure`?)"),
        ("client.insecure.more", "there is no option `client.insecure.more`"),
        ("namespaces", "there is no option `namespaces` (an option of an older version; "),
        (
            "channel.namespaces.absent.presence",
            "there is no `absent` in `channel.namespaces`, only `chat`, `my.news`",
        ),
        ("consumers.absent.type", "there is no `absent` in `consumers`"),
        ("", "there is no option ``"),
    ],
)
def test_an_unknown_key_comes_with_what_was_meant(key: str, message: str, loaded: LoadedConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        explain(key, loaded)
    assert str(caught.value).startswith(message)


def test_every_option_can_be_explained(loaded: LoadedConfig) -> None:
    for path, option in walk(Config):
        assert explain(path, loaded).meaning == option.facts.help
