"""Rules of calls to the application backend."""

import pytest

from centrifast.config.rules_proxy import check
from tests.config.building import config_of

BACKEND = {"name": "backend", "endpoint": "http://x"}


def problems_of(tree: dict[str, object], **environ: str) -> list[str]:
    return list(check(config_of(tree, **environ)))


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"proxies": [BACKEND, {"name": "two", "endpoint": "grpc://x:1"}]},
        {"client.proxy.connect": {"enabled": True, "endpoint": "http://x"}},
        {"client.proxy.connect": {"timeout": "2s"}},
        {
            "channel.without_namespace.subscribe_proxy_enabled": True,
            "channel.proxy.subscribe.endpoint": "http://x",
        },
        {
            "proxies": [BACKEND],
            "channel.namespaces": [
                {"name": "chat", "publish_proxy_enabled": True, "publish_proxy_name": "backend"}
            ],
        },
        {"rpc.without_namespace.proxy_enabled": True},
        {
            "channel.proxy.shared_poll_refresh.endpoint": "http://x",
            "channel.without_namespace.subscription_type": "shared_poll",
        },
        {"channel.without_namespace.shared_poll.proxy_name": "absent"},
    ],
)
def test_what_fits_together_passes(tree: dict[str, object]) -> None:
    assert problems_of(tree) == []


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            {"proxies": [{"name": "default", "endpoint": "x"}]},
            "proxies.[0].name: `default` stands for the proxy of each kind of event",
        ),
        ({"proxies": [{"name": "one"}]}, "proxies.[0].endpoint must be set"),
        (
            {"proxies": [{"name": "o", "endpoint": "x"}]},
            "proxies.[0].name: 'o' is not valid; use two or more letters, digits, hyphens, underscores, dots",
        ),
        (
            {"proxies": [BACKEND, BACKEND]},
            "proxies.[1].name: 'backend' is used twice; names must be unique",
        ),
        ({"client.proxy.connect.enabled": True}, "client.proxy.connect.endpoint must be set"),
        ({"client.proxy.refresh.enabled": True}, "client.proxy.refresh.endpoint must be set"),
        (
            {"channel.without_namespace.subscribe_proxy_enabled": True},
            "channel.proxy.subscribe.endpoint must be set",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "publish_proxy_enabled": True}]},
            "channel.proxy.publish.endpoint must be set",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "sub_refresh_proxy_enabled": True}]},
            "channel.proxy.sub_refresh.endpoint must be set",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "subscribe_stream_proxy_enabled": True}]},
            "channel.proxy.subscribe_stream.endpoint must be set",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "map.publish_proxy_enabled": True}]},
            "channel.proxy.map_publish.endpoint must be set",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "map.remove_proxy_enabled": True}]},
            "channel.proxy.map_remove.endpoint must be set",
        ),
        (
            {"channel.without_namespace.subscription_type": "shared_poll"},
            "channel.proxy.shared_poll_refresh.endpoint must be set",
        ),
        (
            {"channel.without_namespace.subscribe_proxy_name": "absent"},
            "channel.without_namespace: subscribe_proxy_name: no proxy is called 'absent'; add it to `proxies`",
        ),
        (
            {"channel.namespaces": [{"name": "chat", "map": {"remove_proxy_name": "absent"}}]},
            "channel.namespaces.[0] (chat): map.remove_proxy_name: no proxy is called 'absent'; "
            "add it to `proxies`",
        ),
        (
            {
                "channel.without_namespace": {
                    "subscription_type": "shared_poll",
                    "shared_poll.proxy_name": "absent",
                }
            },
            "channel.without_namespace: shared_poll.proxy_name: no proxy is called 'absent'; "
            "add it to `proxies`",
        ),
        (
            {"rpc.without_namespace.proxy_name": "absent"},
            "rpc.without_namespace.proxy_name: no proxy is called 'absent'; add it to `proxies`",
        ),
        (
            {"proxies": [BACKEND], "rpc.namespaces": [{"name": "ab", "proxy_name": "absent"}]},
            "rpc.namespaces.[0].proxy_name: no proxy is called 'absent'; add it to `proxies`",
        ),
    ],
)
def test_what_does_not_fit_is_told(tree: dict[str, object], problem: str) -> None:
    assert problems_of(tree) == [problem]


def test_a_timeout_of_zero_comes_from_the_environment_only() -> None:
    tree: dict[str, object] = {
        "proxies": [{**BACKEND, "timeout": "0"}],
        "client.proxy.connect": {"enabled": True, "endpoint": "http://x", "timeout": 0},
    }
    assert problems_of(tree) == []
    environ = {
        "CENTRIFUGO_PROXIES_BACKEND_TIMEOUT": "0",
        "CENTRIFUGO_CLIENT_PROXY_CONNECT_TIMEOUT": "0s",
        "CENTRIFUGO_CLIENT_PROXY_REFRESH_TIMEOUT": "0s",
    }
    assert problems_of(tree, **environ) == [
        "proxies.[0].timeout must not be 0",
        "client.proxy.connect.timeout must not be 0",
    ]


def test_status_transforms_are_complete() -> None:
    rows = [
        {"status_code": 404, "to_error": {"code": 404, "message": "gone"}},
        {"status_code": 403, "to_disconnect": {"code": 4403, "reason": "no"}},
        {"to_error": {"code": 1}},
        {"status_code": 500},
        {"status_code": 500, "to_error": {"code": 1}, "to_disconnect": {"code": 4000}},
        {"status_code": 500, "to_error": {"code": 1, "message": "é"}},
        {"status_code": 500, "to_disconnect": {"code": 4000, "reason": "x" * 124}},
    ]
    tree: dict[str, object] = {
        "proxies": [{"name": "one", "endpoint": "x", "http": {"status_to_code_transforms": rows}}]
    }
    path = "proxies.[0].http.status_to_code_transforms"
    assert problems_of(tree) == [
        f"{path}.[2].status_code must be set",
        f"{path}.[3]: set exactly one of to_error.code and to_disconnect.code",
        f"{path}.[4]: set exactly one of to_error.code and to_disconnect.code",
        f"{path}.[5].to_error.message must be ASCII, at most 123 characters",
        f"{path}.[6].to_disconnect.reason must be ASCII, at most 123 characters",
    ]


@pytest.mark.parametrize("path", ["client.proxy.connect", "channel.proxy.publish", "rpc.proxy"])
def test_status_transforms_of_default_proxies_are_complete_too(path: str) -> None:
    assert problems_of({f"{path}.http.status_to_code_transforms": [{"to_error.code": 1}]}) == [
        f"{path}.http.status_to_code_transforms.[0].status_code must be set"
    ]
