"""Rules that join options of listeners and clients."""

import pytest

from centrifast.config.rules_server import check
from tests.config.building import config_of

PEM = "-----BEGIN X-----"


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"workers": "auto"},
        {"workers": 64},
        {"http_server.internal_port": 9000, "http_server.h2c_external": True},
        {"http_server.tls": {"enabled": True, "cert_pem": PEM, "key_pem": PEM}},
        {"http_server.tls": {"cert_pem": PEM}},
        {"engine.redis.tls.enabled": True},
        {"engine.redis.tls": {"enabled": True, "cert_pem": PEM, "key_pem": PEM}},
        {"client.allowed_origins": ["*", "https://*.example.com", "http{,s}://a"]},
        {"client.token.user_id_claim": "user_id"},
        {
            "prometheus": {"enabled": True, "handler_prefix": "/connection/websocket"},
            "http_server.internal_port": "1",
        },
    ],
)
def test_what_fits_together_passes(tree: dict[str, object]) -> None:
    assert list(check(config_of(tree))) == []


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"http_server.internal_port": "http"}, "'http' is not a port"),
        ({"workers": "many"}, "workers: 'many' is not valid; use a number from 1 to 64, or auto"),
        ({"workers": 65}, "workers: '65' is not valid"),
        ({"workers": -1}, "workers: '-1' is not valid"),
        ({"workers": "1000000"}, "workers: '1000000' is not valid"),
        ({"http_server.internal_port": 65536}, "'65536' is not a port"),
        ({"shutdown.disconnect_spread": "31s"}, "shutdown.disconnect_spread must not be greater"),
        ({"http_server.tls.enabled": True}, "http_server.tls.enabled needs http_server.tls.cert_pem"),
        (
            {"http_server.internal_tls": {"enabled": True, "cert_pem": PEM}},
            "http_server.internal_tls.enabled needs",
        ),
        (
            {"engine.redis.tls": {"enabled": True, "cert_pem": PEM}},
            "engine.redis.tls.cert_pem and engine.redis.tls.key_pem must be set together",
        ),
        (
            {"proxies": [{"name": "one", "endpoint": "x", "http.tls": {"enabled": True, "key_pem": PEM}}]},
            "proxies.[0].http.tls.cert_pem and proxies.[0].http.tls.key_pem must be set together",
        ),
        ({"http_server.h2c_external": True}, "needs a separate http_server.internal_port"),
        (
            {
                "http_server.h2c_external": True,
                "http_server.internal_port": 1,
                "http_server.tls_autocert.enabled": True,
            },
            "cannot be combined with TLS",
        ),
        ({"client.presence_update_interval": "500ms"}, "client.presence_update_interval must be at least 1s"),
        ({"client.allowed_origins": ["https://[a"]}, "client.allowed_origins.[0]"),
        ({"client.token.user_id_claim": "user-id"}, "letters and underscores only"),
    ],
)
def test_what_does_not_fit_is_told(tree: dict[str, object], message: str) -> None:
    (problem,) = check(config_of(tree))
    assert message in problem


@pytest.mark.parametrize(
    ("tree", "sections"),
    [
        ({"http_api.handler_prefix": "/connection/websocket"}, ("websocket", "http_api")),
        ({"health.enabled": True, "health.handler_prefix": "/api"}, ("http_api", "health")),
        (
            {"sse.enabled": True, "emulation.handler_prefix": "/connection/sse"},
            ("sse", "emulation"),
        ),
        ({"admin.enabled": True, "init.enabled": True, "init.handler_prefix": "/"}, ("init", "admin")),
        (
            {
                "admin": {"enabled": True, "external": True, "handler_prefix": "/api"},
                "http_api.external": True,
            },
            ("http_api", "admin"),
        ),
    ],
)
def test_two_endpoints_on_one_path_are_named(tree: dict[str, object], sections: tuple[str, str]) -> None:
    (problem,) = check(config_of(tree))
    assert problem.startswith(f"{sections[0]}.handler_prefix and {sections[1]}.handler_prefix are both")


def test_endpoints_that_are_off_do_not_collide() -> None:
    tree: dict[str, object] = {
        "websocket.disabled": True,
        "http_api.disabled": True,
        "http_api.handler_prefix": "/connection/websocket",
        "health.handler_prefix": "/connection/websocket",
    }
    assert list(check(config_of(tree))) == []


@pytest.mark.parametrize(
    "switch",
    [
        "webtransport",
        "uni_websocket",
        "uni_sse",
        "uni_http_stream",
        "http_stream",
        "swagger",
        "debug",
        "prometheus",
    ],
)
def test_every_endpoint_takes_part(switch: str) -> None:
    tree: dict[str, object] = {f"{switch}.enabled": True, f"{switch}.handler_prefix": "/api"}
    (problem,) = check(config_of(tree))
    assert f"{switch}.handler_prefix" in problem


def test_connect_code_transforms_are_complete_even_when_off() -> None:
    rows: list[object] = [{"code": 1, "to": {"code": 4000}}, {"to": {"reason": "é"}}]
    answers: list[object] = [{"code": 1, "to": {"status_code": 400}}, {}]
    tree: dict[str, object] = {
        "client.connect_code_to_unidirectional_disconnect.transforms": rows,
        "uni_sse.connect_code_to_http_response.transforms": answers,
    }
    disconnects = "client.connect_code_to_unidirectional_disconnect.transforms.[1]"
    assert list(check(config_of(tree))) == [
        f"{disconnects}.code must be set",
        f"{disconnects}.to.code must be set",
        f"{disconnects}.to.reason must be ASCII, at most 123 characters",
        "uni_sse.connect_code_to_http_response.transforms.[1].code must be set",
        "uni_sse.connect_code_to_http_response.transforms.[1].to.status_code must be set",
    ]
