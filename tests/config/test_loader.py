"""Precedence, lists of sections, and what is reported about sources."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.loader import FlagValue, LoadedConfig, Origin, Source, load, reload
from centrifast.config.validate import refuse_unsupported, validate, validate_start

Load = Callable[..., LoadedConfig]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load from a tree, as a file would hold it."""

    def build(
        tree: Mapping[str, object],
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, FlagValue] | None = None,
    ) -> LoadedConfig:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(tree))
        return load(path, flags or {}, environ or {})

    return build


def test_flag_wins_over_variable_over_file_over_default(loaded: Load) -> None:
    tree = {"http_server": {"port": 1}, "client": {"channel_limit": 2, "concurrency": 3}}
    environ = {"CENTRIFUGO_HTTP_SERVER_PORT": "10", "CENTRIFUGO_CLIENT_CHANNEL_LIMIT": "20"}
    config = loaded(tree, environ, {"http_server.port": 100}).config
    assert config.http_server.port == 100
    assert config.client.channel_limit == 20
    assert config.client.concurrency == 3
    assert config.client.ping_interval == 25


def test_a_flag_may_be_a_text(loaded: Load) -> None:
    assert loaded({}, flags={"client.insecure": "true"}).config.client.insecure
    with pytest.raises(ConfigError, match=r"--client\.insecure: expected true or false"):
        loaded({}, flags={"client.insecure": "perhaps"})


def test_a_missing_file_is_a_warning(tmp_path: Path) -> None:
    result = load(tmp_path / "config.json", {}, {"CENTRIFUGO_PID_FILE": "x"})
    assert result.config.pid_file == "x"
    assert not result.file_found
    assert "not found" in result.warnings[0]


def test_without_a_path_there_is_no_file_and_no_warning() -> None:
    assert load(None, {}, {}).warnings == ()


def test_empty_equals_unset_in_the_file(loaded: Load) -> None:
    tree = {
        "client": {"channel_limit": 0, "ping_interval": "", "allowed_origins": []},
        "channel": {"private_prefix": ""},
        "engine": {"redis": {"address": []}},
        "rpc": None,
    }
    config = loaded(tree).config
    assert config.client.channel_limit == 128
    assert config.client.ping_interval == 25
    assert config.channel.private_prefix == "$"
    assert config.engine.redis.address == ("redis://127.0.0.1:6379",)
    assert config.rpc.ping.method == "ping"


def test_a_list_of_one_empty_text_is_not_empty(loaded: Load) -> None:
    assert loaded({"engine": {"redis": {"address": ""}}}).config.engine.redis.address == ("",)


def test_a_zero_in_the_environment_is_meant(loaded: Load) -> None:
    environ = {"CENTRIFUGO_CLIENT_PING_INTERVAL": "0", "CENTRIFUGO_CLIENT_CHANNEL_LIMIT": "0"}
    config = loaded({"client": {"channel_limit": 5}}, environ).config
    assert config.client.ping_interval == 0
    assert config.client.channel_limit == 0


def test_unknown_keys_are_reported_with_their_path(loaded: Load) -> None:
    tree = {"x": 1, "client": {"y": 1}, "channel": {"namespaces": [{"name": "chat", "presense": True}]}}
    assert set(loaded(tree).unknown_keys) == {"x", "client.y", "channel.namespaces.[0].presense"}


def test_every_option_of_an_older_level_is_known(loaded: Load) -> None:
    tree = {"broker": {"redisnats": {"a": 1}}, "opentelemetry": {"enabled": True}}
    result = loaded(tree)
    assert result.unknown_keys == ()
    assert result.config.broker.redisnats is None


def test_a_wrong_type_names_the_option(loaded: Load) -> None:
    with pytest.raises(ConfigError, match=r"^http_server\.port: expected a whole number, got 'many'$"):
        loaded({"http_server": {"port": "many"}})
    with pytest.raises(ConfigError, match=r"^client: expected an object with options, got 'x'$"):
        loaded({"client": "x"})
    with pytest.raises(ConfigError, match=r"^CENTRIFUGO_HTTP_SERVER_PORT: expected a whole number"):
        loaded({}, {"CENTRIFUGO_HTTP_SERVER_PORT": "many"})
    with pytest.raises(ConfigError, match=r"^channel\.namespaces\.\[0\]: expected an object"):
        loaded({"channel": {"namespaces": ["chat"]}})


def test_all_wrong_values_are_told_at_once(loaded: Load) -> None:
    tree = {"http_server": {"port": "many"}, "client": {"insecure": "perhaps"}, "typo": 1}
    with pytest.raises(ConfigError) as caught:
        loaded(tree, {"CENTRIFUGO_CLIENT_CHANNEL_LIMIT": "few"})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "http_server.port",
        "CENTRIFUGO_CLIENT_CHANNEL_LIMIT",
        "client.insecure",
    ]
    assert dict(caught.value.unknown) == {"typo": 1}


@pytest.mark.parametrize(("name", "new"), [("engine", "engine.type"), ("admin", "admin.enabled")])
def test_a_single_value_where_an_object_is_today_comes_with_its_successor(
    name: str, new: str, loaded: Load
) -> None:
    with pytest.raises(ConfigError, match=f"older versions had a single value here, use `{new}`"):
        loaded({name: "redis"})


def test_null_counts_as_not_set(loaded: Load) -> None:
    tree = {
        "http_server": {"port": None},
        "client": None,
        "proxies": None,
        "channel": {"namespaces": [{"name": "chat", "history_size": None}], "without_namespace": None},
    }
    config = loaded(tree).config
    assert config.http_server.port == 8000
    assert config.client.channel_limit == 128
    assert config.proxies == ()
    assert config.channel.namespaces[0].history_size == 0


def test_the_schema_of_an_editor_is_no_unknown_key(loaded: Load) -> None:
    assert loaded({"$schema": "config.schema.json"}).unknown_keys == ()
    assert loaded({"client": {"$schema": "x"}}).unknown_keys == ("client.$schema",)


def test_the_source_of_a_value_is_known(loaded: Load) -> None:
    tree = {
        "client": {"insecure": False, "channel_limit": 0, "concurrency": 2, "pong_timeout": "1s"},
        "channel": {"namespaces": [{"name": "chat", "presence": True}]},
    }
    environ = {
        "CENTRIFUGO_CLIENT_CONCURRENCY": "3",
        "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_JOIN_LEAVE": "1",
        "CENTRIFUGO_RPC_NAMESPACES": '[{"name": "ab"}]',
        "CENTRIFUGO_PROXIES": "one",
    }
    sources = loaded(tree, environ, {"client.pong_timeout": "2s"}).sources
    assert dict(sources) == {
        "client.insecure": Source(Origin.FILE, "client.insecure"),
        "client.concurrency": Source(Origin.VARIABLE, "CENTRIFUGO_CLIENT_CONCURRENCY"),
        "client.pong_timeout": Source(Origin.FLAG, "--client.pong_timeout"),
        "channel.namespaces": Source(Origin.FILE, "channel.namespaces"),
        "channel.namespaces.[0].name": Source(Origin.FILE, "channel.namespaces.[0].name"),
        "channel.namespaces.[0].presence": Source(Origin.FILE, "channel.namespaces.[0].presence"),
        "channel.namespaces.[0].join_leave": Source(
            Origin.VARIABLE, "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_JOIN_LEAVE"
        ),
        "rpc.namespaces": Source(Origin.VARIABLE, "CENTRIFUGO_RPC_NAMESPACES"),
        "rpc.namespaces.[0].name": Source(Origin.VARIABLE, "CENTRIFUGO_RPC_NAMESPACES.[0].name"),
        "proxies": Source(Origin.VARIABLE, "CENTRIFUGO_PROXIES"),
        "proxies.[0].name": Source(Origin.VARIABLE, "CENTRIFUGO_PROXIES.[0].name"),
    }


def test_variables_that_exist_are_known(loaded: Load) -> None:
    known = loaded({"channel": {"namespaces": [{"name": "chat"}]}}).known_env
    assert {"CENTRIFUGO_PID_FILE", "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_PRESENCE"} <= known


@pytest.mark.parametrize(
    ("value", "warned"), [(25, True), (-5, True), (0, False), (10**9, False), ("25s", False)]
)
def test_a_bare_number_that_is_no_plausible_duration_is_warned_about(
    value: object, warned: bool, loaded: Load
) -> None:
    warnings = loaded({"client": {"ping_interval": value}}).warnings
    assert bool(warnings) is warned
    assert not warned or "client.ping_interval" in warnings[0]


def test_both_prefixes_for_one_option_are_warned_about(loaded: Load) -> None:
    environ = {"CENTRIFUGO_PID_FILE": "theirs", "CENTRIFAST_PID_FILE": "ours"}
    result = loaded({}, environ)
    assert result.config.pid_file == "ours"
    assert result.warnings == (
        "both CENTRIFAST_PID_FILE and CENTRIFUGO_PID_FILE are set, CENTRIFAST_PID_FILE is used",
    )


def test_an_object_becomes_a_list_of_one(loaded: Load) -> None:
    config = loaded({"channel": {"namespaces": {"name": "chat"}}}).config
    assert [namespace.name for namespace in config.channel.namespaces] == ["chat"]


def test_items_have_variables_of_their_own(loaded: Load) -> None:
    environ = {
        "CENTRIFUGO_CHANNEL_NAMESPACES_MY_CHAT_1_PRESENCE": "true",
        "CENTRIFAST_CHANNEL_NAMESPACES_MY_CHAT_1_HISTORY_TTL": "60s",
        "CENTRIFUGO_CHANNEL_NAMESPACES_OTHER_PRESENCE": "true",
        "CENTRIFUGO_CHANNEL_NAMESPACES_MY_CHAT_1_TYPO": "true",
    }
    result = loaded({"channel": {"namespaces": [{"name": "my-chat.1", "history_size": 5}]}}, environ)
    (namespace,) = result.config.channel.namespaces
    assert (namespace.presence, namespace.history_size, namespace.history_ttl) == (True, 5, 60.0)
    assert result.unknown_env == (
        "CENTRIFUGO_CHANNEL_NAMESPACES_MY_CHAT_1_TYPO",
        "CENTRIFUGO_CHANNEL_NAMESPACES_OTHER_PRESENCE",
    )


def test_names_in_a_variable_replace_the_list_of_the_file(loaded: Load) -> None:
    environ = {
        "CENTRIFUGO_CHANNEL_NAMESPACES": "chat news",
        "CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_PRESENCE": "1",
    }
    config = loaded({"channel": {"namespaces": [{"name": "old"}]}}, environ).config
    assert [(found.name, found.presence) for found in config.channel.namespaces] == [
        ("chat", True),
        ("news", False),
    ]


def test_json_in_a_variable_is_a_list_of_items(loaded: Load) -> None:
    value = '[{"Name": "chat", "history_size": 3, "subscribe_proxy_name": "", "unknown": 1}]'
    result = loaded({}, {"CENTRIFUGO_CHANNEL_NAMESPACES": value})
    (namespace,) = result.config.channel.namespaces
    assert (namespace.name, namespace.history_size, namespace.subscribe_proxy_name) == ("chat", 3, "default")
    assert result.unknown_keys == ()


def test_json_in_a_variable_keeps_keys_of_maps_and_knows_no_dotted_paths(loaded: Load) -> None:
    value = '[{"name": "one", "HTTP": {"Static_Headers": {"X-Key": "v", "a.b": "w"}}, "http.tls": 1}]'
    result = loaded({}, {"CENTRIFUGO_PROXIES": value})
    assert result.config.proxies[0].http.static_headers == {"X-Key": "v", "a.b": "w"}
    assert (result.unknown_keys, result.unknown_env) == ((), ())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CHANNEL_NAMESPACES", "CHANNEL_NAMESPACES_MY_CHAT_1_HISTORY_SIZE"),
        ("RPC_NAMESPACES", "RPC_NAMESPACES_MY_CHAT_1_PROXY_NAME"),
        ("PROXIES", "PROXIES_MY_CHAT_1_HTTP_TLS_SERVER_NAME"),
        ("CONSUMERS", "CONSUMERS_MY_CHAT_1_REDIS_STREAM_NUM_WORKERS"),
    ],
)
@pytest.mark.parametrize("prefix", ["CENTRIFAST_", "CENTRIFUGO_"])
def test_each_list_of_named_items_has_variables_for_its_items(
    prefix: str, name: str, options: str, loaded: Load
) -> None:
    result = loaded({}, {prefix + name: "my-chat.1 other", prefix + options: "7", f"{prefix}{name}_X_Y": "1"})
    assert result.unknown_env == (f"{prefix}{name}_X_Y",)
    assert result.sources[
        next(path for path, source in result.sources.items() if source.name == prefix + options)
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('[{"history_size": "3"}]', r"CENTRIFUGO_CHANNEL_NAMESPACES\.\[0\]\.history_size: expected int"),
        ("[oops]", "CENTRIFUGO_CHANNEL_NAMESPACES: not valid JSON"),
        ("[1]", r"CENTRIFUGO_CHANNEL_NAMESPACES\.\[0\]: expected an object"),
    ],
)
def test_json_in_a_variable_is_strict(value: str, message: str, loaded: Load) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded({}, {"CENTRIFUGO_CHANNEL_NAMESPACES": value})


def test_lists_without_names_are_json_only(loaded: Load) -> None:
    name = "CENTRIFUGO_CLIENT_CONNECT_CODE_TO_UNIDIRECTIONAL_DISCONNECT_TRANSFORMS"
    result = loaded({}, {name: '[{"code": 109, "to": {"code": 4000, "reason": "x"}}]'})
    (row,) = result.config.client.connect_code_to_unidirectional_disconnect.transforms
    assert (row.code, row.to.code, row.to.reason) == (109, 4000, "x")
    with pytest.raises(ConfigError, match="expected a JSON list"):
        loaded({}, {name: "a b"})


def test_items_without_a_name_are_out_of_reach_of_variables(loaded: Load) -> None:
    result = loaded(
        {"channel": {"namespaces": [{"history_size": 1}]}}, {"CENTRIFUGO_CHANNEL_NAMESPACES__PRESENCE": "1"}
    )
    assert result.unknown_env == ("CENTRIFUGO_CHANNEL_NAMESPACES__PRESENCE",)


def test_maps_of_texts_refer_to_variables(loaded: Load) -> None:
    headers = [{"key": "X-Key", "value": "${CENTRIFUGO_VAR_KEY}"}]
    tree = {"rpc": {"proxy": {"http": {"static_headers": headers}}}}
    config = loaded(tree, {"CENTRIFUGO_VAR_KEY": "k"}).config
    assert config.rpc.proxy.http.static_headers == {"X-Key": "k"}
    with pytest.raises(ConfigError, match=r"rpc\.proxy\.http\.static_headers: .* is not set"):
        loaded(tree)


def test_references_are_for_maps_only(loaded: Load) -> None:
    text = "${CENTRIFUGO_VAR_KEY}"
    config = loaded(
        {"http_api": {"key": text}}, {"CENTRIFUGO_VAR_KEY": "k", "CENTRIFUGO_NODE_NAME": text}
    ).config
    assert (config.http_api.key, config.node.name) == (text, text)


def test_a_port_of_ours_is_an_option_although_kubernetes_sets_such_names(loaded: Load) -> None:
    environ = {
        "CENTRIFUGO_HTTP_SERVER_PORT": "9000",
        "CENTRIFUGO_PORT": "tcp://10.0.0.1:8000",
        "CENTRIFUGO_PORT_8000_TCP_ADDR": "10.0.0.1",
        "CENTRIFUGO_SERVICE_PORT": "8000",
    }
    result = loaded({}, environ)
    assert result.config.http_server.port == 9000
    assert (result.unknown_env, result.warnings) == ((), ())


def test_both_prefixes_of_one_item_are_warned_about(loaded: Load) -> None:
    environ = {
        "CENTRIFUGO_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE": "1",
        "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE": "2",
    }
    result = loaded({"channel": {"namespaces": [{"name": "chat"}]}}, environ)
    assert result.config.channel.namespaces[0].history_size == 2
    assert "CENTRIFAST_CHANNEL_NAMESPACES_CHAT_HISTORY_SIZE is used" in result.warnings[0]


@pytest.mark.parametrize("value", ['[{"key": "a", "value": "b"}]', "a=b", '{"a": 1}'])
def test_a_map_in_a_variable_is_an_object_of_texts(value: str, loaded: Load) -> None:
    with pytest.raises(ConfigError, match=r"^CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS: "):
        loaded({}, {"CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS": value})


def test_maps_in_variables_keep_the_case_of_keys(loaded: Load) -> None:
    config = loaded({}, {"CENTRIFUGO_RPC_PROXY_HTTP_STATIC_HEADERS": '{"X-Key": "v"}'}).config
    assert config.rpc.proxy.http.static_headers == {"X-Key": "v"}


def test_pem_is_fetched_or_refused(loaded: Load, tmp_path: Path) -> None:
    pem = "-----BEGIN CERTIFICATE-----\n"
    (tmp_path / "cert").write_text(pem)
    config = loaded({"http_server": {"tls": {"cert_pem": str(tmp_path / "cert")}}}).config
    assert config.http_server.tls.cert_pem == pem
    with pytest.raises(ConfigError, match=r"http_server\.tls\.cert_pem: expected PEM text"):
        loaded({"http_server": {"tls": {"cert_pem": "absent"}}})


@pytest.mark.parametrize(
    ("given", "path"),
    [("ws", "/ws"), ("/ws/", "/ws"), ("/", "/"), ("//a//b/", "/a//b"), ("", "/connection/websocket")],
)
def test_the_path_of_an_endpoint_gets_its_slash(given: str, path: str, loaded: Load) -> None:
    assert loaded({"websocket": {"handler_prefix": given}}).config.websocket.handler_prefix == path


def test_the_configuration_does_not_show_secrets(loaded: Load) -> None:
    config = loaded({"client": {"token": {"hmac_secret_key": "hush"}}, "http_api": {"key": "hush"}}).config
    assert "hush" not in repr(config)


def test_reload_reads_file_and_environment_again(loaded: Load) -> None:
    first = loaded({"pid_file": "a"}, flags={"http_server.port": 1})
    assert first.path is not None
    first.path.write_text('{"pid_file": "b", "http_server": {"port": 2}}')
    again = reload(first, {"CENTRIFUGO_NODE_NAME": "n"})
    assert (again.config.pid_file, again.config.http_server.port) == ("b", 1)
    assert again.config.node.name == "n"


def test_reload_refuses_a_file_that_has_disappeared(loaded: Load) -> None:
    first = loaded({})
    assert first.path is not None
    first.path.unlink()
    with pytest.raises(ConfigError, match="has disappeared"):
        reload(first, {})


@pytest.mark.parametrize("name", ["config.yaml", "quickstart.json"])
def test_the_examples_are_valid(name: str) -> None:
    example = load(Path(__file__).parents[2] / "examples" / name, {}, {})
    validate(example.config)
    validate_start(example.config)
    assert refuse_unsupported(example.config) == ()
    assert (example.unknown_keys, example.warnings) == ((), ())
