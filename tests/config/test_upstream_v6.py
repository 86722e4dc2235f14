"""Files shaped like those of Centrifugo's documentation for version 6: each loads unchanged.

What is in them and not built makes the server refuse to start, by its name; nothing else may be said about them.
"""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from centrifast.cli.main import cli
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.option import values_of
from centrifast.config.review import review
from centrifast.config.validate import unsupported

FOLDER = Path(__file__).with_name("upstream_v6")

NEEDS: dict[str, tuple[str, ...]] = {
    "autocert.json": ("http_server.tls_autocert.enabled",),
    "bidirectional.yaml": ("sse.enabled", "http_stream.enabled"),
    "channel_proxies.toml": (
        "channel.namespaces.[0].subscribe_proxy_enabled",
        "channel.namespaces.[0].publish_proxy_enabled",
        "channel.namespaces.[0].sub_refresh_proxy_enabled",
        "rpc.without_namespace.proxy_enabled",
    ),
    "connect_proxy.json": ("client.proxy.connect.enabled", "client.proxy.refresh.enabled"),
    "consumer_kafka.yaml": ("consumers.[0].enabled", "consumers.[0].type"),
    "consumer_postgresql.json": ("consumers.[0].enabled", "consumers.[0].type"),
    "consumer_redis_stream.toml": ("consumers.[0].enabled", "consumers.[0].type"),
    "consumers_cloud.json": tuple(
        f"consumers.[{index}].{name}" for index in range(4) for name in ("enabled", "type")
    ),
    "grpc_api.toml": ("grpc_api.enabled",),
    "grpc_proxy.yaml": (
        "client.proxy.connect.enabled",
        "client.proxy.connect.endpoint",
        "channel.namespaces.[0].subscribe_stream_proxy_enabled",
    ),
    "http3.toml": ("http_server.http3.enabled", "webtransport.enabled"),
    "map_subscriptions.yaml": (
        "map_broker.type",
        "channel.namespaces.[0].subscription_type",
        "channel.namespaces.[1].subscription_type",
        "channel.namespaces.[2].subscription_type",
        "channel.namespaces.[3].map_clients_presence_channel_prefix",
    ),
    "named_proxies.yaml": (
        "channel.namespaces.[0].subscribe_proxy_enabled",
        "channel.namespaces.[0].publish_proxy_enabled",
        "rpc.namespaces.[0].proxy_enabled",
    ),
    "nats.yaml": ("broker.enabled", "broker.type"),
    "postgres.json": ("broker.enabled", "broker.type", "controller.enabled"),
    "proxy_errors.json": ("client.proxy.connect.enabled",),
    "redis.json": ("engine.type",),
    "redis_cluster.json": ("engine.type", "engine.redis.replica_client.enabled"),
    "redis_sentinel.toml": ("engine.type",),
    "redis_sharded.yaml": ("engine.type",),
    "redis_tls.yaml": ("engine.type",),
    "separate_broker.json": (
        "broker.enabled",
        "presence_manager.enabled",
        "presence_manager.redis.presence_hash_field_ttl",
        "presence_manager.redis.presence_user_mapping",
    ),
    "shared_poll.json": ("channel.namespaces.[0].subscription_type",),
    "unidirectional.json": (
        "uni_sse.enabled",
        "uni_http_stream.enabled",
        "uni_websocket.enabled",
        "uni_websocket.compression",
        "uni_grpc.enabled",
    ),
}
"""What of a file would change delivery or security, as long as it is not built; files not named here need nothing."""

MAY_BE_IDLE = ("admin", "graphite", "opentelemetry", "prometheus", "swagger")
"""Sections whose features change neither; one that is not built is a warning."""

FILES = sorted(path.name for path in FOLDER.iterdir())


def loaded(name: str) -> LoadedConfig:
    return load(FOLDER / name, {}, {})


def test_there_are_files_of_every_kind() -> None:
    assert len(FILES) >= 45
    assert {Path(name).suffix for name in FILES} == {".json", ".yaml", ".toml"}
    assert NEEDS.keys() <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_without_a_word(name: str) -> None:
    result = loaded(name)
    assert (result.unknown_keys, result.warnings) == ((), ())


@pytest.mark.parametrize("name", NEEDS)
def test_what_a_file_needs_is_switched_on_in_it(name: str) -> None:
    values = {setting.path: setting for setting in values_of(loaded(name).config)}
    for path in NEEDS[name]:
        assert values[path].value != values[path].option.default, path


@pytest.mark.parametrize("name", FILES)
def test_a_start_refuses_what_is_not_built_and_nothing_else(name: str) -> None:
    refused, warned = unsupported(loaded(name).config)
    assert set(refused) <= set(NEEDS.get(name, ()))
    assert {path.split(".")[0] for path in warned} <= set(MAY_BE_IDLE)
    if not refused:
        review(loaded(name), strict=True)
        return
    with pytest.raises(ConfigError) as caught:
        review(loaded(name), strict=True)
    assert str(caught.value).splitlines() == [f"not supported by this version: {path}" for path in refused]


@pytest.mark.parametrize("name", FILES)
def test_the_check_says_what_a_start_would(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [found for found in os.environ if found.startswith(("CENTRIFUGO_", "CENTRIFAST_"))]:
        monkeypatch.delenv(variable)
    refused, warned = unsupported(loaded(name).config)
    result = CliRunner().invoke(cli, ["checkconfig", "--strict", "-c", str(FOLDER / name)])
    assert result.exit_code == (1 if refused else 0)
    told = "\n".join(f"not supported by this version: {path}" for path in refused)
    assert result.stdout == (f"error validating config: {told}\n" if told else "")
    if not refused:
        idle = [f"not supported by this version, without effect: {path}" for path in warned]
        assert result.stderr.splitlines() == idle
