"""Options of transports."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "websocket.handler_prefix": "/connection/websocket",
        "websocket.compression_level": 1,
        "websocket.write_timeout": 1.0,
        "websocket.message_size_limit": 65536,
        "sse.handler_prefix": "/connection/sse",
        "http_stream.handler_prefix": "/connection/http_stream",
        "emulation.handler_prefix": "/emulation",
        "uni_websocket.handler_prefix": "/connection/uni_websocket",
        "uni_sse.handler_prefix": "/connection/uni_sse",
        "uni_http_stream.handler_prefix": "/connection/uni_http_stream",
        "uni_grpc.port": 11000,
        "init.handler_prefix": "/connection/init",
    }
    assert mismatches(expected) == {}
