"""Bounds and choices, features that are not built, warnings at start."""

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.schema import Config
from centrifast.config.schema_consumer import LATER_TYPES
from centrifast.config.validate import (
    refuse_unsupported,
    start_warnings,
    unsupported,
    validate,
    validate_start,
)
from tests.config.building import config_of


def test_the_defaults_are_valid_and_built() -> None:
    validate(Config())
    assert unsupported(Config()) == ((), ())
    assert start_warnings(Config()) == ()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"http_server.port": 65536}, "http_server.port must be at most 65535"),
        ({"http_server.port": -1}, "http_server.port must be at least 0"),
        ({"client.stale_close_delay": "-1s"}, "client.stale_close_delay must be at least 0s"),
        ({"broker.type": "etcd"}, "broker.type: 'etcd' is not valid"),
        (
            {"channel.without_namespace.allowed_delta_types": ["fossil", "x"]},
            "channel.without_namespace.allowed_delta_types: 'x' is not valid",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "publication_data_format": "xml"}]},
            "channel.namespaces.[0].publication_data_format: 'xml' is not valid",
        ),
        ({"consumers": [{"name": "one"}]}, "consumers.[0].type: '' is not valid"),
    ],
)
def test_values_out_of_bounds_are_named(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(config_of(tree))
    assert message in str(caught.value)


def test_all_broken_rules_are_told_at_once() -> None:
    tree = {
        "http_server.port": -1,
        "client.token.user_id_claim": "-",
        "channel.namespaces": [{"name": "x"}],
    }
    with pytest.raises(ConfigError) as caught:
        validate(config_of(tree))
    assert len(str(caught.value).splitlines()) == 3


def test_some_rules_count_at_the_start_only() -> None:
    config = config_of({"engine.type": "etcd", "client.ping_interval": "1s"})
    validate(config)
    with pytest.raises(ConfigError) as caught:
        validate_start(config)
    assert str(caught.value).splitlines() == [
        "engine.type: 'etcd' is not valid; use one of memory, redis",
        "client.ping_interval must be greater than client.pong_timeout",
    ]
    validate_start(Config())


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"broker.enabled": True, "broker.type": "nats"}, "broker.type"),
        ({"http_server.h2c_external": True, "http_server.internal_port": 1}, "http_server.h2c_external"),
        (
            {"channel.without_namespace.map_users_presence_channel_prefix": "x:"},
            "channel.without_namespace.map_users_presence_channel_prefix",
        ),
        ({"controller.enabled": True}, "controller.enabled"),
        ({"client.proxy.connect.enabled": True}, "client.proxy.connect.enabled"),
        ({"rpc.without_namespace.proxy_enabled": True}, "rpc.without_namespace.proxy_enabled"),
        *(
            ({"consumers": [{"name": "one", "enabled": True, "type": name}]}, "consumers.[0].type")
            for name in LATER_TYPES
        ),
        ({"sse.enabled": True}, "sse.enabled"),
        ({"http_stream.enabled": True}, "http_stream.enabled"),
        ({"uni_sse.enabled": True}, "uni_sse.enabled"),
        ({"uni_http_stream.enabled": True}, "uni_http_stream.enabled"),
        ({"uni_websocket.enabled": True}, "uni_websocket.enabled"),
        ({"uni_grpc.enabled": True}, "uni_grpc.enabled"),
        ({"webtransport.enabled": True}, "webtransport.enabled"),
        ({"grpc_api.enabled": True}, "grpc_api.enabled"),
        ({"http_server.http3.enabled": True}, "http_server.http3.enabled"),
        ({"http_server.tls_autocert.enabled": True}, "http_server.tls_autocert.enabled"),
        (
            {"channel.namespaces": [{"name": "chat", "subscription_type": "map"}]},
            "channel.namespaces.[0].subscription_type",
        ),
        (
            {"channel.without_namespace.publish_proxy_enabled": True},
            "channel.without_namespace.publish_proxy_enabled",
        ),
    ],
)
def test_what_would_change_delivery_or_security_forbids_a_start(tree: dict[str, object], path: str) -> None:
    config = config_of(tree)
    assert unsupported(config) == ((path,), ())
    with pytest.raises(ConfigError, match=f"not supported by this version: {path}".replace("[", r"\[")):
        refuse_unsupported(config)


@pytest.mark.parametrize(
    "path",
    [
        "opentelemetry.enabled",
    ],
)
def test_what_would_not_is_a_warning(path: str) -> None:
    config = config_of({path: True})
    assert unsupported(config) == ((), (path,))
    assert refuse_unsupported(config) == (f"not supported by this version, without effect: {path}",)


def test_what_would_not_is_a_warning_only_where_its_section_is_on() -> None:
    asked = {"prometheus.native_histograms": True}
    assert unsupported(config_of(asked)) == ((), ())
    path = "prometheus.native_histograms"
    assert unsupported(config_of({**asked, "prometheus.enabled": True})) == ((), (path,))


@pytest.mark.parametrize(
    "tree",
    [
        {"sse.handler_prefix": "/sse", "graphite.host": "x"},
        {"uni_websocket.compression": True},
        {
            "proxies": [{"name": "one", "endpoint": "http://x"}],
            "consumers": [{"name": "one", "type": "kafka"}],
        },
        {"channel.without_namespace.subscription_type": "stream"},
        {"engine.redis.address": "redis://other:6379", "usage_stats.disabled": True},
    ],
)
def test_settings_of_what_is_off_do_not_matter(tree: dict[str, object]) -> None:
    assert unsupported(config_of(tree)) == ((), ())


def test_insecure_switches_are_told_at_each_start() -> None:
    tree = {"client.insecure": True, "http_api.insecure": True, "client.allowed_origins": "*"}
    assert start_warnings(config_of(tree)) == (
        "insecure mode is on: client.insecure",
        "insecure mode is on: http_api.insecure",
        "client.allowed_origins lets pages of every origin connect",
    )
