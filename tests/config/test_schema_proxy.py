"""Options of calls to the backend."""

from tests.config.defaults import mismatches


def test_defaults_are_those_of_centrifugo() -> None:
    expected: dict[str, object] = {
        "rpc.proxy.endpoint": "",
        "rpc.proxy.timeout": 1.0,
        "rpc.proxy.http.static_headers": {},
        "client.proxy.connect.enabled": False,
        "client.proxy.connect.timeout": 1.0,
        "channel.proxy.subscribe.binary_encoding": False,
    }
    assert mismatches(expected) == {}
