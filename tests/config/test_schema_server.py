"""Options of listeners, API and operation."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "http_server.address": "",
        "http_server.port": 8000,
        "http_server.internal_port": "",
        "log.level": "info",
        "http_api.handler_prefix": "/api",
        "http_api.max_request_body_size": 0,
        "grpc_api.port": 10000,
        "prometheus.handler_prefix": "/metrics",
        "health.handler_prefix": "/health",
        "swagger.handler_prefix": "/swagger",
        "debug.handler_prefix": "/debug/pprof",
        "graphite.interval": 10.0,
        "node.info_metrics_aggregate_interval": 60.0,
        "shutdown.timeout": 30.0,
        "quickstart.enabled": False,
    }
    assert mismatches(expected) == {}
