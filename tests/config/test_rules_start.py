"""Rules that are looked at only when the server is built."""

import pytest

from centrifast.config.rules_start import check
from tests.config.building import config_of


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"client": {"ping_interval": "-1s", "pong_timeout": "8s"}},
        {"client": {"ping_interval": "5s", "pong_timeout": "-1s"}},
        {"engine.type": "redis"},
        {"http_api.error_mode": "transport"},
        {"grpc_api.error_mode": "custom"},
        {"broker": {"type": "redisnats"}},
        {"broker": {"enabled": True, "type": "redisnats"}, "enable_unreleased_features": True},
        {"client.token": {"audience": "a", "issuer_regex": "^b$"}},
    ],
)
def test_what_fits_together_passes(tree: dict[str, object]) -> None:
    assert list(check(config_of(tree))) == []


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"engine.type": "etcd"}, "engine.type: 'etcd' is not valid; use one of memory, redis"),
        (
            {"http_api.error_mode": "custom"},
            "http_api.error_mode: 'custom' is not valid; use one of \"\", transport",
        ),
        (
            {"grpc_api": {"enabled": True, "error_mode": "custom"}},
            "grpc_api.error_mode: 'custom' is not valid; use one of \"\", transport",
        ),
        (
            {"broker": {"enabled": True, "type": "redisnats"}},
            "broker.type redisnats needs enable_unreleased_features",
        ),
        (
            {"client.token": {"audience": "a", "audience_regex": "b"}},
            "client.token.audience and client.token.audience_regex exclude each other",
        ),
        (
            {"client.subscription_token": {"issuer": "a", "issuer_regex": "b"}},
            "client.subscription_token.issuer and client.subscription_token.issuer_regex exclude each other",
        ),
        (
            {"client.ping_interval": "8s"},
            "client.ping_interval must be greater than client.pong_timeout",
        ),
    ],
)
def test_what_does_not_fit_is_told(tree: dict[str, object], problem: str) -> None:
    assert list(check(config_of(tree))) == [problem]


def test_a_zero_of_the_environment_is_no_interval() -> None:
    assert list(check(config_of({}, CENTRIFUGO_CLIENT_PING_INTERVAL="0"))) == [
        'client.ping_interval must not be 0; write "-1s" for no pings'
    ]
