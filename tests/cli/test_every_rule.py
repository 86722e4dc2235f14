"""One configuration for each rule of the server specification (1.7): what is told, and when."""

import json
from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.loader import load
from centrifast.config.review import review
from tests.cli.conftest import Run

HISTORY = {"history_size": 5, "history_ttl": "60s"}
BACKEND = {"name": "backend", "endpoint": "http://localhost:9"}
TEMPLATE = "https://id.example.com/{{realm}}/keys"


def started(directory: Path, environ: dict[str, str] | None = None) -> str:
    """Why the server would not start with the file of a directory."""
    loaded = load(directory / "config.json", {}, environ or {})
    with pytest.raises(ConfigError) as caught:
        review(loaded, strict=False)
    return str(caught.value)


def channels(**options: object) -> dict[str, object]:
    return {"channel": {"namespaces": [{"name": "chat", **options}]}}


def statuses(*rows: object) -> dict[str, object]:
    return {"proxies": [{**BACKEND, "http": {"status_to_code_transforms": rows}}]}


def disconnects(*rows: object) -> dict[str, object]:
    return {"client": {"connect_code_to_unidirectional_disconnect": {"transforms": rows}}}


def map_options(kind: str = "map", **options: object) -> dict[str, object]:
    return channels(subscription_type=kind, map=options)


ALWAYS: list[tuple[dict[str, object], str]] = [
    ({"http_server": {"h2c_external": True}}, "http_server.h2c_external"),
    ({"broker": {"type": "etcd"}}, "broker.type"),
    ({"map_broker": {"type": "etcd"}}, "map_broker.type"),
    ({"client": {"token": {"user_id_claim": "user-id"}}}, "client.token.user_id_claim"),
    ({"proxies": [BACKEND, BACKEND]}, "proxies.[1].name"),
    ({"proxies": [{**BACKEND, "name": "x"}]}, "proxies.[0].name"),
    ({"proxies": [{**BACKEND, "name": "default"}]}, "proxies.[0].name"),
    ({"proxies": [{"name": "backend"}]}, "proxies.[0].endpoint"),
    ({"client": {"proxy": {"connect": {"enabled": True}}}}, "client.proxy.connect.endpoint"),
    ({"client": {"proxy": {"refresh": {"enabled": True}}}}, "client.proxy.refresh.endpoint"),
    (channels(subscribe_proxy_enabled=True), "channel.proxy.subscribe.endpoint"),
    (channels(publish_proxy_name="absent"), "publish_proxy_name"),
    ({"rpc": {"without_namespace": {"proxy_name": "absent"}}}, "rpc.without_namespace.proxy_name"),
    (statuses({"to_error": {"code": 404}}), "status_code"),
    (statuses({"status_code": 404}), "to_error.code"),
    (
        statuses({"status_code": 4, "to_error": {"code": 1}, "to_disconnect": {"code": 2}}),
        "to_disconnect.code",
    ),
    (statuses({"status_code": 4, "to_error": {"code": 1, "message": "\u00e9"}}), "to_error.message"),
    (statuses({"status_code": 4, "to_disconnect": {"code": 1, "reason": "x" * 124}}), "to_disconnect.reason"),
    (disconnects({"to": {"code": 4000}}), "transforms.[0].code"),
    (disconnects({"code": 1}), "transforms.[0].to.code"),
    (
        {"uni_sse": {"connect_code_to_http_response": {"transforms": [{"code": 1}]}}},
        "uni_sse.connect_code_to_http_response.transforms.[0].to.status_code",
    ),
    ({"channel": {"namespaces": [{"name": "ab"}, {"name": "ab"}]}}, "channel.namespaces.[1].name"),
    ({"channel": {"namespaces": [{"name": "a b"}]}}, "channel.namespaces.[0].name"),
    ({"rpc": {"namespaces": [{"name": "a"}]}}, "rpc.namespaces.[0].name"),
    (channels(history_size=5), "history_size and history_ttl"),
    (channels(history_ttl="60s"), "history_size and history_ttl"),
    (channels(**HISTORY, history_meta_ttl="30s"), "history_ttl must not be longer"),
    (channels(history_size=5, history_ttl="1000h"), "history_ttl must not be longer"),
    (channels(history_size=5, history_ttl="1500ms"), "history_ttl must be whole seconds"),
    ({"channel": {"history_meta_ttl": "1500ms"}}, "channel.history_meta_ttl must be whole seconds"),
    (channels(force_recovery=True), "force_recovery needs"),
    (channels(**HISTORY, force_recovery=True, auto_cache_recover=True), "auto_cache_recover needs"),
    (channels(**HISTORY, force_recovery_mode="all"), "channel.namespaces.[0].force_recovery_mode"),
    (channels(channel_regex="["), "channel_regex"),
    (
        channels(subscribe_stream_proxy_enabled=True, publish_proxy_enabled=True),
        "publish_proxy_enabled cannot be combined with subscribe_stream_proxy_enabled",
    ),
    (channels(allowed_delta_types=["xdelta"]), "channel.namespaces.[0].allowed_delta_types"),
    (channels(publication_data_format="xml"), "channel.namespaces.[0].publication_data_format"),
    ({"channel": {"publication_data_format": "xml"}}, "channel.publication_data_format"),
    (
        {
            "client": {
                "subscribe_to_user_personal_channel": {
                    "enabled": True,
                    "personal_channel_namespace": "absent",
                }
            }
        },
        "client.subscribe_to_user_personal_channel.personal_channel_namespace",
    ),
    (
        {"client": {"subscribe_to_user_personal_channel": {"enabled": True, "single_connection": True}}},
        "client.subscribe_to_user_personal_channel.single_connection",
    ),
    ({"consumers": [{"name": "a-b", "type": "kafka"}]}, "consumers.[0].name"),
    ({"consumers": [{"name": "ab", "type": "kafka"}] * 2}, "consumers.[1].name"),
    ({"consumers": [{"name": "ab", "type": "rabbit"}]}, "consumers.[0].type"),
    ({"consumers": [{"name": "ab", "type": "kafka", "enabled": True}]}, "consumers.[0].kafka.brokers"),
    (map_options(), "map.mode"),
    (map_options(mode="ephemeral"), "map.key_ttl"),
    (map_options(mode="persistent", key_ttl="1s"), "map.key_ttl"),
    (map_options("map_users", mode="persistent"), "map.mode persistent"),
    (map_options(mode="ephemeral", key_ttl="1s", stream_size=1), "map.stream_size"),
    (map_options(mode="persistent", meta_ttl="1s"), "map.meta_ttl"),
    (map_options(mode="persistent", client_key="session"), "channel.namespaces.[0].map.client_key"),
    (map_options(mode="persistent", min_page_size=2, max_page_size=1), "map.min_page_size"),
    (channels(map_users_presence_channel_prefix="users:"), "map_users_presence_channel_prefix"),
    (channels(subscription_type="shared_poll"), "shared_poll.hmac_secret_key"),
    (
        channels(subscription_type="shared_poll", shared_poll={"mode": "quick"}),
        "channel.namespaces.[0].shared_poll.mode",
    ),
    (
        channels(subscription_type="shared_poll", shared_poll={"publish_enabled": True}),
        "shared_poll.publish_enabled",
    ),
    (
        channels(subscription_type="shared_poll", shared_poll={"proxy_name": "absent"}),
        "shared_poll.proxy_name",
    ),
    # Additions of ours, and what would crash Centrifugo.
    ({"http_server": {"port": 65536}}, "http_server.port"),
    ({"http_server": {"internal_port": "http"}}, "http_server.internal_port"),
    ({"http_server": {"tls": {"enabled": True}}}, "http_server.tls.cert_pem"),
    ({"websocket": {"handler_prefix": "/api"}}, "websocket.handler_prefix"),
    ({"client": {"allowed_origins": ["https://[a"]}}, "client.allowed_origins.[0]"),
]

AT_START: list[tuple[dict[str, object], str]] = [
    ({"engine": {"type": "etcd"}}, "engine.type"),
    ({"http_api": {"error_mode": "custom"}}, "http_api.error_mode"),
    ({"client": {"ping_interval": "8s", "pong_timeout": "8s"}}, "client.ping_interval"),
    ({"client": {"token": {"audience": "a", "audience_regex": "b"}}}, "client.token.audience_regex"),
    ({"client": {"token": {"issuer": "a", "issuer_regex": "b"}}}, "client.token.issuer_regex"),
    ({"client": {"token": {"audience_regex": "["}}}, "client.token.audience_regex"),
    ({"client": {"subscription_token": {"issuer_regex": "("}}}, "client.subscription_token.issuer_regex"),
    (
        {"client": {"token": {"jwks_public_endpoint": TEMPLATE, "issuer_regex": "(?P<realm>.*)"}}},
        "client.token.issuer_regex",
    ),
]


@pytest.mark.parametrize(("tree", "named"), ALWAYS, ids=[named for _, named in ALWAYS])
def test_a_rule_fails_the_check_and_the_start(
    tree: dict[str, object], named: str, run: Run, directory: Path
) -> None:
    (directory / "config.json").write_text(json.dumps(tree))
    checked = run("checkconfig")
    assert checked.exit_code == 1
    assert checked.stdout.startswith("error validating config: ")
    assert named in checked.stdout
    assert named in started(directory)


@pytest.mark.parametrize(("tree", "named"), AT_START, ids=[named for _, named in AT_START])
def test_a_rule_of_the_start_passes_the_check(
    tree: dict[str, object], named: str, run: Run, directory: Path
) -> None:
    (directory / "config.json").write_text(json.dumps(tree))
    checked = run("checkconfig")
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert checked.stderr.startswith("the server would not start: ")
    assert named in checked.stderr
    assert named in started(directory)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("CENTRIFUGO_CLIENT_PING_INTERVAL", "client.ping_interval"),
        ("CENTRIFUGO_PROXIES_BACKEND_TIMEOUT", "proxies.[0].timeout"),
        ("CENTRIFUGO_CLIENT_PROXY_CONNECT_TIMEOUT", "client.proxy.connect.timeout"),
    ],
)
def test_zeros_of_the_environment_are_refused(name: str, named: str, directory: Path) -> None:
    tree = {"proxies": [BACKEND], "client": {"proxy": {"connect": {"enabled": True, "endpoint": "http://x"}}}}
    (directory / "config.json").write_text(json.dumps(tree))
    assert named in started(directory, {name: "0"})
