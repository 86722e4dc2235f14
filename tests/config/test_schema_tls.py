"""The TLS object."""

import pytest

from centrifast.config.option import walk
from centrifast.config.schema import Config

NAMES = {
    "enabled",
    "cert_pem",
    "key_pem",
    "server_ca_pem",
    "client_ca_pem",
    "insecure_skip_verify",
    "server_name",
}


@pytest.mark.parametrize("path", ["http_server.tls.", "http_server.internal_tls.", "engine.redis.tls."])
def test_the_object_is_the_same_everywhere(path: str) -> None:
    assert {found.removeprefix(path) for found, _ in walk(Config) if found.startswith(path)} == NAMES
